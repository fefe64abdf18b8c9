"""Lines of a file of bulk work: what each asks for, or what is wrong with it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from cli.flags.call import WrongArgument

# Values are whole numbers, texts, or lists of texts; in a CSV file a list's texts are separated by "|".
_NUMBERS = ("k",)
_TEXTS = ("text", "user_id", "session_id", "profile", "language", "scene")
_LISTS = ("item_ids", "exclude_item_ids", "where", "events")
RECOMMEND_FIELDS = (*_TEXTS, *_NUMBERS, *_LISTS)
EMBED_FIELDS = ("text",)
# Half a pair, as an escape in JSON may give: no message and no file can hold it.
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class BulkLine:
    """A line of the file.

    Attributes:
        number: of the line in the file, from 1.
        id: the caller's own name for it, its `id`; None where it has none.
        values: its fields by name.
        problem: what is wrong with it; "" where nothing is.
    """

    number: int
    id: str | int | None = None
    values: Mapping[str, object] = field(default_factory=dict)
    problem: str = ""


def read_lines(path: Path, known: tuple[str, ...]) -> Iterator[BulkLine]:
    """Returns the lines that are not blank; the first is read at once.

    Args:
        path: `.csv` and `.tsv` with a header line, `.ndjson` and `.jsonl` with an object a line, all else a text a
            line; also gzip.
        known: names of the fields that a line may have, beside `id`.

    Raises:
        WrongArgument: the file cannot be read, or its header has a name that is not known.
    """
    lines = _lines(path, known)
    first = next(lines, None)
    return lines if first is None else chain((first,), lines)


def _lines(path: Path, known: tuple[str, ...]) -> Iterator[BulkLine]:
    kind = Path(path.name.removesuffix(".gz")).suffix
    if kind in (".csv", ".tsv"):
        yield from _csv_lines(path, known, "\t" if kind == ".tsv" else ",")
        return
    from datafiles.text_lines import text_lines

    for number, text in text_lines(path, WrongArgument):
        if not text.strip():
            continue
        if kind in (".ndjson", ".jsonl"):
            yield _json_line(number, text, known)
        else:
            yield BulkLine(number, values={"text": text.strip()})


def _json_line(number: int, text: str, known: tuple[str, ...]) -> BulkLine:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return BulkLine(number, problem="not a line of JSON")
    if not isinstance(record, dict):
        return BulkLine(number, problem="expected an object such as " + '{"text": "a quiet film"}')
    own = record.pop("id", None)
    if own is not None and (isinstance(own, bool) or not isinstance(own, str | int)):
        return BulkLine(number, problem="id must be a text or a whole number")
    if "\\ud" in text.lower() and SURROGATE.search(json.dumps(record, ensure_ascii=False)):
        return BulkLine(number, own, problem="a text has half a surrogate pair")
    return BulkLine(number, own, record, _problem(record, known))


def _csv_lines(path: Path, known: tuple[str, ...], own: str) -> Iterator[BulkLine]:
    from datafiles.text_lines import csv_cells, delimiter_of, first_line

    names = ("id", *known)
    delimiter = delimiter_of(first_line(path, WrongArgument), ".tsv" if own == "\t" else ".csv", names.__contains__)
    rows = csv_cells(path, WrongArgument, delimiter=delimiter)
    _, header = next(rows, (1, []))
    unknown = [name for name in header if name not in names]
    if not header or unknown:
        raise WrongArgument(
            f"{path}, line 1: {'unknown: ' + ', '.join(unknown) if unknown else 'empty'}; the header names "
            f"{', '.join(names)}, each of which may be left out"
        )
    for number, cells in rows:
        record: dict[str, object] = {
            name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()
        }
        identity = record.pop("id", None)
        for name in set(record) & set(_LISTS):
            record[name] = [part.strip() for part in str(record[name]).split("|") if part.strip()]
        for name in set(record) & set(_NUMBERS):
            text = str(record[name])
            record[name] = int(text) if text.isascii() and text.isdigit() else text
        yield BulkLine(number, None if identity is None else str(identity), record, _problem(record, known))


def _problem(record: Mapping[str, object], known: tuple[str, ...]) -> str:
    for name, value in record.items():
        if name not in known:
            return f"unknown: {name}; a line may have id, {', '.join(known)}"
        if name in _LISTS and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            return f"{name} must be a list of texts"
        if name in _TEXTS and not isinstance(value, str):
            return f"{name} must be a text"
        if name in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int)):
            return f"{name} must be a whole number"
    return ""
