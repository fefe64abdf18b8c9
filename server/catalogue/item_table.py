"""The catalogue as serving needs it: id to row, availability, attribute columns, details on demand."""

import json
import mmap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from domain.catalogue_values import CatalogueValues, NumberRange
from domain.condition import AnyOf, Condition, Equals, Range, TimeRange
from domain.errors import FieldViolation, InvalidRequest, ReleaseRejected
from domain.item import AttributeType, Item, attribute_type, item_from_json
from domain.timestamp import Timestamp

_TESTS_BY_TYPE = {
    AttributeType.STRING: AnyOf,
    AttributeType.STRING_LIST: AnyOf,
    AttributeType.NUMBER: Range,
    AttributeType.BOOLEAN: Equals,
    AttributeType.TIMESTAMP: TimeRange,
}


class ItemTable:
    """The items of a release by row. Read-only after construction."""

    def __init__(
        self, path: Path, attribute_types: Mapping[str, AttributeType], collected: list[Item] | None = None
    ) -> None:
        """Reads `items.jsonl` of a release.

        Args:
            path: the file.
            attribute_types: the manifest's.
            collected: every item is appended to it, in the order of the file; None keeps none in memory.

        Raises:
            ReleaseRejected: there are no items, a line is not an item, or an attribute's type is not the manifest's.
        """
        self.attribute_types = attribute_types
        self._timestamps = frozenset(name for name, kind in attribute_types.items() if kind is AttributeType.TIMESTAMP)
        self.ids: list[str] = []
        self._titles: list[str] = []
        self._offsets: list[int] = [0]
        self._columns = {name: _Column() for name in attribute_types}
        available: list[bool] = []
        with path.open("rb") as stream:
            for row, line in enumerate(stream):
                item = _item(path, row, line, self._timestamps)
                if collected is not None:
                    collected.append(item)
                self.ids.append(item.id)
                if item.title:
                    self._titles.append(item.title)
                self._offsets.append(self._offsets[-1] + len(line))
                available.append(item.available)
                for name, value in item.attributes.items():
                    if attribute_types.get(name) is not attribute_type(value):
                        raise ReleaseRejected(
                            f'{path}, line {row + 1}: attribute "{name}" is not as the manifest says; '
                            "build the release again"
                        )
                    self._columns[name].add(row, value)
            if not self.ids:
                raise ReleaseRejected(f"{path} holds no items; build the release again")
            self._bytes = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        numeric = (AttributeType.NUMBER, AttributeType.TIMESTAMP)
        self.numbers: Mapping[str, np.ndarray] = {
            name: self._columns[name].dense(len(self)) for name, kind in attribute_types.items() if kind in numeric
        }
        self.unavailable = ~np.asarray(available, dtype=bool)
        self._rows = {item_id: row for row, item_id in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def row_of(self, item_id: str) -> int | None:
        """Returns the row of an id, or None."""
        return self._rows.get(item_id)

    def rows_of(self, item_ids: Iterable[str]) -> list[int]:
        """Returns the rows of the ids that are known."""
        return [row for item_id in item_ids if (row := self._rows.get(item_id)) is not None]

    def item(self, row: int) -> Item:
        """Returns the item of a row, read from the file."""
        line = self._bytes[self._offsets[row] : self._offsets[row + 1]]
        return item_from_json(json.loads(line), self._timestamps)

    def values(self) -> CatalogueValues:
        """Returns what the attributes hold: distinct values with their counts, extents of numbers; and the titles."""
        strings = (AttributeType.STRING, AttributeType.STRING_LIST)
        numbers = (AttributeType.NUMBER, AttributeType.TIMESTAMP)
        kinds = self.attribute_types
        extents = {name: self._columns[name].extent() for name, kind in kinds.items() if kind in numbers}
        return CatalogueValues(
            types=kinds,
            counts={name: self._columns[name].counts() for name, kind in kinds.items() if kind in strings},
            ranges={name: extent for name, extent in extents.items() if extent is not None},
            titles=tuple(self._titles),
        )

    def blocked_by(self, conditions: Iterable[Condition]) -> np.ndarray:
        """Returns bool[n]: rows that fail one of the conditions.

        Raises:
            InvalidRequest: a condition names an unknown attribute, or its test does not fit the attribute's type.
        """
        blocked = np.zeros(len(self), dtype=bool)
        for number, condition in enumerate(conditions):
            kind = self.attribute_types.get(condition.attribute)
            where = f"conditions[{number}]"
            if kind is None:
                raise InvalidRequest(
                    FieldViolation(f"{where}.attribute", f'no item has an attribute "{condition.attribute[:64]}"')
                )
            if not isinstance(condition.test, _TESTS_BY_TYPE[kind]):
                raise InvalidRequest(
                    FieldViolation(where, f'attribute "{condition.attribute}" is a {kind}; {_FITTING[kind]} fits it')
                )
            met = self._columns[condition.attribute].met(condition.test, len(self))
            blocked |= met if condition.negate else ~met
        return blocked


_FITTING = {
    AttributeType.STRING: "any_of",
    AttributeType.STRING_LIST: "any_of",
    AttributeType.NUMBER: "range",
    AttributeType.BOOLEAN: "equals",
    AttributeType.TIMESTAMP: "time_range",
}


def _item(path: Path, row: int, line: bytes, timestamps: frozenset[str]) -> Item:
    try:
        columns = json.loads(line)
        if not isinstance(columns, dict):
            raise ValueError("expected one JSON object a line")
        return item_from_json(columns, timestamps)
    except ValueError as error:
        raise ReleaseRejected(f"{path}, line {row + 1}: {error}; build the release again") from error


class _Column:
    """One attribute's values: rows by string, or rows and numbers in parallel."""

    def __init__(self) -> None:
        self._rows_of_value: dict[str, list[int]] = {}
        self._rows: list[int] = []
        self._numbers: list[float] = []
        # Of instants: `_numbers` has the seconds, which a double holds exactly.
        self._nanos: list[int] = []

    def add(self, row: int, value: object) -> None:
        if isinstance(value, str):
            self._rows_of_value.setdefault(value, []).append(row)
        elif isinstance(value, tuple):
            for entry in value:
                self._rows_of_value.setdefault(entry, []).append(row)
        elif isinstance(value, int | float):
            self._rows.append(row)
            self._numbers.append(float(value))
        elif isinstance(value, Timestamp):
            self._rows.append(row)
            self._numbers.append(float(value.seconds))
            self._nanos.append(value.nanos)

    def counts(self) -> dict[str, int]:
        """Returns how often each string occurs."""
        return {value: len(rows) for value, rows in self._rows_of_value.items()}

    def extent(self) -> NumberRange | None:
        """Returns the extent of the numbers; None where no item has one."""
        if not self._numbers:
            return None
        numbers = np.asarray(self._numbers)
        integral = bool((numbers == np.floor(numbers)).all())
        return NumberRange(float(numbers.min()), float(numbers.max()), integral)

    def dense(self, total: int) -> np.ndarray:
        values = np.full(total, np.nan)
        values[self._rows] = self._numbers
        return values

    def met(self, test: AnyOf | Range | TimeRange | Equals, total: int) -> np.ndarray:
        met = np.zeros(total, dtype=bool)
        if isinstance(test, AnyOf):
            for value in test.values:
                met[self._rows_of_value.get(value, [])] = True
            return met
        numbers = np.asarray(self._numbers)
        rows = np.asarray(self._rows, dtype=np.int64)
        if isinstance(test, TimeRange):
            met[rows[_in_time(numbers, np.asarray(self._nanos), test)]] = True
        else:
            met[rows[_test_of(test)(numbers)]] = True
        return met


def _test_of(test: Range | Equals) -> Callable[[np.ndarray], np.ndarray]:
    if isinstance(test, Equals):
        return lambda numbers: numbers == float(test.value)
    low = -np.inf if test.minimum is None else test.minimum
    high = np.inf if test.maximum is None else test.maximum
    return lambda numbers: (numbers >= low) & (numbers <= high)


def _in_time(seconds: np.ndarray, nanos: np.ndarray, test: TimeRange) -> np.ndarray:
    """Returns bool[n]: which instants lie between the ends."""
    inside = np.ones(len(seconds), dtype=bool)
    if test.minimum is not None:
        inside &= (seconds > test.minimum[0]) | ((seconds == test.minimum[0]) & (nanos >= test.minimum[1]))
    if test.maximum is not None:
        inside &= (seconds < test.maximum[0]) | ((seconds == test.maximum[0]) & (nanos <= test.maximum[1]))
    return inside
