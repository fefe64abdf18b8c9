"""Row sources of item files: one class for each kind of file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from datafiles.csv_rows import CsvRows
from datafiles.jsonl_rows import JsonlRows
from domain.errors import ItemFileError

KINDS = ".jsonl, .jsonl.gz, .csv, .csv.gz or .parquet"


class RowSource(Protocol):
    """File of rows that is read as a stream, as often as needed."""

    path: Path
    # What a place counts: "line" or "row", from 1.
    unit: str

    def rows(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Yields (place, values by column) in the order of the file.

        Timestamps are text, as RFC 3339 writes them; what JSON cannot say does not occur.

        Raises:
            ItemFileError: the file cannot be read further; the message names the place.
        """


def open_rows(path: Path) -> RowSource:
    """Opens an item file by the ending of its name.

    Raises:
        ItemFileError: the ending is unknown, or the file's columns cannot be those of items.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith(".jsonl"):
        return JsonlRows(path)
    if name.endswith(".csv"):
        return CsvRows(path)
    if path.name.endswith(".parquet"):
        # Other kinds are read without pyarrow, whose import takes longer than a small file.
        from datafiles.parquet_rows import ParquetRows

        return ParquetRows(path)
    raise ItemFileError(f"{path}: unknown kind of file; give {KINDS}")
