"""Item rows from .csv and .csv.gz: a header line, and types that are recognised by column."""

import re
from collections.abc import Iterator
from pathlib import Path

from datafiles.text_lines import csv_cells
from domain.errors import ItemFileError
from domain.item import AttributeType

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LIST_SUFFIX = "[]"
_LIST_SEPARATOR = "|"


class CsvRows:
    """Row source of a CSV file. A column named `NAME[]` is a list of strings separated by `|`."""

    unit = "line"

    def __init__(self, path: Path) -> None:
        """Reads the file once, to see the types of its columns.

        Raises:
            ItemFileError: the file cannot be read, its header names no items, or a row has too many or too few cells.
        """
        self.path = path
        self._types: list[AttributeType] = []
        kinds: list[_ColumnKind] = []
        for _, header, row in self._cells():
            kinds = kinds or [_ColumnKind(name) for name in header]
            for kind, cell in zip(kinds, row, strict=True):
                kind.see(cell)
        self._types = [kind.type for kind in kinds]

    def rows(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Yields (line, values by column). Raises ItemFileError at a cell that is not as its column."""
        for line, header, row in self._cells():
            try:
                columns = {
                    name.removesuffix(_LIST_SUFFIX): _value(cell, kind)
                    for name, cell, kind in zip(header, row, self._types, strict=True)
                }
            except ValueError as error:
                raise ItemFileError(f"{self.path}, line {line}: {error}") from error
            yield line, columns

    def _cells(self) -> Iterator[tuple[int, list[str], list[str]]]:
        """Yields (line, header, cells); blank lines are skipped."""
        cells = csv_cells(self.path, ItemFileError)
        line, header = next(cells, (0, []))
        _check_header(self.path, line, header)
        for line, row in cells:
            yield line, header, row


def _check_header(path: Path, line: int, header: list[str]) -> None:
    if not header:
        raise ItemFileError(f"{path}: no items; the file is empty")
    names = [name.removesuffix(_LIST_SUFFIX) for name in header]
    if "id" not in names or not {"title", "text"} & set(names):
        raise ItemFileError(f'{path}, line {line}: the header needs "id" and one of "title" and "text", found {names}')
    if len(set(names)) != len(names) or "" in names:
        raise ItemFileError(f"{path}, line {line}: every column needs a name of its own, found {names}")


class _ColumnKind:
    """Type of a column, narrowed down cell by cell; CSV itself has none."""

    def __init__(self, name: str) -> None:
        self._is_list = name.endswith(_LIST_SUFFIX)
        self._is_available = name == "available"
        fixed = self._is_list or self._is_available or name in ("id", "title", "text")
        self._may_be_truth = self._may_be_number = not fixed
        self._filled = False

    def see(self, cell: str) -> None:
        """Takes the next cell into account."""
        if not (self._may_be_truth or self._may_be_number):
            return
        word = cell.strip()
        if word:
            self._filled = True
            self._may_be_truth = self._may_be_truth and word.lower() in ("true", "false")
            self._may_be_number = self._may_be_number and _NUMBER.fullmatch(word) is not None

    @property
    def type(self) -> AttributeType:
        """Type that fits every cell seen."""
        if self._is_list:
            return AttributeType.STRING_LIST
        if self._is_available or (self._filled and self._may_be_truth):
            return AttributeType.BOOLEAN
        return AttributeType.NUMBER if self._filled and self._may_be_number else AttributeType.STRING


def _value(cell: str, kind: AttributeType) -> object:
    if kind is AttributeType.STRING_LIST:
        return [part.strip() for part in cell.split(_LIST_SEPARATOR) if part.strip()]
    if not cell.strip():
        return None
    if kind is AttributeType.NUMBER:
        return float(cell) if any(mark in cell for mark in ".eE") else int(cell)
    if kind is AttributeType.BOOLEAN:
        truth = _TRUTH.get(cell.strip().lower())
        if truth is None:
            raise ValueError(f'"available" must be true or false, found "{cell}"')
        return truth
    return cell
