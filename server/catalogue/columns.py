"""Attributes of changed items by entry: columns that only grow, with the tests of conditions."""

from collections.abc import Mapping

import numpy as np

from core.growing import GrowingArray, Postings
from domain.condition import (
    EARTH_RADIUS_KM,
    AnyNumber,
    AnyOf,
    Condition,
    Equals,
    Exists,
    GeoRadius,
    Range,
    TimeRange,
    folded,
)
from domain.item import AttributeValue
from domain.timestamp import Timestamp


class _Numbers:
    """Numbers of one attribute by entry; NaN where an entry has none."""

    def __init__(self, count: int) -> None:
        self.values = GrowingArray((), np.float64)
        self.nanos = GrowingArray((), np.int32)
        self.pad(count)

    def pad(self, count: int) -> None:
        missing = count - len(self.values)
        self.nanos.append(np.zeros(missing, np.int32))
        self.values.append(np.full(missing, np.nan))

    def append(self, count: int, value: float, nanos: int) -> None:
        self.pad(count)
        self.nanos.append(np.asarray([nanos], np.int32))
        self.values.append(np.asarray([value]))


class EntryColumns:
    """Attributes by entry. One thread appends; readers look at the entries below a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, _Numbers] = {}
        self._strings: dict[str, Postings] = {}
        self._having = Postings()
        self._count = 0

    def append(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Appends the next entry."""
        for name, value in attributes.items():
            self._having.append(name, self._count)
            if isinstance(value, str):
                self._strings.setdefault(name, Postings()).append(value, self._count)
            elif isinstance(value, tuple):
                for entry in dict.fromkeys(value):
                    self._strings.setdefault(name, Postings()).append(entry, self._count)
            else:
                number, nanos = (value.seconds, value.nanos) if isinstance(value, Timestamp) else (value, 0)
                if name not in self._numbers:
                    self._numbers[name] = _Numbers(self._count)
                self._numbers[name].append(self._count, float(number), nanos)
        self._count += 1

    def met(self, condition: Condition, end: int) -> np.ndarray:
        """Returns bool[end], the entries that meet a condition."""
        met = self._passed(condition, end)
        return ~met if condition.negate else met

    def numbers(self, name: str, entries: np.ndarray) -> np.ndarray:
        """Returns float64[m], an attribute of entries; NaN where they have none."""
        column = self._numbers.get(name)
        if column is None:
            return np.full(len(entries), np.nan)
        # The length first: the array may be exchanged for a longer one, never for a shorter one.
        known = entries < len(column.values)
        found = np.full(len(entries), np.nan)
        found[known] = column.values.array[entries[known]]
        return found

    def _passed(self, condition: Condition, end: int) -> np.ndarray:
        passed = np.zeros(end, bool)
        test = condition.test
        if isinstance(test, Exists):
            passed[self._having.of(condition.attribute, end)] = True
            return passed if test.value else ~passed
        if isinstance(test, AnyOf):
            strings = self._strings.get(condition.attribute)
            if strings is not None:
                passed[strings.of_any(_written(test, strings), end)] = True
            return passed
        if isinstance(test, GeoRadius):
            entries = np.arange(end)
            pair = (self.numbers(name, entries) for name in (condition.attribute, test.longitude_attribute))
            passed[rows_within(test, *pair)] = True
            return passed
        column = self._numbers.get(condition.attribute)
        if column is not None:
            count = min(end, len(column.values))
            passed[:count] = numbers_pass(test, column.values.array[:count], column.nanos.array[:count])
        return passed


def _written(test: AnyOf, strings: Postings) -> list[str]:
    """Returns the strings of a column that a test names, as they are written."""
    if not test.ignore_case:
        return [value for value in test.values if value in strings]
    wanted = folded(test)
    return [value for value in strings if value.casefold() in wanted]


def rows_within(test: GeoRadius, latitudes: np.ndarray, longitudes: np.ndarray) -> np.ndarray:
    """Returns int64[k], which places lie in a circle.

    Args:
        test: the circle.
        latitudes: float64[n], degrees; NaN, or a number beyond 90, is not a place.
        longitudes: float64[n], degrees; NaN is not a place.
    """
    # Nothing is nearer than its parallel: outside this band there is no distance to compute.
    band = np.degrees(test.radius_km / EARTH_RADIUS_KM) * (1 + 1e-9) + 1e-9
    least, most = max(test.latitude - band, -90), min(test.latitude + band, 90)
    rows: np.ndarray = np.flatnonzero((latitudes >= least) & (latitudes <= most))
    rows = rows[np.isfinite(longitudes[rows])]
    here, there = np.radians(test.latitude), np.radians(latitudes[rows])
    away = np.sin(np.radians(longitudes[rows] - test.longitude) / 2)
    haversines = np.sin((there - here) / 2) ** 2 + np.cos(here) * np.cos(there) * away**2
    within: np.ndarray = rows[np.minimum(haversines, 1) <= test.haversine]
    return within


def numbers_pass(test: Range | AnyNumber | TimeRange | Equals, numbers: np.ndarray, nanos: np.ndarray) -> np.ndarray:
    """Returns bool[m], which numbers pass a test; NaN passes none.

    Args:
        test: of a number, an instant or a truth value.
        numbers: float64[m]; of instants, seconds since 1970.
        nanos: int[m], the rest of instants.
    """
    if isinstance(test, Equals):
        return np.asarray(numbers == float(test.value))
    if isinstance(test, AnyNumber):
        return np.isin(numbers, list(test.values))
    if isinstance(test, Range):
        low = -np.inf if test.minimum is None else test.minimum
        high = np.inf if test.maximum is None else test.maximum
        return np.asarray((numbers >= low) & (numbers <= high))
    inside: np.ndarray = ~np.isnan(numbers)
    if test.minimum is not None:
        seconds, rest = test.minimum
        inside &= (numbers > seconds) | ((numbers == seconds) & (nanos >= rest))
    if test.maximum is not None:
        seconds, rest = test.maximum
        inside &= (numbers < seconds) | ((numbers == seconds) & (nanos <= rest))
    return inside
