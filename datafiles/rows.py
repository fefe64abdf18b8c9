"""Row sources of item files: one class for each kind of file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from datafiles.csv_rows import CsvRows
from datafiles.jsonl_rows import JsonlRows
from datafiles.options import DEFAULT_OPTIONS, FileOptions
from datafiles.refusals import Refused
from domain.errors import ItemFileError

KINDS = ".csv, .tsv, .jsonl or .json, each also with .gz, or .parquet"


class RowSource(Protocol):
    """File of rows that is read as a stream, as often as needed."""

    path: Path
    # What a place counts: "line" or "row", from 1.
    unit: str

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on what was recognised and doubted, a sentence each; whole once all rows were read."""

    def rows(self, refused: Refused | None = None) -> Iterator[tuple[int, dict[str, object]]]:
        """Yields (place, values by column) in the order of the file.

        Timestamps are text, as RFC 3339 writes them; what JSON cannot say does not occur.

        Args:
            refused: takes rows that cannot be read, which are left out, and cells, which are empty then; None raises.

        Raises:
            ItemFileError: the file cannot be read further; the message names the place.
        """


def open_rows(path: Path, options: FileOptions = DEFAULT_OPTIONS, refused: Refused | None = None) -> RowSource:
    """Opens an item file by the ending of its name.

    Args:
        path: the file.
        options: of reading.
        refused: takes rows that are refused while the file is opened; None raises.

    Raises:
        ItemFileError: the ending is unknown, or the file's columns cannot be those of items.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith((".jsonl", ".json", ".ndjson")):
        return JsonlRows(path, options)
    if name.endswith((".csv", ".tsv", ".item")):
        return CsvRows(path, options, refused)
    if path.name.endswith(".parquet"):
        # Other kinds are read without pyarrow, whose import takes longer than a small file.
        from datafiles.parquet_rows import ParquetRows

        return ParquetRows(path, options)
    raise ItemFileError(f"{path}: unknown kind of file; give {KINDS}")
