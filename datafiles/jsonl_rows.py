"""Item rows from .jsonl and .jsonl.gz: one JSON object a line."""

from collections.abc import Iterator
from pathlib import Path

from datafiles.text_lines import json_objects
from domain.errors import ItemFileError


class JsonlRows:
    """Row source of JSON objects; blank lines are skipped."""

    unit = "line"

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Yields (line, object). Raises ItemFileError at a line that holds none."""
        return json_objects(self.path, ItemFileError)
