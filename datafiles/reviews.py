"""Reads files of reviews, with aspect labels where somebody labelled them."""

import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from domain.errors import ReviewFileError

POLARITIES = ("positive", "neutral", "negative")


@dataclass(frozen=True, slots=True)
class LabelledReview:
    """A review as a file holds it.

    Attributes:
        text: what was written.
        id: its own id; may be empty.
        item_id: about what; may be empty.
        user_id: by whom; may be empty.
        language: code, for example "en"; may be empty.
        aspects: polarity ("positive", "neutral", "negative") by aspect; None where nobody labelled it.
    """

    text: str
    id: str = ""
    item_id: str = ""
    user_id: str = ""
    language: str = ""
    aspects: dict[str, str] | None = field(default=None)


def read_reviews(path: Path) -> tuple[LabelledReview, ...]:
    """Reads `.jsonl` or `.csv`, also with `.gz`.

    Columns: text, and optionally id, item_id, user_id, language; `aspects` in `.jsonl` alone, a list of
    `{"aspect": ..., "polarity": "positive" | "neutral" | "negative"}`. Others are ignored.

    Raises:
        ReviewFileError: the file is missing, unreadable, empty or has a bad line; the message names the line.
    """
    name = path.name.removesuffix(".gz")
    read = _json_rows if name.endswith(".jsonl") else _csv_rows if name.endswith(".csv") else None
    if read is None:
        raise ReviewFileError(f"{path}: unknown kind of file; give .jsonl, .jsonl.gz, .csv or .csv.gz")
    reviews = []
    try:
        with _opened(path) as stream:
            for line, columns in read(stream):
                reviews.append(_review(line, columns))
    except UnicodeDecodeError as error:
        raise ReviewFileError(f"{path}: not valid UTF-8; save the file as UTF-8") from error
    except (_BadLine, csv.Error) as error:
        raise ReviewFileError(f"{path}, {error}") from error
    except (OSError, EOFError) as error:
        raise ReviewFileError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not reviews:
        raise ReviewFileError(f"{path}: no reviews; the file is empty")
    return tuple(reviews)


class _BadLine(ValueError):
    """A line that could not be taken apart; the message begins with its number."""


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _json_rows(stream: TextIO) -> Iterator[tuple[int, dict[str, object]]]:
    for line, text in enumerate(stream, start=1):
        if not text.strip():
            continue
        try:
            columns = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _BadLine(f"line {line}: broken JSON: {error}") from error
        if not isinstance(columns, dict):
            raise _BadLine(f"line {line}: expected one JSON object a line")
        yield line, columns


def _csv_rows(stream: TextIO) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.DictReader(stream, strict=True)
    for columns in reader:
        columns.pop("aspects", None)
        yield reader.line_num, dict(columns)


def _review(line: int, columns: dict[str, object]) -> LabelledReview:
    text = columns.get("text")
    if not isinstance(text, str):
        raise _BadLine(f'line {line}: "text" is missing or no string')
    words = {}
    for name in ("id", "item_id", "user_id", "language"):
        value = columns.get(name, "")
        if not isinstance(value, str | int):
            raise _BadLine(f'line {line}: "{name}" must be a string, found {value!r}')
        words[name] = str(value)
    try:
        labels = _labels(columns["aspects"]) if "aspects" in columns else None
    except ValueError as error:
        raise _BadLine(f"line {line}: {error}") from error
    return LabelledReview(text, **words, aspects=labels)


def _labels(value: object) -> dict[str, str]:
    labels: dict[str, str] = {}
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, dict) or entry.get("polarity") not in POLARITIES or not entry.get("aspect"):
            raise ValueError(
                f'"aspects" must be a list of {{"aspect": name, "polarity": one of {", ".join(POLARITIES)}}}, '
                f"found {entry!r}"
            )
        labels[str(entry["aspect"])] = str(entry["polarity"])
    return labels
