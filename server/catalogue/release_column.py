"""One attribute of a release's items: rows by string, or numbers by row. Read-only after construction.

Every source wants a mask, so what gives one soonest is kept; docs/performance.md has the figures. Rows of a rare string
are an array, those of a common one bits; numbers are compared all at once.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from domain.catalogue_values import NumberRange
from domain.condition import AnyOf, ColumnTest, Exists, TimeRange, folded
from domain.pace import paced
from domain.timestamp import Timestamp
from server.catalogue.columns import numbers_pass

# An array of int32 takes as much as bits where one row in so many has a string.
_BITS_BEYOND = 32


class RowSet:
    """Rows below a number: an array where they are few, else bits."""

    # Of an attribute such as a number of stock there are as many as items.
    __slots__ = ("_bits", "_rows", "_total", "count")

    def __init__(self, rows: np.ndarray, total: int) -> None:
        """Takes int32[m], ascending, and the number above all rows."""
        self.count = len(rows)
        self._total = total
        self._rows: np.ndarray | None = rows
        self._bits: np.ndarray | None = None
        if len(rows) * _BITS_BEYOND > total:
            mask = np.zeros(total, bool)
            mask[rows] = True
            self._rows, self._bits = None, np.packbits(mask)

    def rows(self) -> np.ndarray:
        """Returns int32[m], ascending."""
        return np.flatnonzero(self._mask()).astype(np.int32) if self._rows is None else self._rows

    def add_to(self, mask: np.ndarray) -> None:
        """Sets the rows in a mask, bool[n]."""
        if self._rows is None:
            np.logical_or(mask, self._mask(), out=mask)
        else:
            mask[self._rows] = True

    def _mask(self) -> np.ndarray:
        assert self._bits is not None
        return np.unpackbits(self._bits, count=self._total).view(bool)


class ReleaseColumn:
    """One attribute's values."""

    def __init__(
        self, total: int, having: RowSet, strings: Mapping[str, RowSet], numbers: np.ndarray, nanos: np.ndarray | None
    ) -> None:
        """Keeps the values.

        Args:
            total: rows.
            having: rows that have the attribute.
            strings: rows by string; empty where it has none.
            numbers: float64[total], NaN where a row has none; of instants the seconds, which a double holds exactly.
            nanos: int32[total], the rest of instants; None for other numbers.
        """
        self._total = total
        self._having = having
        self._strings = strings
        self.numbers = numbers
        self._nanos = nanos
        # Strings by their folded form; made when case is first ignored.
        self._by_folded: dict[str, list[str]] | None = None

    def rows(self) -> dict[str, np.ndarray]:
        """Returns int32[m], the rows of each string."""
        return {value: found.rows() for value, found in paced(self._strings.items())}

    def counts(self) -> dict[str, int]:
        """Returns how often each string occurs."""
        return {value: found.count for value, found in paced(self._strings.items())}

    def extent(self) -> NumberRange | None:
        """Returns the extent of the numbers; None where no item has one."""
        numbers = self.numbers[~np.isnan(self.numbers)]
        if not len(numbers):
            return None
        integral = bool((numbers == np.floor(numbers)).all())
        return NumberRange(float(numbers.min()), float(numbers.max()), integral)

    def met(self, test: ColumnTest) -> np.ndarray:
        """Returns bool[total], the rows that pass a test."""
        met = np.zeros(self._total, bool)
        if isinstance(test, Exists):
            self._having.add_to(met)
            return met if test.value else ~met
        if isinstance(test, AnyOf):
            for value in self._written(test):
                if value in self._strings:
                    self._strings[value].add_to(met)
            return met
        if not len(self.numbers):
            return met
        nanos = self._nanos if isinstance(test, TimeRange) else None
        return numbers_pass(test, self.numbers, self.numbers if nanos is None else nanos)

    def _written(self, test: AnyOf) -> Iterable[str]:
        """Returns the strings that a test names, as they are written."""
        if not test.ignore_case:
            return test.values
        if self._by_folded is None:
            by_folded: dict[str, list[str]] = {}
            for value in self._strings:
                by_folded.setdefault(value.casefold(), []).append(value)
            self._by_folded = by_folded
        known = self._by_folded
        return [value for wanted in folded(test) for value in known.get(wanted, ())]


@dataclass
class ColumnBuilder:
    """Collects one attribute's values, row after row."""

    _having: "array[int]" = field(default_factory=lambda: array("i"))
    _strings: "dict[str, array[int]]" = field(default_factory=dict)
    _rows: "array[int]" = field(default_factory=lambda: array("i"))
    _numbers: "array[float]" = field(default_factory=lambda: array("d"))
    _nanos: "array[int]" = field(default_factory=lambda: array("i"))

    def add(self, row: int, value: object) -> None:
        """Adds the value of a row, which is above those before."""
        self._having.append(row)
        if isinstance(value, str):
            self._add_string(row, (value,))
        elif isinstance(value, tuple):
            self._add_string(row, tuple(dict.fromkeys(value)))
        elif isinstance(value, int | float):
            self._rows.append(row)
            self._numbers.append(float(value))
        elif isinstance(value, Timestamp):
            self._rows.append(row)
            self._numbers.append(float(value.seconds))
            self._nanos.append(value.nanos)

    def finished(self, total: int, *, numeric: bool) -> ReleaseColumn:
        """Returns the column of so many rows.

        Args:
            total: rows.
            numeric: whether it has numbers or instants, even where no row has one.
        """
        rows = np.array(self._rows, np.int32)
        numbers = np.full(total if numeric or len(rows) else 0, np.nan)
        numbers[rows] = np.array(self._numbers)
        nanos = None
        if self._nanos:
            nanos = np.zeros(total, np.int32)
            nanos[rows] = np.array(self._nanos, np.int32)
        strings = {value: RowSet(np.array(own, np.int32), total) for value, own in paced(self._strings.items())}
        return ReleaseColumn(total, RowSet(np.array(self._having, np.int32), total), strings, numbers, nanos)

    def _add_string(self, row: int, values: Sequence[str]) -> None:
        for value in values:
            own = self._strings.get(value)
            if own is None:
                own = self._strings[value] = array("i")
            own.append(row)
