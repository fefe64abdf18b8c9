"""Text files of records: lines and CSV cells, packed or not, with the line in every error.

Each reader takes the class of its errors, so that items, reviews and others keep their own.
"""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from datafiles.options import DELIMITERS
from datafiles.refusals import Refused
from domain.errors import ShortlistError

# The csv library's own limit is 128 KiB, far less than a text in a .jsonl file may have.
_CELL_LIMIT = 1 << 30
# A megabyte of gzip unpacks to a gigabyte: a line is never read whole beyond this.
MOST_LINE_BYTES = 64 << 20

_CHUNK_BYTES = 1 << 20
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_CSV_REASONS = (
    (
        "new-line character",
        "a carriage return (CR) stands inside a line; save the file with one kind of line end, LF or CRLF",
    ),
    ("unexpected end of data", "a quotation mark that opens a cell is never closed"),
    (
        "expected after",
        "a quoted cell goes on after its closing quotation mark; write a quotation mark inside a cell twice",
    ),
)

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
            if stream.peek(2)[:2] in UTF_16:  # type: ignore[attr-defined]
                raise error_class(f"{path}, line 1: not valid UTF-8, it is UTF-16; save the file as UTF-8")
            for raw in _raw_lines(stream):
                number += 1
                if len(raw) >= MOST_LINE_BYTES:
                    raise error_class(
                        f"{path}, line {number}: longer than {MOST_LINE_BYTES >> 20} MiB; is this a file of records?"
                    )
                if number == 1 and b"\0" in raw:
                    raise error_class(f"{path}: not a text file, there are NUL bytes in it; give CSV or JSON lines")
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise error_class(
            f"{path}, line {number}: not valid UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise error_class(f"{path}: after line {number}: the gzip file is damaged or cut off ({error})") from error
    except OSError as error:
        raise error_class(f"{path}: cannot be read: {error.strerror or error}") from error


def _raw_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yields lines with their ends; in a file whose lines end with a carriage return alone, those."""
    head = stream.peek(_CHUNK_BYTES)  # type: ignore[attr-defined]
    if b"\r" not in head[:-1] or b"\n" in head:
        while raw := stream.readline(MOST_LINE_BYTES):
            yield raw
        return
    rest = b""
    while chunk := stream.read(_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\r")
        for line in lines:
            yield line.removeprefix(b"\n") + b"\n"
        if len(rest) >= MOST_LINE_BYTES:
            yield rest
            return
    if rest:
        yield rest


def first_line(path: Path, error_class: FileError) -> str:
    """Returns the first line that is not blank, without its end; "" where there is none. Raises as `text_lines`."""
    return next((text.rstrip("\r\n") for _, text in text_lines(path, error_class) if text.strip()), "")


def csv_cells(
    path: Path,
    error_class: FileError,
    *,
    delimiter: str = ",",
    quoted: bool = True,
    refused: Refused | None = None,
) -> Iterator[tuple[int, list[str]]]:
    """Yields (line, cells) of a CSV file, the header first, with stripped names; blank lines are skipped.

    Args:
        path: as of `text_lines`.
        error_class: makes the error from its message.
        delimiter: between the cells.
        quoted: whether quotation marks enclose cells; else one is a character like others.
        refused: takes rows with too many or too few cells, which are left out; None raises.

    Raises:
        ShortlistError: as `text_lines`, the CSV is broken, or a row has too many or too few cells.
    """
    csv.field_size_limit(_CELL_LIMIT)
    lines = (text for _, text in text_lines(path, error_class))
    if quoted:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    else:
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
    width = last = 0
    try:
        for row in reader:
            last = reader.line_num
            if not any(row):
                continue
            if not width:
                width = len(row)
                yield reader.line_num, [name.strip() for name in row]
                continue
            if len(row) != width:
                reason = f"{len(row)} columns, but the header has {width}"
                if refused is None:
                    raise error_class(f"{path}, line {reader.line_num}: {reason}")
                refused(reader.line_num, reason)
                continue
            yield reader.line_num, row
    except csv.Error as error:
        raise error_class(f"{path}, line {last + 1}: broken CSV: {csv_reason(error)}") from error


def csv_reason(error: csv.Error) -> str:
    """Returns what is wrong, in words for those who wrote the file."""
    text = str(error)
    return next((words for mark, words in _CSV_REASONS if mark in text), text)


def delimiter_of(header: str, kind: str, known: Callable[[str], bool]) -> str:
    """Returns what separates the names of a header line: what gives known names, else the kind's own.

    Args:
        header: the line.
        kind: ending of the file's name, for example ".csv".
        known: returns whether a name is one that is expected.
    """
    own = "\t" if kind in (".tsv", ".inter", ".item", ".tab") else ","
    scores = {}
    for delimiter in (own, *(other for other in DELIMITERS if other != own)):
        names = next(csv.reader([header], delimiter=delimiter), [])
        scores[delimiter] = (sum(known(name.strip()) for name in names) if len(names) > 1 else 0, len(names) > 1)
    best = max(scores, key=lambda delimiter: scores[delimiter])
    return best if scores[best] > scores[own] else own


def _opened(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")
