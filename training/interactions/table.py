"""Table of interactions: distinct ids and arrays, read from files that are checked record by record."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.event import EventKind
from training.interactions.columns import Columns, read_columns

KINDS = tuple(EventKind)
_PLACE_OF_KIND = {kind.value: place for place, kind in enumerate(KINDS)}

# The year 5138 in seconds, the spring of 1973 in milliseconds.
_MILLISECONDS_ABOVE = 1e11


@dataclass(frozen=True)
class Interactions:
    """Interactions of users with items, in the order of the file.

    Attributes:
        user_ids: distinct, sorted as strings.
        item_ids: distinct, sorted as strings.
        user: int64[m], places in `user_ids`.
        item: int64[m], places in `item_ids`.
        order: float64[m], sort key of a user's events: the time, else the position, else the place in the file; equal
            keys keep the file's order.
        time_s: float64[m], seconds since 1970 UTC; None where the file has no times.
        rating: float64[m], NaN where a record has a kind instead; None where the file has no ratings.
        weight: float64[m]; None where the file has no weights.
        kind: int64[m], places in `list(EventKind)`; None where the file has no kinds.
        text: object[m] of str, "" for no text; None where the file has no texts.
        notes: hints for people, for example ignored columns.
    """

    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    user: np.ndarray
    item: np.ndarray
    order: np.ndarray
    time_s: np.ndarray | None = None
    rating: np.ndarray | None = None
    weight: np.ndarray | None = None
    kind: np.ndarray | None = None
    text: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.user)

    def take(self, places: np.ndarray) -> "Interactions":
        """Returns the records of a mask or at places; ids that no longer occur are dropped."""
        user_places, user = np.unique(self.user[places], return_inverse=True)
        item_places, item = np.unique(self.item[places], return_inverse=True)
        names = ("time_s", "rating", "weight", "kind", "text")
        optional: dict[str, Any] = {name: array[places] for name in names if (array := getattr(self, name)) is not None}
        return replace(
            self,
            user_ids=tuple(self.user_ids[place] for place in user_places),
            item_ids=tuple(self.item_ids[place] for place in item_places),
            user=user.astype(np.int64),
            item=item.astype(np.int64),
            order=self.order[places],
            **optional,
        )


def read_interactions(path: Path) -> Interactions:
    """Reads and checks a file of interactions.

    Args:
        path: .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet with the columns user_id and item_id, and optionally rating,
            weight, kind (a word of `EventKind`), timestamp (seconds since 1970, or ISO 8601, UTC where it names no
            zone), position, text. Other columns are ignored, with a note.

    Raises:
        InteractionFileError: the file cannot be read, or a record is bad; the message names the line.
    """
    columns = read_columns(path)
    arrays = columns.arrays
    user_ids, user = _ids(columns, "user_id")
    item_ids, item = _ids(columns, "item_id")
    notes = [f"ignored columns: {', '.join(columns.ignored)}"] if columns.ignored else []
    time_s = _times(columns, notes) if "timestamp" in arrays else None
    order = time_s
    if order is None and "position" in arrays:
        order = _numbers(columns, "position")
    if order is None:
        order = np.arange(len(user), dtype=np.float64)
        notes.append("no timestamp and no position: the order of the file counts as the order of time")
    return Interactions(
        user_ids,
        item_ids,
        user,
        item,
        order,
        time_s,
        _numbers(columns, "rating", may_be_empty="kind" in arrays) if "rating" in arrays else None,
        _numbers(columns, "weight") if "weight" in arrays else None,
        _kinds(columns) if "kind" in arrays else None,
        _texts(columns) if "text" in arrays else None,
        tuple(notes),
    )


def _ids(columns: Columns, name: str) -> tuple[tuple[str, ...], np.ndarray]:
    array = columns.arrays[name]
    if not (_is_text(array.type) or pa.types.is_integer(array.type)):
        raise columns.refuse(0, f'"{name}" must be a string or a whole number, found the type {array.type}')
    texts = array.cast(pa.string()).dictionary_encode()
    distinct = texts.dictionary.to_pylist()
    empty = [place for place, text in enumerate(distinct) if not text.strip()]
    bad = pc.or_kleene(pc.is_null(texts.indices), pc.is_in(texts.indices, pa.array(empty, texts.indices.type)))
    if (record := _first(bad)) is not None:
        raise columns.refuse(record, f'"{name}" is empty; every interaction needs one')
    in_order = sorted(range(len(distinct)), key=distinct.__getitem__)
    place_of = np.empty(len(distinct), np.int64)
    place_of[in_order] = np.arange(len(distinct))
    return tuple(distinct[place] for place in in_order), place_of[texts.indices.to_numpy(zero_copy_only=False)]


def _numbers(columns: Columns, name: str, *, may_be_empty: bool = False) -> np.ndarray:
    array = columns.arrays[name]
    if _is_text(array.type):
        array = _parsed_numbers(columns, name)
    elif not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type)):
        raise columns.refuse(0, f'"{name}" must be a number, found the type {array.type}')
    array = array.cast(pa.float64())
    if not may_be_empty and (record := _first(pc.is_null(array))) is not None:
        raise columns.refuse(record, f'"{name}" is empty; give a number in every record or leave the column out')
    if (record := _first(pc.invert(pc.fill_null(pc.is_finite(array), True)))) is not None:
        raise columns.refuse(record, f'"{name}" is {array[record].as_py()}; give a finite number')
    return np.array(array.to_numpy(zero_copy_only=False), np.float64)


def _parsed_numbers(columns: Columns, name: str) -> pa.Array:
    texts = _trimmed(columns.arrays[name])
    try:
        return texts.cast(pa.float64())
    except pa.ArrowInvalid:
        record = next(place for place, text in enumerate(texts.to_pylist()) if not _is_number(text))
        raise columns.refuse(record, f'"{name}" must be a number, found "{texts[record]}"') from None


def _is_number(text: str | None) -> bool:
    try:
        pa.array([text], pa.string()).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _times(columns: Columns, notes: list[str]) -> np.ndarray:
    array = columns.arrays["timestamp"]
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("us")).cast(pa.int64())
        array = pc.divide(array.cast(pa.float64(), safe=False), 1e6)
        return _numbers(_with(columns, "timestamp", array), "timestamp")
    texts = _trimmed(array) if _is_text(array.type) else None
    if texts is not None and any(text and not _is_number(text) for text in texts[:1].to_pylist()):
        array = pa.array(_iso_seconds(columns, texts), pa.float64())
        return _numbers(_with(columns, "timestamp", array), "timestamp")
    seconds = _numbers(columns, "timestamp")
    if np.median(seconds) > _MILLISECONDS_ABOVE:
        notes.append("timestamps are past the year 5000 as seconds, so they were read as milliseconds")
        seconds /= 1e3
    return seconds


def _iso_seconds(columns: Columns, texts: pa.Array) -> Sequence[float | None]:
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            micros = texts.cast(kind).cast(pa.int64())
        except pa.ArrowInvalid:
            continue
        divided: Sequence[float | None] = pc.divide(micros.cast(pa.float64(), safe=False), 1e6)
        return divided
    seconds: list[float | None] = []
    for record, text in enumerate(texts.to_pylist()):
        try:
            time = datetime.fromisoformat(text) if text else None
        except ValueError:
            raise columns.refuse(
                record, f'"timestamp" must be seconds since 1970 or ISO 8601 (the same in every record), found "{text}"'
            ) from None
        if time is not None and time.tzinfo is None:
            time = time.replace(tzinfo=UTC)
        seconds.append(time.timestamp() if time else None)
    return seconds


def _kinds(columns: Columns) -> np.ndarray:
    array = columns.arrays["kind"]
    if not _is_text(array.type):
        raise columns.refuse(0, f'"kind" must be a word, found the type {array.type}')
    words = pc.utf8_lower(pc.utf8_trim_whitespace(array.cast(pa.string()))).dictionary_encode()
    places = pa.array([_PLACE_OF_KIND.get(word) for word in words.dictionary.to_pylist()], pa.int64())
    kinds = places.take(words.indices)
    if (record := _first(pc.is_null(kinds))) is not None:
        raise columns.refuse(record, f'"kind" must be one of {", ".join(_PLACE_OF_KIND)}, found "{array[record]}"')
    return np.array(kinds.to_numpy(zero_copy_only=False), np.int64)


def _texts(columns: Columns) -> np.ndarray:
    array = columns.arrays["text"]
    if pa.types.is_null(array.type):
        array = array.cast(pa.string())
    if not _is_text(array.type):
        raise columns.refuse(0, f'"text" must be a string, found the type {array.type}')
    return np.asarray(pc.fill_null(array.cast(pa.string()), "").to_numpy(zero_copy_only=False))


def _trimmed(array: pa.Array) -> pa.Array:
    texts = pc.utf8_trim_whitespace(array.cast(pa.string()))
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _first(mask: pa.Array) -> int | None:
    """Returns the first record of a mask that is true."""
    record = pc.index(mask, pa.scalar(value=True)).as_py()
    return None if record < 0 else record


def _with(columns: Columns, name: str, array: pa.Array) -> Columns:
    return replace(columns, arrays={**columns.arrays, name: array})
