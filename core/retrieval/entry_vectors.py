"""Vectors by entry: those that were merged lie in a mapped file under a graph, later ones in memory.

An object is the state of one moment of merging; its last part goes on growing. Nothing is ever added to a graph that is
searched: a merge makes another object.
"""

from dataclasses import dataclass

import numpy as np

from core.growing import GrowingArray
from core.retrieval.vector_index import VectorIndex
from core.row_order import RowOrder
from core.vectors import ROUNDING, products, top_rows
from core.versioned_rows import RowsView

# Picking rows copies them, which pays where most are left out.
_PICKED_BELOW = 4


@dataclass(frozen=True)
class MergedVectors:
    """Vectors that a merge put into a file, at places, and the graph over them.

    Attributes:
        index: over the vectors by place; None where there are none.
        rows: int64[p], the catalogue's row of each place.
        places: int64[m], the place of each entry that was merged; -1 where it was not the latest, or says nothing.
        covers_base: whether the vectors of the base's rows that had not changed are among them.
    """

    index: VectorIndex | None
    rows: np.ndarray
    places: np.ndarray
    covers_base: bool

    @property
    def entry_count(self) -> int:
        """Entries below are merged."""
        return len(self.places)

    def search(
        self, query: np.ndarray, count: int, blocked: np.ndarray, moment: RowsView, order: RowOrder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the catalogue's rows int64[k] nearest to float32[d] that count, and their scores, best first."""
        if self.index is None:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        found = self.index.search_where(
            query,
            count,
            lambda places: self._barred(places, blocked, moment),
            len(self.rows),
            order.of_places(self.rows),
        )
        return self.rows[found[0]], found[1]

    def stale_count(self, moment: RowsView) -> int:
        """Returns how many places hold what is not the latest any more."""
        return int(np.count_nonzero(~self._current(np.arange(len(self.rows)), moment)))

    def _barred(self, places: np.ndarray, blocked: np.ndarray, moment: RowsView) -> np.ndarray:
        rows = self.rows[places]
        barred = ~self._current(places, moment)
        barred |= rows >= len(blocked)
        barred |= blocked[np.minimum(rows, len(blocked) - 1)]
        return barred

    def _current(self, places: np.ndarray, moment: RowsView) -> np.ndarray:
        """Returns bool[m], whether places hold the latest vectors of their rows."""
        entries = moment.entries_of(self.rows[places])
        merged = entries < self.entry_count
        current = merged & (self.places[np.where(merged & (entries >= 0), entries, 0)] == places)
        # A place whose row has no entry is of the base.
        return np.asarray(np.where(entries < 0, self.covers_base, current))


@dataclass(frozen=True)
class EntryVectors:
    """Vectors by entry. One thread appends.

    Attributes:
        tail: float32[*, d], of the entries behind those that were merged.
        merged: the others; None where nothing was merged.
    """

    tail: GrowingArray
    merged: MergedVectors | None = None

    @classmethod
    def empty(cls, width: int) -> "EntryVectors":
        """Returns no vectors of a width."""
        return cls(GrowingArray((width,), np.float32))

    def __len__(self) -> int:
        return self.start + len(self.tail)

    @property
    def start(self) -> int:
        """The first entry that was not merged."""
        return 0 if self.merged is None else self.merged.entry_count

    def append(self, vector: np.ndarray) -> None:
        """Appends the next entry's float32[d]."""
        self.tail.append(vector[np.newaxis])

    def take(self, entries: np.ndarray) -> np.ndarray:
        """Returns float32[m, d], the vectors of entries that are the latest of their rows; zeros where silent."""
        found = np.zeros((len(entries), self.tail.array.shape[1]), np.float32)
        late = entries >= self.start
        found[late] = self.tail.array[entries[late] - self.start]
        if self.merged is not None and self.merged.index is not None and not late.all():
            places = self.merged.places[np.where(late, 0, entries)]
            stored = ~late & (places >= 0)
            found[stored] = self.merged.index.vectors[places[stored]]
        return found

    def search_tail(  # noqa: PLR0913, PLR0917 -- one search of one moment
        self, query: np.ndarray, count: int, entries: np.ndarray, rows: np.ndarray, end: int, order: RowOrder
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compares entries that were not merged, one by one.

        Args:
            query: float32[d].
            count: how many.
            entries: int64[m], those that may be returned.
            rows: int64[m], their rows.
            end: entries are those below.
            order: of rows with equal scores.
        """
        vectors, places = self.tail.array[: end - self.start], entries - self.start
        few = _PICKED_BELOW * len(places) < len(vectors)
        scores = vectors[places] @ query if few else (vectors @ query)[places]
        if 0 < count < len(scores):
            near = scores >= np.partition(scores, len(scores) - count)[len(scores) - count] - ROUNDING
            places, rows = places[near], rows[near]
        return top_rows(products(vectors[places], query), rows, count, order)
