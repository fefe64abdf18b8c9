"""Table of interactions: distinct ids and arrays, read from files that are checked record by record."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datafiles.numerals import Numeral, read_numeral
from datafiles.options import DEFAULT_OPTIONS, FileOptions, TimeUnit
from datafiles.parquet_rows import is_text
from datafiles.refusals import Refusals
from datafiles.report import ReadingReport
from domain.errors import InteractionFileError
from domain.event import EventKind
from training.interactions.columns import Columns, RecordsRefused, read_columns
from training.interactions.ids import as_strings, first_true, read_ids
from training.interactions.numeric_dates import numeric_dates
from training.interactions.refused import without_refused
from training.interactions.times import iso_seconds, times_of_numbers, times_of_texts

KINDS = tuple(EventKind)
# All that a cast takes for a number, and a little more.
_LIKE_A_NUMBER = r"(?i)^[+-]?(?:[0-9.]+(?:e[+-]?[0-9]+)?|inf|infinity|nan)$"
# What most numbers look like; a cast takes them all, and costs ten times as much for one alone.
_PLAIN_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_PLACE_OF_KIND = {kind.value: place for place, kind in enumerate(KINDS)}
# Word of an export for an item that lists showed and the user never touched.
IMPRESSION = "impression"
# A point before three digits, in a number that has nothing else.
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")


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
        time_words: how times were read, for example "seconds since 1970"; empty without times.
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
    time_words: str = ""

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


def read_interactions(
    path: Path, options: FileOptions = DEFAULT_OPTIONS, refusals: Refusals | None = None
) -> Interactions:
    """Reads and checks a file of interactions.

    Args:
        path: .csv, .tsv, .inter, .jsonl or .json, each also with .gz, or .parquet; with the columns user_id and
            item_id, and optionally rating, weight, kind (a word of `EventKind`, or "impression"), timestamp (a
            number since 1970 in a unit that is told by its size, a date such as 20220624, or ISO 8601, UTC where it
            names no zone), position, text; usual other names are recognised, with a note. Other columns are ignored,
            with a note.
        options: names of columns and the unit of times where they are not to be recognised.
        refusals: collects bad records, which are left out, and reading goes on; None raises at the first.

    Raises:
        InteractionFileError: the file cannot be read, or a record is bad; the message names the line.
    """
    columns = read_columns(path, options, refusals)
    if refusals is None:
        return _read(columns, options)
    refusals.unit = columns.unit
    try:
        return _read(columns, options)
    except RecordsRefused:
        return _read(without_refused(columns, _readers(columns, options), refusals), options)


def _readers(columns: Columns, options: FileOptions) -> dict[str, Callable[[Columns], object]]:
    """Returns what reads each column of a file, for the sake of its refusals; in the order in which `_read` does."""
    report, with_kinds = ReadingReport(columns.unit), "kind" in columns.arrays
    readers: dict[str, Callable[[Columns], object]] = {
        "user_id": lambda some: read_ids(some, "user_id", options, report),
        "item_id": lambda some: read_ids(some, "item_id", options, report),
        "timestamp": lambda some: _times(some, options, []),
        "position": lambda some: _numbers(some, "position", []),
        "rating": lambda some: _numbers(some, "rating", [], may_be_empty=with_kinds),
        "weight": lambda some: _numbers(some, "weight", []),
        "kind": _kinds,
        "text": _texts,
    }
    if "timestamp" in columns.arrays:
        del readers["position"]  # times are what counts
    return readers


def _read(columns: Columns, options: FileOptions) -> Interactions:
    arrays = columns.arrays
    report = ReadingReport(columns.unit)
    user_ids, user = read_ids(columns, "user_id", options, report)
    item_ids, item = read_ids(columns, "item_id", options, report)
    notes = [*columns.notes]
    notes += [f"ignored columns: {', '.join(columns.ignored)}"] if columns.ignored else []
    notes += report.notes()
    time_words = ""
    time_s = None
    if "timestamp" in arrays:
        time_s, time_words = _times(columns, options, notes)
    order = time_s
    if order is None and "position" in arrays:
        order = _numbers(columns, "position", notes)
    if order is None:
        order = np.arange(len(user), dtype=np.float64)
        if not {"timestamp", "position"} & set(columns.refused):
            notes.append("no timestamp and no position: the order of the file counts as the order of time")
    read = Interactions(
        user_ids,
        item_ids,
        user,
        item,
        order,
        time_s,
        _numbers(columns, "rating", notes, may_be_empty="kind" in arrays) if "rating" in arrays else None,
        _numbers(columns, "weight", notes) if "weight" in arrays else None,
        _kinds(columns) if "kind" in arrays else None,
        _texts(columns) if "text" in arrays else None,
        tuple(notes),
        time_words,
    )
    return _with_ids(columns.path, read)


def _with_ids(path: Path, read: Interactions) -> Interactions:
    """Leaves out records without a user or an item, where this was asked for."""
    kept = (read.user >= 0) & (read.item >= 0)
    if kept.all():
        return read
    if not kept.any():
        raise InteractionFileError(f"{path}: no interactions; no record has both a user and an item")
    note = f"{int((~kept).sum()):,} records have no user or no item and were left out (--missing)"
    return replace(read.take(np.flatnonzero(kept)), notes=(*read.notes, note))


def _numbers(columns: Columns, name: str, notes: list[str], *, may_be_empty: bool = False) -> np.ndarray:
    array = columns.arrays[name]
    if is_text(array.type):
        array = _parsed_numbers(columns, name, notes)
    elif not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type)):
        raise columns.refuse_all(f'"{name}" must be a number, found the type {array.type}')
    array = array.cast(pa.float64(), safe=False)
    if not may_be_empty and (record := first_true(pc.is_null(array))) is not None:
        what = "time" if name == "timestamp" else "number"
        reason = f'"{name}" is empty; give a {what} in every record or leave the column out'
        raise columns.refuse(record, reason, pc.is_null(array))
    infinite = pc.invert(pc.fill_null(pc.is_finite(array), True))
    if (record := first_true(infinite)) is not None:
        raise columns.refuse(record, f'"{name}" is {array[record].as_py()}; give a finite number', infinite)
    return np.array(array.to_numpy(zero_copy_only=False), np.float64)


def _parsed_numbers(columns: Columns, name: str, notes: list[str]) -> pa.Array:
    texts = _trimmed(columns.arrays[name])
    try:
        return texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return _dressed_numbers(columns, name, texts, notes)


def _dressed_numbers(columns: Columns, name: str, texts: pa.Array, notes: list[str]) -> pa.Array:
    """Reads numbers with decimal commas, thousands separators or currencies among plain ones."""
    listed = texts.to_pylist()
    odd = {text: read_numeral(text) for text in set(listed) - {None} if not _is_number(text)}
    comma = True if any(one is not None and one.comma is True for one in odd.values()) else None
    bad = [record for record, text in enumerate(listed) if text in odd and odd[text] is None]
    if bad:
        reason = f'"{name}" must be a number, found "{listed[bad[0]]}"'
        raise columns.refuse(bad[0], reason, np.isin(np.arange(len(listed)), bad))
    values = {text: read_numeral(text, comma_is_point=comma) for text in odd}
    grouped = [record for record, text in enumerate(listed) if comma and text and _GROUPED.fullmatch(text)]
    if grouped:
        notes.append(
            f"{name}: {len(grouped):,} numbers such as {listed[grouped[0]]} ({columns.place(grouped[0])}) were read "
            "with the point between thousands, since others have a decimal comma; write them without it if it is none"
        )
    for record in grouped:
        listed[record] = listed[record].replace(".", "")
    found = [values[text] if text in odd else text for text in listed]
    numbers = [float(one.value) if isinstance(one, Numeral) else None if one is None else float(one) for one in found]
    return pa.array(numbers, pa.float64())


def _is_number(text: str | None) -> bool:
    if text is not None and _PLAIN_NUMBER.fullmatch(text):
        return True
    try:
        pa.array([text], pa.string()).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _times(columns: Columns, options: FileOptions, notes: list[str]) -> tuple[np.ndarray, str]:
    array = columns.arrays["timestamp"]
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        array = pc.divide(array.cast(pa.float64(), safe=False), 1e6)
        return _numbers(_with(columns, "timestamp", array), "timestamp", notes), "times of the file"
    texts = _trimmed(array) if is_text(array.type) else None
    if texts is not None and (dates := numeric_dates(texts, options.time_unit, columns.refuse)) is not None:
        seconds_or_none, unit = dates
        if options.time_unit is not unit:
            notes.append(f"timestamps were read as {unit.words}s, as numbers above 12 show; --time-unit overrules")
        array = pa.array(seconds_or_none, pa.float64())
        return _numbers(_with(columns, "timestamp", array), "timestamp", notes), f"{unit.words}s"
    if texts is not None and not _all_numbers(texts):
        _refuse_mixed_forms(columns, texts)
        array = pa.array(times_of_texts(texts, columns.refuse), pa.float64())
        return _numbers(_with(columns, "timestamp", array), "timestamp", notes), "ISO 8601"
    values = _numbers(columns, "timestamp", notes)
    seconds, unit, doubts = times_of_numbers(values, options.time_unit, columns.refuse)
    notes.extend(doubts)
    if unit is not TimeUnit.SECONDS and options.time_unit is None:
        notes.append(f"timestamps were read as {unit.words}, by their size; --time-unit overrules")
    return seconds, unit.words


def _all_numbers(texts: pa.Array) -> bool:
    try:
        texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _refuse_mixed_forms(columns: Columns, texts: pa.Array) -> None:
    """Refuses a column in which most times are numbers, or some are beside those in ISO 8601."""
    likely = pc.unique(texts.filter(pc.match_substring_regex(texts, _LIKE_A_NUMBER))).to_pylist()
    # 20220624 is a date in ISO 8601's basic form, also beside 20220624T212011Z.
    found = [text for text in likely if _is_number(text) and iso_seconds(text) is None]
    if found:
        numbers = pc.is_in(texts, value_set=pa.array(found, pa.string()))
        yes = pa.scalar(value=True)
        number = pc.index(numbers, yes).as_py()
        other = pc.index(pc.and_(pc.invert(numbers), pc.is_valid(texts)), yes).as_py()
        count = pc.sum(numbers).as_py()
        most_are_numbers = count > len(texts) - count
        rarer = _others_like(texts, texts[other].as_py(), found) if most_are_numbers else numbers
        raise columns.refuse(
            other if most_are_numbers else number,
            f'"timestamp" must be seconds since 1970 or ISO 8601 (the same in every record), found '
            f'"{texts[number]}" and "{texts[other]}"',
            pc.fill_null(rarer, False),
        )


def _others_like(texts: pa.Array, text: str, numbers: list[str]) -> pa.Array:
    """Returns a mask of the times in ISO 8601 if a text is one, else of what is neither that nor one of the numbers."""
    is_iso = iso_seconds(text) is not None
    others = set(pc.unique(texts).to_pylist()) - {None, *numbers}
    alike = [other for other in others if (iso_seconds(other) is not None) is is_iso]
    return pc.is_in(texts, value_set=pa.array(alike, pa.string()))


def _kinds(columns: Columns) -> np.ndarray:
    array = columns.arrays["kind"]
    if not is_text(array.type):
        raise columns.refuse_all(f'"kind" must be a word, found the type {array.type}')
    words = pc.utf8_lower(pc.utf8_trim_whitespace(as_strings(array))).dictionary_encode()
    # What was shown and not touched was met, but not chosen: as models learn, the same as what was hidden.
    known = _PLACE_OF_KIND | {IMPRESSION: _PLACE_OF_KIND[EventKind.DISLIKE.value]}
    places = pa.array([known.get(word) for word in words.dictionary.to_pylist()], pa.int64())
    kinds = places.take(words.indices)
    if (record := first_true(pc.is_null(kinds))) is not None:
        reason = f'"kind" must be one of {", ".join(_PLACE_OF_KIND)}, found "{array[record]}"'
        raise columns.refuse(record, reason, pc.is_null(kinds))
    return np.array(kinds.to_numpy(zero_copy_only=False), np.int64)


def _texts(columns: Columns) -> np.ndarray:
    array = columns.arrays["text"]
    if pa.types.is_null(array.type):
        array = array.cast(pa.string())
    if not is_text(array.type):
        raise columns.refuse_all(f'"text" must be a string, found the type {array.type}')
    return np.asarray(pc.fill_null(as_strings(array), "").to_numpy(zero_copy_only=False))


def _trimmed(array: pa.Array) -> pa.Array:
    texts = pc.utf8_trim_whitespace(as_strings(array))
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _with(columns: Columns, name: str, array: pa.Array) -> Columns:
    return replace(columns, arrays={**columns.arrays, name: array})
