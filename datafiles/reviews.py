"""Files of reviews, with aspect labels where there are any."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from datafiles.json_records import json_objects
from datafiles.text_lines import csv_cells
from domain.errors import ReviewFileError

POLARITIES = ("positive", "neutral", "negative")


@dataclass(frozen=True, slots=True)
class LabelledReview:
    """Review of a file.

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
    for line, columns in read(path):
        try:
            reviews.append(_review(columns))
        except ValueError as error:
            raise ReviewFileError(f"{path}, line {line}: {error}") from error
    if not reviews:
        raise ReviewFileError(f"{path}: no reviews; the file is empty")
    return tuple(reviews)


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    return json_objects(path, ReviewFileError)


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    cells = csv_cells(path, ReviewFileError)
    _, header = next(cells, (0, []))
    for line, row in cells:
        yield line, {name: cell for name, cell in zip(header, row, strict=True) if name != "aspects"}


def _review(columns: dict[str, object]) -> LabelledReview:
    text = columns.get("text")
    if not isinstance(text, str):
        raise ValueError('"text" is missing or no string')
    words = {}
    for name in ("id", "item_id", "user_id", "language"):
        value = columns.get(name, "")
        if not isinstance(value, str | int):
            raise ValueError(f'"{name}" must be a string, found {value!r}')
        words[name] = str(value)
    labels = _labels(columns["aspects"]) if "aspects" in columns else None
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
