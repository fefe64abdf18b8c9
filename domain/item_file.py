"""Reads item files: .jsonl, .jsonl.gz, .csv and .csv.gz, checked line by line."""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from domain.errors import ItemFileError
from domain.item import AttributeType, Item, attribute_type, item_from_json

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LIST_SUFFIX = "[]"
_LIST_SEPARATOR = "|"
# The library's own limit is 128 KiB, far less than a text in a .jsonl file may have.
_CSV_CELL_LIMIT = 1 << 30


@dataclass(frozen=True)
class Catalogue:
    """The items of a file.

    Attributes:
        items: in the order of the file.
        attribute_types: type of every attribute that occurs, by name.
    """

    items: tuple[Item, ...]
    attribute_types: dict[str, AttributeType]


def read_items(path: Path) -> Catalogue:
    """Reads and checks a whole item file.

    Args:
        path: `.jsonl` or `.jsonl.gz` (one JSON object a line), `.csv` or `.csv.gz` (a header line; a column named
            `NAME[]` is a list of strings separated by `|`; numbers and true/false are recognised by column).

    Raises:
        ItemFileError: the file is missing, empty, unreadable or holds a bad line; the message names the line.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith(".jsonl"):
        return _checked(path, _jsonl_rows(path))
    if name.endswith(".csv"):
        return _checked(path, _csv_rows(path))
    raise ItemFileError(f"{path}: unknown kind of file; give .jsonl, .jsonl.gz, .csv or .csv.gz")


def _checked(path: Path, rows: Iterable[tuple[int, dict[str, object]]]) -> Catalogue:
    """Checks each row and what must hold across rows: unique ids, one type an attribute."""
    items: list[Item] = []
    line_of: dict[str, int] = {}
    types: dict[str, tuple[AttributeType, int]] = {}
    for line, columns in rows:
        try:
            item = item_from_json(columns)
        except ValueError as error:
            raise ItemFileError(f"{path}, line {line}: {error}") from error
        first = line_of.setdefault(item.id, line)
        if first != line:
            raise ItemFileError(f'{path}, line {line}: id "{item.id}" stands on line {first} already; ids are unique')
        for name, value in item.attributes.items():
            known, known_line = types.setdefault(name, (attribute_type(value), line))
            if attribute_type(value) is not known:
                raise ItemFileError(
                    f'{path}, line {line}: attribute "{name}" is a {attribute_type(value)} here but a {known} on line '
                    f"{known_line}; an attribute has one type in the whole file"
                )
        items.append(item)
    if not items:
        raise ItemFileError(f"{path}: no items; the file is empty")
    return Catalogue(tuple(items), {name: kind for name, (kind, _) in types.items()})


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, text without the line end)."""
    number = 0
    try:
        with _opened(path) as stream:
            for number, raw in enumerate(stream, start=1):
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                yield number, text
    except UnicodeDecodeError as error:
        raise ItemFileError(
            f"{path}, line {number}: not valid UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ItemFileError(f"{path}: after line {number}: the gzip file is damaged or cut off ({error})") from error
    except OSError as error:
        raise ItemFileError(f"{path}: cannot be read: {error.strerror or error}") from error


def _opened(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def _jsonl_rows(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    for number, text in _lines(path):
        if not text.strip():
            continue
        try:
            columns = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_columns)
        except json.JSONDecodeError as error:
            # The error's own text counts lines inside this one.
            raise ItemFileError(f"{path}, line {number}: broken JSON: {error.msg} (column {error.pos + 1})") from error
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


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    csv.field_size_limit(_CSV_CELL_LIMIT)
    reader = csv.reader((text for _, text in _lines(path)), strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        header = [name.strip() for name in next((row for row in reader if row), [])]
        _check_header(path, reader.line_num, header)
        for row in reader:
            if not any(row):
                continue
            if len(row) != len(header):
                raise ItemFileError(
                    f"{path}, line {reader.line_num}: {len(row)} columns, but the header has {len(header)}"
                )
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise ItemFileError(f"{path}, line {reader.line_num}: broken CSV: {error}") from error
    types = [_csv_type(name, [row[column] for _, row in rows]) for column, name in enumerate(header)]
    for line, row in rows:
        try:
            columns = {
                name.removesuffix(_LIST_SUFFIX): _csv_value(cell, kind)
                for name, cell, kind in zip(header, row, types, strict=True)
            }
        except ValueError as error:
            raise ItemFileError(f"{path}, line {line}: {error}") from error
        yield line, columns


def _check_header(path: Path, line: int, header: list[str]) -> None:
    if not header:
        raise ItemFileError(f"{path}: no items; the file is empty")
    names = [name.removesuffix(_LIST_SUFFIX) for name in header]
    if "id" not in names or not {"title", "text"} & set(names):
        raise ItemFileError(f'{path}, line {line}: the header needs "id" and one of "title" and "text", found {names}')
    if len(set(names)) != len(names) or "" in names:
        raise ItemFileError(f"{path}, line {line}: every column needs a name of its own, found {names}")


def _csv_type(name: str, cells: list[str]) -> AttributeType:
    """Chooses a column's type; CSV itself has none."""
    if name.endswith(_LIST_SUFFIX):
        return AttributeType.STRING_LIST
    filled = [cell.strip() for cell in cells if cell.strip()]
    if name in ("id", "title", "text") or not filled:
        return AttributeType.STRING
    if name == "available" or all(cell.lower() in ("true", "false") for cell in filled):
        return AttributeType.BOOLEAN
    if all(_NUMBER.fullmatch(cell) for cell in filled):
        return AttributeType.NUMBER
    return AttributeType.STRING


def _csv_value(cell: str, kind: AttributeType) -> object:
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
