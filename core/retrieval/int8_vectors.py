"""Item vectors in a quarter of the memory: one signed byte a component and one scale a vector.

A scale of its own for each vector means that a new item is added without touching, or being clipped by, the others.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.vectors import top_rows

_LARGEST = 127
# Rows widened to float32 at once while searching: 6 MB at 384 components, which stays in the cache's reach.
_ROWS_AT_ONCE = 4_096


@dataclass(frozen=True)
class Int8Vectors:
    """A quantised table.

    Attributes:
        codes: int8[n, d].
        scales: float32[n]; the vector of row i is about scales[i] * codes[i].
    """

    codes: np.ndarray
    scales: np.ndarray

    @classmethod
    def quantise(cls, vectors: np.ndarray) -> "Int8Vectors":
        """Rounds float32[n, d] vectors: no component is off by more than half its row's scale.

        Raises:
            ValueError: a component is not finite.
        """
        if not np.isfinite(vectors).all():
            raise ValueError("a component is not finite; quantise only vectors that passed check_unit")
        scales = (np.abs(vectors).max(axis=1, initial=0) / _LARGEST).astype(np.float32)
        # A zero vector has zero codes, whatever its scale.
        codes = np.rint(vectors / np.where(scales > 0, scales, 1)[:, None])
        return cls(np.clip(codes, -_LARGEST, _LARGEST).astype(np.int8), scales)

    @classmethod
    def load(cls, path: Path) -> "Int8Vectors":
        """Reads what `save` wrote.

        Raises:
            ValueError: it is something else.
        """
        with np.load(path, allow_pickle=False) as file:
            codes, scales = (file[name] if name in file else np.empty(0) for name in ("codes", "scales"))
        fitting = codes.ndim == 2 and codes.dtype == np.int8 and scales.shape == codes.shape[:1]
        if not fitting or scales.dtype != np.float32 or not (np.isfinite(scales) & (scales >= 0)).all():
            raise ValueError(f"{path} holds no quantised vectors: expected codes int8[n, d] and scales float32[n] >= 0")
        return cls(codes, scales)

    def save(self, path: Path) -> None:
        """Writes codes and scales to one .npz file."""
        with path.open("wb") as file:
            np.savez(file, codes=self.codes, scales=self.scales)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def byte_count(self) -> int:
        """Memory of the table."""
        return self.codes.nbytes + self.scales.nbytes

    def vectors(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Returns float32[m, d]: the vectors of some rows, or of all, as near as they were kept."""
        return np.asarray(self.codes[rows] * self.scales[rows, None], dtype=np.float32)

    def scores(self, queries: np.ndarray) -> np.ndarray:
        """Returns float32[q, n]: inner products of float32[q, d] queries with every row; the query isn't rounded."""
        scores = np.empty((len(queries), len(self)), np.float32)
        for start in range(0, len(self), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            scores[:, part] = queries @ self.codes[part].astype(np.float32).T
        scores *= self.scales
        return scores

    def search(self, query: np.ndarray, count: int, blocked: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns the `count` nearest rows by looking at every row, as `core.vectors.exact_search` does.

        Args:
            query: float32[d].
            count: how many.
            blocked: bool[n], rows that must not be returned.

        Returns:
            rows int64[k] and scores float32[k], best first, k = min(count, rows that are not blocked).
        """
        scores = self.scores(query[None])[0]
        rows = np.arange(len(self)) if blocked is None else np.flatnonzero(~blocked)
        return top_rows(scores[rows], rows, count)
