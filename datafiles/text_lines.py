"""Text files of records: lines, JSON objects and CSV cells, packed or not, with the line in every error.

Each reader takes the class of its errors, so that items, reviews and others keep their own.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from domain.errors import ShortlistError

# The csv library's own limit is 128 KiB, far less than a text in a .jsonl file may have.
_CELL_LIMIT = 1 << 30
# A megabyte of gzip unpacks to a gigabyte: a line is never read whole beyond this.
_MOST_LINE_BYTES = 64 << 20

FileError = Callable[[str], ShortlistError]


def text_lines(path: Path, error_class: FileError) -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, text with its line end).

    Args:
        path: UTF-8, with or without a byte order mark; gzip where the name ends so.
        error_class: makes the error from its message.

    Raises:
        ShortlistError: the file is missing, cut off or not UTF-8, or a line is too long; the message names the line.
    """
    number = 0
    try:
        with _opened(path) as stream:
            while raw := stream.readline(_MOST_LINE_BYTES):
                number += 1
                if len(raw) == _MOST_LINE_BYTES:
                    raise error_class(
                        f"{path}, line {number}: longer than {_MOST_LINE_BYTES >> 20} MiB; is this a file of records?"
                    )
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise error_class(
            f"{path}, line {number}: not valid UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise error_class(f"{path}: after line {number}: the gzip file is damaged or cut off ({error})") from error
    except OSError as error:
        raise error_class(f"{path}: cannot be read: {error.strerror or error}") from error


def json_objects(path: Path, error_class: FileError) -> Iterator[tuple[int, dict[str, object]]]:
    """Yields (line, object) of a file with one JSON object a line; blank lines are skipped.

    Raises:
        ShortlistError: as `text_lines`, or a line holds something else.
    """
    for number, text in text_lines(path, error_class):
        if not text.strip():
            continue
        try:
            columns = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_columns)
        except json.JSONDecodeError as error:
            # The error's own text counts lines inside this one.
            raise error_class(f"{path}, line {number}: broken JSON: {error.msg} (column {error.pos + 1})") from error
        except (ValueError, RecursionError) as error:
            raise error_class(f"{path}, line {number}: broken JSON: {error}") from error
        if not isinstance(columns, dict):
            raise error_class(f"{path}, line {number}: expected one JSON object a line")
        yield number, columns


def csv_cells(path: Path, error_class: FileError, *, tabs: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yields (line, cells) of a CSV file, the header first, with stripped names; blank lines are skipped.

    Args:
        path: as of `text_lines`.
        error_class: makes the error from its message.
        tabs: whether tabs separate the cells; a quotation mark is then a character like others.

    Raises:
        ShortlistError: as `text_lines`, the CSV is broken, or a row has too many or too few cells.
    """
    csv.field_size_limit(_CELL_LIMIT)
    lines = (text for _, text in text_lines(path, error_class))
    if tabs:
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.reader(lines, strict=True)
    width = 0
    try:
        for row in reader:
            if not any(row):
                continue
            if not width:
                width = len(row)
                yield reader.line_num, [name.strip() for name in row]
                continue
            if len(row) != width:
                raise error_class(f"{path}, line {reader.line_num}: {len(row)} columns, but the header has {width}")
            yield reader.line_num, row
    except csv.Error as error:
        raise error_class(f"{path}, line {reader.line_num}: broken CSV: {error}") from error


def _opened(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not valid JSON")


def _unique_columns(pairs: list[tuple[str, object]]) -> dict[str, object]:
    columns = dict(pairs)
    if len(columns) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return columns
