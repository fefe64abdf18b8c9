"""Reads the columns of a file of interactions as they stand: .csv, .jsonl (both also .gz) and .parquet, by pyarrow."""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pa_parquet

from domain.errors import InteractionFileError

REQUIRED_COLUMNS = ("user_id", "item_id")
OPTIONAL_COLUMNS = ("rating", "weight", "kind", "timestamp", "position", "text")
COLUMNS = REQUIRED_COLUMNS + OPTIONAL_COLUMNS

_WANTED = 'expected the columns "user_id" and "item_id", and optionally ' + ", ".join(OPTIONAL_COLUMNS)
_PLAIN_TYPES = (pa.string(), pa.int64())
_BLOCK_BYTES = 16 << 20  # a record longer than a block is refused by the CSV reader
_CSV_CELL_LIMIT = 1 << 30
# Records of interactions pack to a tenth or so; a file that was made to fill the memory, to a thousandth.
_LEAST_UNPACKED_BYTES = 256 << 20
_MOST_RATIO = 100
_FILLED = re.compile(rb"\S")
_BLANK_LINE = re.compile(rb"\n[ \t\r\f\v]*\n|\n[ \t\r\f\v]+\Z")


@dataclass(frozen=True)
class Columns:
    """Columns of a file, before their values are parsed.

    Attributes:
        path: the file.
        arrays: by name; those of `COLUMNS` that the file has.
        ignored: names of its other columns.
        place: words for a record (from 0) in messages, for example "line 7".
    """

    path: Path
    arrays: dict[str, pa.Array]
    ignored: tuple[str, ...]
    place: Callable[[int], str]

    def refuse(self, record: int, reason: str) -> InteractionFileError:
        """Returns the error about a record, counted from 0."""
        return InteractionFileError(f"{self.path}, {self.place(record)}: {reason}")


def read_columns(path: Path) -> Columns:
    """Reads a file's columns.

    Raises:
        InteractionFileError: the file is missing, damaged, empty or of another kind, or lacks a column.
    """
    readers = {".csv": _csv_columns, ".jsonl": _jsonl_columns}
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet") and name == path.name:
        return _checked(_parquet_columns(path))
    reader = readers.get(Path(name).suffix)
    if reader is None:
        raise InteractionFileError(f"{path}: unknown kind of file; give .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet")
    return _checked(reader(path, _utf8_bytes(path)))


def _checked(columns: Columns) -> Columns:
    if not len(next(iter(columns.arrays.values()), ())):
        raise InteractionFileError(f"{columns.path}: no interactions; the file holds no records")
    return columns


def _check_names(path: Path, names: list[str], named: list[str] | None = None) -> None:
    """Checks that the columns are those of interactions; `named` are the names for the message."""
    missing = [f'"{name}"' for name in REQUIRED_COLUMNS if name not in names]
    if missing:
        present = ", ".join((named or names)[:20]) or "none"
        raise InteractionFileError(
            f"{path}: the column {' and '.join(missing)} is missing; {_WANTED}; found: {present}"
        )
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InteractionFileError(f"{path}: every column needs a name of its own; twice: {', '.join(twice)}")


def _utf8_bytes(path: Path) -> bytes:
    """Returns the unpacked bytes without a byte order mark, known to be UTF-8."""
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            most = max(_LEAST_UNPACKED_BYTES, _MOST_RATIO * len(data))
            with gzip.open(io.BytesIO(data)) as stream:
                data = stream.read(most + 1)
            if len(data) > most:
                raise InteractionFileError(
                    f"{path}: unpacks to more than {_MOST_RATIO} times its size, over {most >> 20:,} MiB; unpack it "
                    "yourself if it is what you want"
                )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InteractionFileError(f"{path}: the gzip file is damaged or cut off ({error})") from error
    except OSError as error:
        raise InteractionFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        str(data, "utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InteractionFileError(f"{path}, line {line}: not valid UTF-8; save the file as UTF-8") from error
    return data.removeprefix(b"\xef\xbb\xbf")


def _csv_columns(path: Path, data: bytes) -> Columns:
    names, body_start = _csv_header(data)
    if not names:
        raise InteractionFileError(f"{path}: no interactions; the file is empty")
    _check_names(path, names)
    kept = [name for name in COLUMNS if name in names]
    if _FILLED.search(data, body_start) is None:
        raise InteractionFileError(f"{path}: no interactions; the file has a header and no records")
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(pa.py_buffer(data).slice(body_start)),
            pa_csv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
            pa_csv.ParseOptions(newlines_in_values=data.find(b'"', body_start) >= 0),
            pa_csv.ConvertOptions(include_columns=kept, column_types=dict.fromkeys(kept, pa.string())),
        )
    except pa.ArrowInvalid as error:
        raise _broken_csv(path, data, len(names)) or InteractionFileError(f"{path}: broken CSV: {error}") from error
    arrays = {name: table.column(name).combine_chunks() for name in kept}
    ignored = tuple(name for name in names if name not in kept)
    return Columns(path, arrays, ignored, lambda record: f"line {_csv_line(data, record)}")


def _csv_header(data: bytes) -> tuple[list[str], int]:
    """Returns the names of the columns and where the line after them starts; the rest is not decoded."""
    csv.field_size_limit(_CSV_CELL_LIMIT)
    start = 0

    def lines() -> Iterator[str]:
        nonlocal start
        with io.TextIOWrapper(io.BytesIO(data), "utf-8", newline="") as stream:
            for line in stream:
                start += len(line.encode())
                yield line

    header = next((record for record in csv.reader(lines()) if record), [])
    return [name.strip() for name in header], start


def _csv_line(data: bytes, wanted: int) -> int:
    """Returns the line on which a record ends; walks the file, so it is for messages only."""
    reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""))
    filled = (record for record in reader if record)
    for _ in range(wanted + 2):
        next(filled, None)
    return reader.line_num


def _broken_csv(path: Path, data: bytes, column_count: int) -> InteractionFileError | None:
    reader = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
    try:
        for record in reader:
            if record and len(record) != column_count:
                return InteractionFileError(
                    f"{path}, line {reader.line_num}: {len(record)} columns, but the header has {column_count}"
                )
    except csv.Error as error:
        return InteractionFileError(f"{path}, line {reader.line_num}: broken CSV: {error}")
    return None


def _jsonl_columns(path: Path, data: bytes) -> Columns:
    return _plain_jsonl_columns(path, data) or _any_jsonl_columns(path, data)


def _plain_jsonl_columns(path: Path, data: bytes) -> Columns | None:
    """Reads by pyarrow, ten times as fast; None where it fails, or guesses types that strings would not have."""
    try:
        table = pa_json.read_json(pa.BufferReader(data), pa_json.ReadOptions(block_size=_BLOCK_BYTES))
    except pa.ArrowException:
        return None
    names = table.column_names
    number = (*_PLAIN_TYPES, pa.float64())
    plain = {"rating": number, "weight": number, "position": number, "timestamp": (*number, pa.timestamp("s"))}
    kept = [name for name in COLUMNS if name in names]
    fitting = all(table.schema.field(name).type in plain.get(name, _PLAIN_TYPES) for name in kept)
    lines = _filled_lines(data)
    if not fitting or len(lines) != len(table) or any(name not in names for name in REQUIRED_COLUMNS):
        return None
    arrays = {name: table.column(name).combine_chunks() for name in kept}
    ignored = tuple(name for name in names if name not in kept)
    return Columns(path, arrays, ignored, lambda record: f"line {lines[record]}")


def _filled_lines(data: bytes) -> Sequence[int]:
    """Returns the number of every line that is not blank."""
    if data[:1].isspace() or _BLANK_LINE.search(data):
        return [number for number, text in enumerate(data.split(b"\n"), start=1) if text.strip()]
    return range(1, data.count(b"\n") + (not data.endswith(b"\n")) + 1)


def _any_jsonl_columns(path: Path, data: bytes) -> Columns:
    records: list[dict[str, object]] = []
    lines: list[int] = []
    names: dict[str, None] = {}
    for line, text in enumerate(data.split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InteractionFileError(f"{path}, line {line}: broken JSON: {error}") from error
        if not isinstance(record, dict):
            raise InteractionFileError(f"{path}, line {line}: expected one JSON object a line")
        names.update(dict.fromkeys(record))
        records.append(record)
        lines.append(line)
    if not records:
        raise InteractionFileError(f"{path}: no interactions; the file is empty")
    _check_names(path, list(names))
    columns = Columns(
        path, {}, tuple(name for name in names if name not in COLUMNS), lambda record: f"line {lines[record]}"
    )
    columns.arrays.update(
        {
            name: _json_strings(columns, name, [record.get(name) for record in records])
            for name in COLUMNS
            if name in names
        }
    )
    return columns


def _json_strings(columns: Columns, name: str, values: list[object]) -> pa.Array:
    """Returns a column as strings; CSV and JSON are then understood alike."""
    texts: list[str | None] = []
    for record, value in enumerate(values):
        if value is None or isinstance(value, str):
            texts.append(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            texts.append(repr(value))
        else:
            raise columns.refuse(record, f'"{name}" must be a string or a number, found {type(value).__name__}')
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        record = next(place for place, text in enumerate(texts) if text and not _encodable(text))
        raise columns.refuse(record, f'"{name}" holds a lone surrogate, which is not valid UTF-8') from None


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _parquet_columns(path: Path) -> Columns:
    try:
        with pa_parquet.ParquetFile(path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            _check_names(path, names, [f"{field.name} ({field.type})" for field in file.schema_arrow])
            kept = [name for name in COLUMNS if name in names]
            table = file.read(columns=kept)
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None)
        if reason:
            raise InteractionFileError(f"{path}: cannot be read: {reason}") from error
        raise InteractionFileError(f"{path}: the parquet file is damaged or of another kind: {error}") from error
    arrays = {name: table.column(name).combine_chunks() for name in kept}
    ignored = tuple(name for name in names if name not in kept)
    return Columns(path, arrays, ignored, lambda record: f"record {record + 1}")
