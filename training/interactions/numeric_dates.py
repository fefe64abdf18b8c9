"""Dates as people write them in numbers, 24.06.2022 or 6/24/2022: read where the file tells which number is the day."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from datafiles.options import TimeUnit
from training.interactions.times import Refuse

_FORM = re.compile(
    r"(?P<first>\d{1,2})(?P<mark>[./-])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4})"
    r"(?:(?:,? +|T)(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<rest>\d\d(?:\.\d{1,6})?))?)?"
)
_LARGEST_MONTH = 12


def numeric_dates(texts: pa.Array, unit: TimeUnit | None, refuse: Refuse) -> tuple[list[float | None], TimeUnit] | None:
    """Reads dates whose day, month and year are numbers with the year last, with or without a time of day, as UTC.

    Args:
        texts: strings, trimmed; null where there is none.
        unit: `DAY_FIRST` or `MONTH_FIRST` where that was asked for; else the file has to tell.
        refuse: makes the error of a record, counted from 0.

    Returns:
        Seconds since 1970, None where the text is missing, and the order; None where no text is of this form.

    Raises:
        InteractionFileError: a text is of another form or is no date, or the file does not tell which number is the
            day, or says both.
    """
    encoded = texts.dictionary_encode()
    distinct: list[str] = encoded.dictionary.to_pylist()
    matches = [_FORM.fullmatch(text) for text in distinct]
    if not any(matches):
        return None
    places = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)

    def record_of(place: int) -> int:
        return int(np.argmax(places == place))

    def records_of(some: Iterable[int]) -> np.ndarray:
        return np.isin(places, list(some))

    other = next((place for place, match in enumerate(matches) if match is None), None)
    if other is not None:
        dated = next(place for place, match in enumerate(matches) if match is not None)
        others = records_of(place for place, match in enumerate(matches) if match is None)
        raise refuse(
            record_of(other),
            f'"timestamp" is "{distinct[other]}", but "{distinct[dated]}" elsewhere; write all times in one form, best '
            "as 2022-06-24T21:20:11Z",
            # Where dates of this form are the fewer, they are what has to be corrected.
            others if others.sum() <= len(texts) - others.sum() else ~others & (places >= 0),
        )
    found = [match for match in matches if match is not None]
    if unit not in (TimeUnit.DAY_FIRST, TimeUnit.MONTH_FIRST):
        unit = _order(found, records_of, refuse)
    seconds = [_seconds(match, unit) for match in found]
    bad = [place for place, second in enumerate(seconds) if second is None]
    if bad:
        reason = f'"timestamp" is "{distinct[bad[0]]}", which is not a {unit.words}'
        raise refuse(record_of(bad[0]), reason, records_of(bad))
    return [None if place < 0 else seconds[place] for place in places.tolist()], unit


def _order(
    matches: "list[re.Match[str]]", records_of: Callable[[Iterable[int]], np.ndarray], refuse: Refuse
) -> TimeUnit:
    """Returns the order that the numbers above twelve tell.

    Raises:
        InteractionFileError: there are none, or some in either place.
    """
    first = next((place for place, match in enumerate(matches) if int(match["first"]) > _LARGEST_MONTH), None)
    second = next((place for place, match in enumerate(matches) if int(match["second"]) > _LARGEST_MONTH), None)
    if first is not None and second is not None:
        day_first = [place for place, match in enumerate(matches) if int(match["first"]) > _LARGEST_MONTH]
        raise refuse(
            int(np.argmax(records_of([first]))),
            f'"timestamp" is "{matches[first][0]}", with the day first, but "{matches[second][0]}" elsewhere has the '
            "month first; write all dates in one form, best as 2022-06-24",
            records_of(day_first),
        )
    if first is None and second is None:
        every = records_of(range(len(matches)))
        raise refuse(
            int(np.argmax(records_of([0]))),
            f'"timestamp" is "{matches[0][0]}": no date of the file tells whether the day or the month comes first; '
            "give --time-unit dmy or --time-unit mdy",
            every,
        )
    return TimeUnit.DAY_FIRST if first is not None else TimeUnit.MONTH_FIRST


def _seconds(match: "re.Match[str]", unit: TimeUnit) -> float | None:
    first, second = int(match["first"]), int(match["second"])
    day, month = (first, second) if unit is TimeUnit.DAY_FIRST else (second, first)
    rest = float(match["rest"] or 0)
    try:
        date = datetime(int(match["year"]), month, day, int(match["hour"] or 0), int(match["minute"] or 0), tzinfo=UTC)
    except ValueError:
        return None
    return date.timestamp() + rest if rest < 60 else None
