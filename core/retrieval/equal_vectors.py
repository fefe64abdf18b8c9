"""Groups of equal vectors: items that say the same are one point to an index, and share one score."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_ROWS_AT_ONCE = 8_192


@dataclass(frozen=True)
class EqualRows:
    """Rows of equal vectors.

    Attributes:
        first: int64[n], the first row whose vector is the row's own.
        distinct: int64[m], ascending, the rows that are the first of theirs.
    """

    first: np.ndarray
    distinct: np.ndarray
    _order: np.ndarray
    _starts: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> "EqualRows":
        """Groups float32[n, d] by their bits; a block of rows at a time, so that a mapped file stays on the disk."""
        hashes = _hashes(vectors)
        order = np.argsort(hashes, kind="stable")
        starts = np.concatenate(([True], hashes[order][1:] != hashes[order][:-1]))
        first = np.empty(len(vectors), np.int64)
        first[order] = order[np.flatnonzero(starts)[np.cumsum(starts) - 1]]
        _split_collisions(vectors, first)
        distinct = np.flatnonzero(first == np.arange(len(first)))
        by_first = np.argsort(first, kind="stable")
        return cls(first, distinct, by_first, np.searchsorted(first[by_first], distinct))

    @property
    def is_trivial(self) -> bool:
        """True where no vector occurs twice."""
        return len(self.distinct) == len(self.first)

    def members(self, rows: np.ndarray) -> np.ndarray:
        """Returns every row that is equal to one of some distinct rows, int64[k], those of the first one first."""
        starts, counts = self._starts[np.searchsorted(self.distinct, rows)], self.counts(rows)
        total = int(counts.sum())
        offsets = np.repeat(starts - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        return np.asarray(self._order[np.arange(total) + offsets])

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """Returns int64[k], how many rows are equal to each of some distinct rows, int64[k], itself among them."""
        places = np.searchsorted(self.distinct, rows)
        # The last group ends with the rows.
        ends = np.full(len(places), len(self._order))
        inner = places + 1 < len(self._starts)
        ends[inner] = self._starts[places[inner] + 1]
        return np.asarray(ends - self._starts[places])

    def wholly_count(self, marked: np.ndarray, count: int) -> int:
        """Returns of how many distinct rows every equal one is marked.

        Args:
            marked: bool[n].
            count: how many are.
        """
        rows, starts = self._several
        if not len(rows):
            return count
        own = marked[rows]
        return count - int(np.count_nonzero(own)) + int(np.count_nonzero(np.logical_and.reduceat(own, starts)))

    @cached_property
    def _several(self) -> tuple[np.ndarray, np.ndarray]:
        """int64[r], the rows that are not alone, group by group, and int64[g], where each group starts."""
        sizes = self.counts(self.distinct)
        alone = np.repeat(sizes == 1, sizes)
        sizes = sizes[sizes > 1]
        return self._order[~alone], np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)


def _hashes(vectors: np.ndarray) -> np.ndarray:
    """Returns uint64[n], equal for equal rows."""
    factors = np.random.default_rng(7).integers(1, 2**63, size=vectors.shape[1], dtype=np.uint64) | np.uint64(1)
    parts = []
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        bits = np.ascontiguousarray(vectors[start : start + _ROWS_AT_ONCE], np.float32).view(np.uint32)
        parts.append(bits.astype(np.uint64) @ factors)
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _split_collisions(vectors: np.ndarray, first: np.ndarray) -> None:
    """Lets a row whose hash is another's by chance stand alone."""
    repeated = np.flatnonzero(first != np.arange(len(first)))
    for start in range(0, len(repeated), _ROWS_AT_ONCE):
        rows = repeated[start : start + _ROWS_AT_ONCE]
        same = (vectors[rows] == vectors[first[rows]]).all(axis=1)
        first[rows[~same]] = rows[~same]
