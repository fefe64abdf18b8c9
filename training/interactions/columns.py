"""Reads the columns of a file of interactions as they stand: .csv, .tsv, .jsonl, .json and .parquet, by pyarrow."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pa_parquet

from datafiles.column_names import (
    INTERACTION_NAMES,
    ColumnNames,
    looks_like_a_record,
    plain_name,
    standard_names,
)
from datafiles.json_records import json_objects
from datafiles.options import DEFAULT_OPTIONS, FileOptions
from datafiles.refusals import Refusals
from datafiles.text_lines import UTF_16, delimiter_of
from domain.errors import InteractionFileError
from training.interactions.csv_lines import CsvLines

REQUIRED_COLUMNS = ("user_id", "item_id")
OPTIONAL_COLUMNS = ("rating", "weight", "kind", "timestamp", "position", "text")
COLUMNS = REQUIRED_COLUMNS + OPTIONAL_COLUMNS

_FORMS = {form.replace("_", "") for names in INTERACTION_NAMES.values() for form in names}
_FORMS |= {name.replace("_", "") for name in COLUMNS}
_WANTED = 'expected the columns "user_id" and "item_id", and optionally ' + ", ".join(OPTIONAL_COLUMNS)
_PLAIN_TYPES = (pa.string(), pa.int64())
_BLOCK_BYTES = 16 << 20  # a record longer than a block is refused by the CSV reader
_CSV_CELL_LIMIT = 1 << 30
# Records of interactions pack to a tenth or so; a file that was made to fill the memory, to a thousandth.
_LEAST_UNPACKED_BYTES = 256 << 20
_MOST_RATIO = 100
_FILLED = re.compile(rb"\S")
_BLANK_LINE = re.compile(rb"\n[ \t\r\f\v]*\n|\n[ \t\r\f\v]+\Z")


class RecordsRefused(InteractionFileError):
    """Refusal of records for one reason.

    Attributes:
        reason: without file and place.
        records: int64[n], all of that kind, from 0, ascending.
    """

    def __init__(self, message: str, reason: str, records: np.ndarray) -> None:
        super().__init__(message)
        self.reason = reason
        self.records = records


@dataclass(frozen=True)
class Columns:
    """Columns of a file, before their values are parsed.

    Attributes:
        path: the file.
        arrays: by name; those of `COLUMNS` that the file has.
        ignored: names of its other columns.
        number: number of the line or record, from 1, that a record, from 0, stands on.
        unit: what that number counts, "line" or "record".
        notes: what was recognised, a sentence each.
        refused: names of columns that were left out since every record of theirs is refused.
    """

    path: Path
    arrays: dict[str, pa.Array]
    ignored: tuple[str, ...]
    number: Callable[[int], int]
    unit: str = "line"
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values()), ()))

    def take(self, records: np.ndarray) -> "Columns":
        """Returns the columns of some records, int64[n]."""
        places = pa.array(records)
        arrays = {name: array.take(places) for name, array in self.arrays.items()}
        return replace(self, arrays=arrays, number=lambda record: self.number(int(records[record])))

    def place(self, record: int) -> str:
        """Returns words for a record (from 0), for example "line 7"."""
        return f"{self.unit} {self.number(record)}"

    def refuse(self, record: int, reason: str, records: np.ndarray | pa.Array | None = None) -> RecordsRefused:
        """Returns the error about a record, counted from 0.

        Args:
            record: that the message names.
            reason: without file and place.
            records: bool[m], all that are refused for it; None for the one alone.
        """
        mask = records.to_numpy(zero_copy_only=False) if isinstance(records, pa.Array) else records
        all_of_them = np.array([record]) if mask is None else np.flatnonzero(mask)
        return RecordsRefused(f"{self.path}, {self.place(record)}: {reason}", reason, all_of_them)

    def refuse_all(self, reason: str) -> RecordsRefused:
        """Returns the error about every record, which names the first."""
        return self.refuse(0, reason, np.ones(len(self), bool))


def read_columns(path: Path, options: FileOptions = DEFAULT_OPTIONS, refusals: Refusals | None = None) -> Columns:
    """Reads a file's columns.

    Args:
        path: the file.
        options: names of columns and the delimiter where they are not to be recognised.
        refusals: collects records that cannot be told apart, which are left out; None raises at the first.

    Raises:
        InteractionFileError: the file is missing, damaged, empty or of another kind, or lacks a column.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet") and name == path.name:
        return _checked(_parquet_columns(path, options))
    if name.endswith((".csv", ".tsv", ".inter")):
        return _checked(_csv_columns(path, _one_line_end(_utf8_bytes(path)), options, refusals), refusals)
    if name.endswith((".jsonl", ".json", ".ndjson")):
        return _checked(_jsonl_columns(path, _one_line_end(_utf8_bytes(path)), options, refusals), refusals)
    raise InteractionFileError(
        f"{path}: unknown kind of file; give .csv, .tsv, .inter, .jsonl or .json, each also with .gz, or .parquet"
    )


def _one_line_end(data: bytes) -> bytes:
    """Returns data whose lines end with LF where they ended with CR alone."""
    return data.replace(b"\r", b"\n") if b"\r" in data and b"\n" not in data else data


def _standard(path: Path, header: list[str], options: FileOptions) -> ColumnNames:
    """Finds the standard names of a file's columns."""
    return standard_names(
        header, INTERACTION_NAMES, options, lambda message: InteractionFileError(f"{path}: {message}")
    )


def _notes(names: ColumnNames) -> tuple[str, ...]:
    return (names.note,) if names.note else ()


def _checked(columns: Columns, refusals: Refusals | None = None) -> Columns:
    if not len(columns) and refusals:
        raise InteractionFileError(f"{columns.path}: no interactions; every record is refused")
    if not len(columns):
        raise InteractionFileError(f"{columns.path}: no interactions; the file holds no records")
    return columns


def _check_names(path: Path, names: list[str], named: list[str] | None = None) -> None:
    """Checks that the columns are those of interactions; `named` are the names for the message."""
    missing = [f'"{name}"' for name in REQUIRED_COLUMNS if name not in names]
    if missing:
        present = ", ".join((named or names)[:20]) or "none"
        hint = "name it by --columns, for example --columns user_id=NAME,item_id=NAME"
        if looks_like_a_record(names):
            hint = "the first line looks like a record: name the columns by their places, --columns user_id=1,item_id=2"
        raise InteractionFileError(
            f"{path}: the column {' and '.join(missing)} is missing; {_WANTED}; found: {present}; {hint}"
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
        if data[:2] in UTF_16:
            raise InteractionFileError(f"{path}: not valid UTF-8, it is UTF-16; save the file as UTF-8") from error
        line = data.count(b"\n", 0, error.start) + 1
        raise InteractionFileError(f"{path}, line {line}: not valid UTF-8; save the file as UTF-8") from error
    return data.removeprefix(b"\xef\xbb\xbf")


def _csv_columns(path: Path, data: bytes, options: FileOptions, refusals: Refusals | None) -> Columns:
    kind = Path(path.name.removesuffix(".gz")).suffix
    delimiter = options.delimiter or delimiter_of(_first_line(data), kind, _is_known)
    header, body_start = _csv_header(data, delimiter)
    if not header:
        raise InteractionFileError(f"{path}: no interactions; the file is empty or a header line alone")
    found = _standard(path, header, options)
    names = list(found.names)
    _check_names(path, names, header)
    body_start = 0 if found.headless else body_start
    kept = [name for name in COLUMNS if name in names]
    if _FILLED.search(data, body_start) is None:
        raise InteractionFileError(f"{path}: no interactions; the file has a header and no records")
    quoted = kind != ".inter"
    parse = pa_csv.ParseOptions(
        delimiter=delimiter,
        quote_char='"' if quoted else False,
        newlines_in_values=quoted and data.find(b'"', body_start) >= 0,
    )
    lines = CsvLines(data, delimiter, quoted=quoted, headless=found.headless)
    try:
        table = _csv_table(data, body_start, names, kept, parse)
    except pa.ArrowInvalid as error:
        broken = lines.check_widths(path, len(names), refusals)
        if broken is not None or not len(lines.left_out):
            raise broken or InteractionFileError(f"{path}: broken CSV: {error}") from error
        parse.invalid_row_handler = lambda _: "skip"
        table = _csv_table(data, body_start, names, kept, parse)
    arrays = {name: table.column(name).combine_chunks() for name in kept}
    ignored = tuple(name for name in names if name not in kept)
    notes = list(_notes(found))
    if delimiter != ("\t" if kind in (".tsv", ".inter") else ","):
        words = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar (|)"}.get(delimiter, delimiter)
        notes.append(f"cells are separated by a {words}, as the header shows (--delimiter overrules)")

    return Columns(path, arrays, ignored, lines.number, notes=tuple(notes))


def _csv_table(data: bytes, start: int, names: list[str], kept: list[str], parse: pa_csv.ParseOptions) -> pa.Table:
    return pa_csv.read_csv(
        pa.BufferReader(pa.py_buffer(data).slice(start)),
        pa_csv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
        parse,
        pa_csv.ConvertOptions(include_columns=kept, column_types=dict.fromkeys(kept, pa.string())),
    )


def _first_line(data: bytes) -> str:
    line = data.lstrip(b"\r\n ").split(b"\n", 1)[0]
    return line.decode("utf-8", "replace").strip("\r")


def _is_known(name: str) -> bool:
    return plain_name(name).replace("_", "").casefold() in _FORMS


def _csv_header(data: bytes, delimiter: str) -> tuple[list[str], int]:
    """Returns the names of the columns and where the line after them starts; the rest is not decoded."""
    csv.field_size_limit(_CSV_CELL_LIMIT)
    start = 0

    def lines() -> Iterator[str]:
        nonlocal start
        with io.TextIOWrapper(io.BytesIO(data), "utf-8", newline="") as stream:
            for line in stream:
                start += len(line.encode())
                yield line

    header = next((record for record in csv.reader(lines(), delimiter=delimiter) if record), [])
    return [name.strip() for name in header], start


def _jsonl_columns(path: Path, data: bytes, options: FileOptions, refusals: Refusals | None) -> Columns:
    return _plain_jsonl_columns(path, data, options) or _any_jsonl_columns(path, options, refusals)


def _plain_jsonl_columns(path: Path, data: bytes, options: FileOptions) -> Columns | None:
    """Reads by pyarrow, ten times as fast; None where it fails, or guesses types that strings would not have."""
    try:
        table = pa_json.read_json(pa.BufferReader(data), pa_json.ReadOptions(block_size=_BLOCK_BYTES))
    except pa.ArrowException:
        return None
    found = _standard(path, table.column_names, options)
    names = list(found.names)
    number = (*_PLAIN_TYPES, pa.float64())
    plain = {"rating": number, "weight": number, "position": number, "timestamp": (*number, pa.timestamp("s"))}
    kept = [(place, name) for place, name in enumerate(names) if name in COLUMNS]
    fitting = all(table.schema.field(place).type in plain.get(name, _PLAIN_TYPES) for place, name in kept)
    lines = _filled_lines(data)
    if not fitting or len(lines) != len(table) or any(name not in names for name in REQUIRED_COLUMNS):
        return None
    arrays = {name: table.column(place).combine_chunks() for place, name in kept}
    ignored = tuple(name for name in names if name not in COLUMNS)
    return Columns(path, arrays, ignored, lambda record: lines[record], notes=_notes(found))


def _filled_lines(data: bytes) -> Sequence[int]:
    """Returns the number of every line that is not blank."""
    if data[:1].isspace() or _BLANK_LINE.search(data):
        return [number for number, text in enumerate(data.split(b"\n"), start=1) if text.strip()]
    return range(1, data.count(b"\n") + (not data.endswith(b"\n")) + 1)


def _any_jsonl_columns(path: Path, options: FileOptions, refusals: Refusals | None) -> Columns:
    records: list[dict[str, object]] = []
    lines: list[int] = []
    own: dict[str, None] = {}
    for line, record in json_objects(path, InteractionFileError, None if refusals is None else refusals.add):
        own.update(dict.fromkeys(record))
        records.append(record)
        lines.append(line)
    if not records and not refusals:
        raise InteractionFileError(f"{path}: no interactions; the file is empty or a header line alone")
    if not records:
        raise InteractionFileError(f"{path}: no interactions; every record is refused")
    found = _standard(path, list(own), options)
    _check_names(path, list(found.names), list(own))
    ignored = tuple(name for name in found.names if name not in COLUMNS)
    columns = Columns(path, {}, ignored, lambda record: lines[record], notes=_notes(found))
    kept = np.ones(len(records), bool)
    for written, name in zip(own, found.names, strict=True):
        if name in COLUMNS:
            values = [record.get(written) for record in records]
            columns.arrays[name] = _json_strings(columns, name, values, None if refusals is None else (refusals, kept))
    return columns if kept.all() else columns.take(np.flatnonzero(kept))


def _json_strings(
    columns: Columns, name: str, values: list[object], collected: tuple[Refusals, np.ndarray] | None
) -> pa.Array:
    """Returns a column as strings; CSV and JSON are then understood alike.

    Args:
        columns: to which it belongs.
        name: of the column.
        values: one for each record.
        collected: takes refusals, and bool[m] the records that are kept; None raises.
    """
    texts: list[str | None] = []

    def refuse(record: int, reason: str) -> None:
        if collected is None:
            raise columns.refuse(record, reason) from None
        collected[0].add(columns.number(record), reason)
        collected[1][record] = False
        texts[record] = None

    for record, value in enumerate(values):
        if value is None or isinstance(value, str):
            texts.append(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            texts.append(repr(value))
        else:
            texts.append(None)
            refuse(record, f'"{name}" must be a string or a number, found {type(value).__name__}')
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        for record, text in enumerate(texts):
            if text and not _encodable(text):
                refuse(record, f'"{name}" holds a lone surrogate, which is not valid UTF-8')
        return pa.array(texts, pa.string())


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _parquet_columns(path: Path, options: FileOptions) -> Columns:
    try:
        with pa_parquet.ParquetFile(path, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            found = _standard(path, schema.names, options)
            names = list(found.names)
            _check_names(path, names, [f"{field.name} ({field.type})" for field in schema])
            kept = [(written, name) for written, name in zip(schema.names, names, strict=True) if name in COLUMNS]
            table = file.read(columns=[written for written, _ in kept])
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None)
        if reason:
            raise InteractionFileError(f"{path}: cannot be read: {reason}") from error
        raise InteractionFileError(f"{path}: the parquet file is damaged or of another kind: {error}") from error
    arrays = {name: table.column(written).combine_chunks() for written, name in kept}
    absent = [name for name, array in arrays.items() if pa.types.is_null(array.type) and name not in REQUIRED_COLUMNS]
    arrays = {name: array for name, array in arrays.items() if name not in absent}
    ignored = tuple(name for name in names if name not in COLUMNS)
    return Columns(path, arrays, ignored, lambda record: record + 1, "record", _notes(found))
