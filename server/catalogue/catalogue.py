"""The seam of the catalogue: what the stages of a request ask of it. The live catalogue stands behind it."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from core.retrieval.vector_store import VectorStore
from domain.condition import Condition
from domain.item import AttributeType, Item
from server.catalogue.availability import UnavailableItems
from server.catalogue.item_table import ItemTable


class Catalogue(Protocol):
    """Items by row; a row stands for the same item as long as one request lasts."""

    @property
    def mean(self) -> np.ndarray:
        """float32[d], mean vector of the items."""

    @property
    def is_remote(self) -> bool:
        """True where items, vectors and conditions are asked of another process: never on the event loop."""

    @property
    def item_count(self) -> int:
        """Items that exist; rows also stand for deleted ones."""

    @property
    def attribute_types(self) -> Mapping[str, AttributeType]:
        """The items' attributes and their types."""

    @property
    def numbers(self) -> Mapping[str, np.ndarray]:
        """float64[n] by number attribute, or by timestamp in seconds since 1970; NaN where an item has none."""

    def rows_of(self, item_ids: Iterable[str]) -> dict[str, int]:
        """Returns the rows of the ids that exist."""

    def ids_of(self, rows: Sequence[int]) -> list[str]:
        """Returns the ids of rows."""

    def items_of(self, rows: Sequence[int]) -> list[Item]:
        """Returns the items of rows, with all details."""

    def vectors_of(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Returns float32[m, d], unit, or zeros for an item whose text the encoder cannot read."""

    def search(self, query: np.ndarray, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows int64[k] nearest to float32[d], and their inner products float32[k], best first."""

    def blocked_by(self, conditions: Sequence[Condition]) -> np.ndarray:
        """Returns bool[n]: items that are unavailable or fail a condition; without conditions it may be read-only.

        Raises:
            InvalidRequest: a condition does not fit the catalogue's attributes.
        """


@dataclass(frozen=True)
class ReleaseCatalogue:
    """The catalogue of a release, which does not change.

    Attributes:
        items: by row.
        content: vectors and graph; unreadable items are silent there.
        mean: float32[d], mean vector of the items.
    """

    items: ItemTable
    content: VectorStore
    mean: np.ndarray

    @property
    def is_remote(self) -> bool:
        """See `Catalogue.is_remote`."""
        return False

    @property
    def item_count(self) -> int:
        """See `Catalogue.item_count`."""
        return len(self.items)

    @property
    def attribute_types(self) -> Mapping[str, AttributeType]:
        """See `Catalogue.attribute_types`."""
        return self.items.attribute_types

    @property
    def numbers(self) -> Mapping[str, np.ndarray]:
        """See `Catalogue.numbers`."""
        return self.items.numbers

    def rows_of(self, item_ids: Iterable[str]) -> dict[str, int]:
        """See `Catalogue.rows_of`."""
        rows = {item_id: self.items.row_of(item_id) for item_id in item_ids}
        return {item_id: row for item_id, row in rows.items() if row is not None}

    def ids_of(self, rows: Sequence[int]) -> list[str]:
        """See `Catalogue.ids_of`."""
        return [self.items.ids[row] for row in rows]

    def items_of(self, rows: Sequence[int]) -> list[Item]:
        """See `Catalogue.items_of`."""
        return [self.items.item(row) for row in rows]

    def vectors_of(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """See `Catalogue.vectors_of`."""
        places = np.asarray(rows, dtype=np.int64)
        vectors: np.ndarray = np.take(self.content.vectors, places, axis=0)
        if self.content.has_silent:
            vectors[self.content.silent[places]] = 0
        return vectors

    def search(self, query: np.ndarray, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Catalogue.search`."""
        return self.content.search(query, count, blocked)

    def blocked_by(self, conditions: Sequence[Condition]) -> np.ndarray:
        """See `Catalogue.blocked_by`."""
        unavailable = self._unavailable.at(time.time())
        return unavailable | self.items.blocked_by(conditions) if conditions else unavailable

    @cached_property
    def _unavailable(self) -> UnavailableItems:
        return UnavailableItems(self.items.unavailable, self.items.attribute_types, self.items.numbers)
