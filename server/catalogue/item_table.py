"""The catalogue as serving needs it: id to row, availability, attribute columns, details on demand."""

import json
import mmap
from array import array
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from domain.catalogue_values import CatalogueValues
from domain.condition import Condition, GeoRadius
from domain.errors import ReleaseRejected
from domain.item import AttributeType, Item, attribute_type, item_from_json
from domain.pace import paced
from server.catalogue.columns import rows_within
from server.catalogue.conditions import check_conditions
from server.catalogue.release_column import ColumnBuilder


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
        self._offsets = array("q", [0])
        building = {name: ColumnBuilder() for name in attribute_types}
        available: list[bool] = []
        with path.open("rb") as stream:
            for row, line in enumerate(paced(stream)):
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
                    building[name].add(row, value)
            if not self.ids:
                raise ReleaseRejected(f"{path} holds no items; build the release again")
            self._bytes = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        numeric = {
            name for name, kind in attribute_types.items() if kind in (AttributeType.NUMBER, AttributeType.TIMESTAMP)
        }
        self._columns = {name: column.finished(len(self), numeric=name in numeric) for name, column in building.items()}
        self.numbers: Mapping[str, np.ndarray] = {name: self._columns[name].numbers for name in numeric}
        self.unavailable = ~np.asarray(available, dtype=bool)
        self._rows = {item_id: row for row, item_id in enumerate(paced(self.ids))}

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

    def rows_by_value(self, chosen: Callable[[str], bool]) -> dict[str, Mapping[str, np.ndarray]]:
        """Returns int32[m], the rows of each value, by name, of the attributes of strings whose name is chosen."""
        strings = (AttributeType.STRING, AttributeType.STRING_LIST)
        kinds = self.attribute_types
        return {name: self._columns[name].rows() for name, kind in kinds.items() if kind in strings and chosen(name)}

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
            InvalidRequest: conditions name unknown attributes, or their tests do not fit the attributes' types; all of
                them are named.
        """
        conditions = tuple(conditions)
        check_conditions(conditions, self.attribute_types)
        blocked = np.zeros(len(self), dtype=bool)
        for condition in conditions:
            met = self.met(condition)
            blocked |= met if condition.negate else ~met
        return blocked

    def met(self, condition: Condition) -> np.ndarray:
        """Returns bool[n], rows that pass a condition's test, which is not negated; none for an unknown attribute."""
        if isinstance(condition.test, GeoRadius):
            return self._within(condition.attribute, condition.test)
        column = self._columns.get(condition.attribute)
        return np.zeros(len(self), dtype=bool) if column is None else column.met(condition.test)

    def _within(self, latitude_attribute: str, test: GeoRadius) -> np.ndarray:
        met = np.zeros(len(self), dtype=bool)
        latitudes, longitudes = self.numbers.get(latitude_attribute), self.numbers.get(test.longitude_attribute)
        if latitudes is not None and longitudes is not None:
            met[rows_within(test, latitudes, longitudes)] = True
        return met


def _item(path: Path, row: int, line: bytes, timestamps: frozenset[str]) -> Item:
    try:
        columns = json.loads(line)
        if not isinstance(columns, dict):
            raise ValueError("expected one JSON object a line")
        return item_from_json(columns, timestamps)
    except ValueError as error:
        raise ReleaseRejected(f"{path}, line {row + 1}: {error}; build the release again") from error
