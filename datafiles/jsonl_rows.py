"""Item rows from .jsonl and .json, packed or not: objects, one a line, over several lines or in an array."""

from collections.abc import Iterator
from pathlib import Path

from datafiles.column_names import ITEM_NAMES, standard_names
from datafiles.json_records import json_objects
from datafiles.options import DEFAULT_OPTIONS, FileOptions
from datafiles.refusals import Refused
from domain.errors import ItemFileError


class JsonlRows:
    """Row source of JSON objects; blank lines are skipped."""

    unit = "line"

    def __init__(self, path: Path, options: FileOptions = DEFAULT_OPTIONS) -> None:
        self.path = path
        self._options = options
        self._standard: dict[str, str] | None = None
        self._note = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on what was recognised, a sentence each; known once a row was read."""
        return (self._note,) if self._note else ()

    def rows(self, refused: Refused | None = None) -> Iterator[tuple[int, dict[str, object]]]:
        """Yields (line, object). Raises ItemFileError at a line that holds none, unless `refused` takes it."""
        for line, columns in json_objects(self.path, ItemFileError, refused):
            if self._standard is None:
                self._name_columns(line, columns)
            if self._standard:
                yield line, self._renamed(line, columns)
            else:
                yield line, columns

    def _name_columns(self, line: int, columns: dict[str, object]) -> None:
        """Finds the standard names by the first object."""

        def refuse(message: str) -> ItemFileError:
            return ItemFileError(f"{self.path}, line {line}: {message}")

        names = standard_names(list(columns), ITEM_NAMES, self._options, refuse)
        self._standard = {own: name for own, name in zip(columns, names.names, strict=True) if own != name}
        self._note = names.note

    def _renamed(self, line: int, columns: dict[str, object]) -> dict[str, object]:
        assert self._standard is not None
        renamed = {self._standard.get(name, name): value for name, value in columns.items()}
        if len(renamed) == len(columns):
            return renamed
        # A later object has the standard name as well: its own value counts where there is one.
        for own, name in self._standard.items():
            if own in columns and name in columns:
                renamed[name] = columns[own] if columns[name] is None else columns[name]
                renamed[own] = columns[own]
        return renamed
