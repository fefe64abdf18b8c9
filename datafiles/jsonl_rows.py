"""Item rows from .jsonl and .jsonl.gz: one JSON object a line."""

import json
from collections.abc import Iterator
from pathlib import Path

from datafiles.text_lines import text_lines
from domain.errors import ItemFileError


class JsonlRows:
    """The objects of a file; blank lines are skipped."""

    unit = "line"

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Yields (line, object). Raises ItemFileError at a line that holds none."""
        path = self.path
        for number, text in text_lines(path):
            if not text.strip():
                continue
            try:
                columns = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_columns)
            except json.JSONDecodeError as error:
                # The error's own text counts lines inside this one.
                raise ItemFileError(
                    f"{path}, line {number}: broken JSON: {error.msg} (column {error.pos + 1})"
                ) from error
            except (ValueError, RecursionError) as error:
                raise ItemFileError(f"{path}, line {number}: broken JSON: {error}") from error
            if not isinstance(columns, dict):
                raise ItemFileError(f"{path}, line {number}: expected one JSON object a line")
            yield number, columns


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not valid JSON")


def _unique_columns(pairs: list[tuple[str, object]]) -> dict[str, object]:
    columns = dict(pairs)
    if len(columns) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return columns
