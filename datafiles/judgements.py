"""Files of search queries and of graded judgements, as tab-separated text, CSV or JSON lines."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from datafiles.json_records import json_objects
from datafiles.text_lines import csv_cells
from domain.errors import JudgementFileError

MOST_GRADE = 10
_KINDS = ".tsv, .csv or .jsonl, each also with .gz"
_Record = TypeVar("_Record")
# Item and grade by query id, in the order of the file.
Judgements = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """Query of a file.

    Attributes:
        id: what judgements name it by.
        text: what was searched for.
    """

    id: str
    text: str


def read_queries(path: Path) -> tuple[SearchQuery, ...]:
    """Reads queries: the columns query_id and text; others are ignored.

    Raises:
        JudgementFileError: the file cannot be read, has no queries, a blank text or an id twice; the message names the
            line.
    """

    def query(columns: Mapping[str, object]) -> SearchQuery:
        text = columns.get("text")
        if not isinstance(text, str) or not text.strip():
            raise ValueError('"text" is missing or blank')
        return SearchQuery(_id(columns, "query_id"), text.strip())

    queries: dict[str, SearchQuery] = {}
    for line, read in _records(path, ("query_id", "text"), query):
        if queries.setdefault(read.id, read) is not read:
            raise JudgementFileError(f'{path}, line {line}: query "{read.id}" stands there twice; ids are unique')
    if not queries:
        raise JudgementFileError(f"{path}: no queries; the file has nothing below its header")
    return tuple(queries.values())


def read_judgements(path: Path) -> dict[str, dict[str, int]]:
    """Reads judgements: the columns query_id, item_id and grade, a whole number from 0 to 10; others are ignored.

    Raises:
        JudgementFileError: the file cannot be read, has no judgements, a bad grade or an item twice for one query; the
            message names the line.
    """

    def judgement(columns: Mapping[str, object]) -> tuple[str, str, int]:
        return _id(columns, "query_id"), _id(columns, "item_id"), _grade(columns.get("grade"))

    judgements: dict[str, dict[str, int]] = {}
    for line, (query_id, item_id, grade) in _records(path, ("query_id", "item_id", "grade"), judgement):
        grades = judgements.setdefault(query_id, {})
        if item_id in grades:
            raise JudgementFileError(f'{path}, line {line}: query "{query_id}" has item "{item_id}" twice')
        grades[item_id] = grade
    if not judgements:
        raise JudgementFileError(f"{path}: no judgements; the file has nothing below its header")
    return judgements


def _records(
    path: Path, names: tuple[str, ...], read: Callable[[Mapping[str, object]], _Record]
) -> Iterator[tuple[int, _Record]]:
    for line, columns in _rows(path, names):
        try:
            yield line, read(columns)
        except ValueError as error:
            raise JudgementFileError(f"{path}, line {line}: {error}") from error


def _rows(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, Mapping[str, object]]]:
    kind = Path(path.name.removesuffix(".gz")).suffix
    if kind == ".jsonl":
        yield from json_objects(path, JudgementFileError)
        return
    if kind not in (".tsv", ".csv"):
        raise JudgementFileError(f"{path}: unknown kind of file; give {_KINDS}")
    tabs = kind == ".tsv"
    cells = csv_cells(path, JudgementFileError, delimiter="\t" if tabs else ",", quoted=not tabs)
    _, header = next(cells, (0, []))
    missing = [name for name in names if name not in header]
    if missing:
        raise JudgementFileError(f"{path}: the header needs {', '.join(names)}; {', '.join(missing)} is missing")
    for line, row in cells:
        yield line, dict(zip(header, (cell.strip() for cell in row), strict=True))


def _id(columns: Mapping[str, object], name: str) -> str:
    value = columns.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise ValueError(f'"{name}" is missing; every line needs one')
    return value


def _grade(value: object) -> int:
    try:
        grade = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        grade = -1.0
    if not 0 <= grade <= MOST_GRADE or not grade.is_integer():
        raise ValueError(f'"grade" must be a whole number from 0 to {MOST_GRADE}, found {value!r}')
    return int(grade)
