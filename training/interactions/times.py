"""Times of interactions: seconds since 1970 from numbers in any unit, dates as numbers, ISO 8601, parquet's types."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datafiles.options import TimeUnit
from domain.errors import InteractionFileError

# From 1971 to 2200 in each unit; the ranges do not meet, so that a number tells its unit.
_FIRST_S, _LAST_S = 31_536_000.0, 7_258_118_400.0
_PER_SECOND = {
    TimeUnit.SECONDS: 1.0,
    TimeUnit.MILLISECONDS: 1e3,
    TimeUnit.MICROSECONDS: 1e6,
    TimeUnit.NANOSECONDS: 1e9,
}
_UNITS = tuple(_PER_SECOND)
_FIRST_DATE, _LAST_DATE = 19_000_101, 22_001_231
# What programs write behind a time in UTC beside the Z.
_UTC_WORD = re.compile(r"\s+(?:UTC|GMT)$", re.IGNORECASE)
_ORDINAL = re.compile(r"(\d{4})-?(\d{3})(?=$|[T ])")
_MONTH = re.compile(r"(\d{4})-(\d\d)")


class Refuse(Protocol):
    """Maker of the error about a record, counted from 0."""

    def __call__(self, record: int, reason: str, records: np.ndarray | pa.Array | None = None) -> InteractionFileError:
        """Takes the record, the reason, and bool[m], all records that are refused for it; None for the one alone."""


def times_of_numbers(
    values: np.ndarray, unit: TimeUnit | None, refuse: Refuse
) -> tuple[np.ndarray, TimeUnit, tuple[str, ...]]:
    """Returns seconds since 1970 of times that are numbers.

    Args:
        values: float64[m], finite.
        unit: of all of them; None tells it by their size.
        refuse: makes the error of a record, counted from 0.

    Returns:
        float64[m], the unit, and notes for people.

    Raises:
        InteractionFileError: the records are in several units, or in none that gives a year from 1971 to 2200.
    """
    if unit in (TimeUnit.DAY_FIRST, TimeUnit.MONTH_FIRST):
        reason = f'"timestamp" is {values[0]:.15g}, which is not a {unit.words} (--time-unit {unit})'
        raise refuse(0, reason, np.ones(len(values), bool))
    if unit is TimeUnit.DATE:
        seconds, bad = _dates(values)
        if bad.any():
            record = int(np.flatnonzero(bad)[0])
            raise refuse(
                record, f'"timestamp" must be a date such as 20220624 (--time-unit date), found {values[record]:g}', bad
            )
        return seconds, unit, ()
    if unit is not None:
        return values / _PER_SECOND[unit], unit, ()
    if len(values) and (dates := _dates(values))[1].sum() == 0:
        return dates[0], TimeUnit.DATE, ()
    bands = _bands(values)
    named = [place for place in range(len(_UNITS)) if (bands == place).any()]
    if len(named) > 1:
        raise _mixed(values, bands, named, refuse)
    absurd = bands == len(_UNITS)
    if absurd.any():
        record = int(np.flatnonzero(absurd)[0])
        raise refuse(
            record,
            f'"timestamp" is {values[record]:.15g}: in no unit of seconds, milliseconds, microseconds or nanoseconds '
            "since 1970 a year from 1971 to 2200; correct it, or name the unit: --time-unit s, ms, us, ns or date",
            absurd,
        )
    found = _UNITS[named[0]] if named else TimeUnit.SECONDS
    if named:
        _refuse_dates_among(values, bands, found, refuse)
    notes = []
    early = int((bands < 0).sum())
    if early and named:
        record = int(np.flatnonzero(bands < 0)[0])
        notes.append(
            f"{early:,} timestamps lie before 1971 as {found.words}, for example {values[record]:g}: if they stand "
            "for a missing time, leave these records out"
        )
    elif early:
        notes.append(
            "every timestamp is a small number, a time in 1970 as seconds: if they are positions, name the column "
            "position; if they are days or years, write dates"
        )
    return values / _PER_SECOND[found], found, tuple(notes)


def _bands(values: np.ndarray) -> np.ndarray:
    """Returns int64[m]: the place of the unit in which a number is a time from 1971 to 2200; -1 below, 4 in none."""
    bands = np.full(len(values), len(_UNITS))
    for place, unit in enumerate(_UNITS):
        seconds = values / _PER_SECOND[unit]
        bands[(seconds >= _FIRST_S) & (seconds <= _LAST_S)] = place
    bands[values < _FIRST_S] = -1
    return bands


def _mixed(values: np.ndarray, bands: np.ndarray, named: Sequence[int], refuse: Refuse) -> InteractionFileError:
    counts = [int((bands == place).sum()) for place in named]
    rarest = named[int(np.argmin(counts))]
    commonest = named[len(named) - 1 - int(np.argmax(counts[::-1]))]
    record = int(np.flatnonzero(bands == rarest)[0])
    other = int(np.flatnonzero(bands == commonest)[0])
    line = _line_of(other, refuse)
    return refuse(
        record,
        f'"timestamp" is {values[record]:.19g}, {_UNITS[rarest].words}, but {values[other]:.19g} on {line} is '
        f"{_UNITS[commonest].words}: {min(counts):,} records are in one unit and {max(counts):,} in another; write all "
        "in one unit (--time-unit says which, whatever the numbers look like)",
        bands == rarest,
    )


def _refuse_dates_among(values: np.ndarray, bands: np.ndarray, unit: TimeUnit, refuse: Refuse) -> None:
    """Refuses dates such as 20220624 among times in another unit, in which they are a week of 1970."""
    dates = np.flatnonzero((bands < 0) & (values >= _FIRST_DATE) & (values <= _LAST_DATE))
    dates = dates[~_dates(values[dates])[1]]
    if not len(dates):
        return
    other = int(np.argmax(bands >= 0))
    line = _line_of(other, refuse)
    raise refuse(
        int(dates[0]),
        f'"timestamp" is {values[dates[0]]:.0f}, a date, but {values[other]:.19g} on {line} is {unit.words}: '
        f"{len(dates):,} records are dates; write all in one unit (--time-unit says which, whatever the numbers look "
        "like)",
        np.isin(np.arange(len(values)), dates),
    )


def _line_of(record: int, refuse: Refuse) -> str:
    """Returns words for the place of a record, for example "line 7"."""
    return str(refuse(record, "")).rpartition(", ")[2].rstrip(": ")


def _dates(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns seconds of numbers such as 20220624 or 20220624212011, and bool[m], those that are none."""
    seconds = np.zeros(len(values))
    long = values >= 1e13
    days = np.where(long, values // 1e6, values)
    clock = np.where(long, values - days * 1e6, 0.0)
    bad = (days < _FIRST_DATE) | (days > _LAST_DATE) | (values % 1 != 0)
    bad |= (clock % 100 >= 60) | (clock // 100 % 100 >= 60) | (clock // 1e4 >= 24)
    if bad.any():
        return seconds, bad
    distinct, place = np.unique(days, return_inverse=True)
    midnights = np.empty(len(distinct))
    wrong = np.zeros(len(distinct), bool)
    for index, day in enumerate(distinct.astype(np.int64).tolist()):
        try:
            midnights[index] = datetime(day // 10_000, day // 100 % 100, day % 100, tzinfo=UTC).timestamp()
        except ValueError:
            wrong[index] = True
    bad = wrong[place]
    of_day = (clock // 1e4) * 3_600 + (clock // 100 % 100) * 60 + clock % 100
    return np.where(bad, 0.0, midnights[place] + of_day), bad


def times_of_texts(texts: pa.Array, refuse: Refuse) -> list[float | None]:
    """Returns seconds since 1970 of times in ISO 8601, UTC where they name no zone; None where the text is missing.

    Raises:
        InteractionFileError: one is none.
    """
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ns")):
        try:
            ticks = texts.cast(kind).cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        except pa.ArrowInvalid:
            continue
        return list(pc.divide(ticks.cast(pa.float64(), safe=False), 1e6).to_pylist())
    distinct = texts.dictionary_encode()
    seconds: list[float | None] = []
    for text in distinct.dictionary.to_pylist():
        seconds.append(None if text is None else iso_seconds(text))
    bad = [place for place, second in enumerate(seconds) if second is None]
    if bad:
        raise refuse(
            distinct.indices.to_pylist().index(bad[0]),
            '"timestamp" must be seconds since 1970 or ISO 8601 (the same in every record), found '
            f'"{distinct.dictionary[bad[0]]}"; write it as 2022-06-24T21:20:11Z',
            pc.is_in(distinct.indices, pa.array(bad, distinct.indices.type)),
        )
    return [None if index is None else seconds[index] for index in distinct.indices.to_pylist()]


def iso_seconds(text: str) -> float | None:
    """Returns seconds since 1970 of one time in ISO 8601, extended or basic, also a week, an ordinal day or a month."""
    text = _UTC_WORD.sub("Z", text).replace("\u2212", "-")
    try:
        if match := _ORDINAL.match(text):
            day = date(int(match[1]), 1, 1) + timedelta(days=int(match[2]) - 1)
            if day.year != int(match[1]):  # a year has no day 0, and no more days than it has
                return None
            text = f"{day.isoformat()}{text[match.end() :]}"
        elif match := _MONTH.fullmatch(text):
            text = f"{text}-01"
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
