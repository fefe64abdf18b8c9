"""Vectors of items that can be searched and scored: content vectors, or the item side of a user tower."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.kept_masks import OfLastMask, joined
from core.retrieval.source import SourceScores, known_rows
from core.retrieval.vector_index import VectorIndex
from core.scaling import Population
from core.vectors import exact_search


@dataclass(frozen=True)
class VectorStore:
    """Vectors by row, with or without a graph over them.

    Attributes:
        vectors: float32[n, d], unit or zero.
        silent: bool[n], items whose vectors say nothing: they are neither found nor scored.
        index: over the same vectors; None compares every row.
    """

    vectors: np.ndarray
    silent: np.ndarray
    index: VectorIndex | None = None

    @cached_property
    def has_silent(self) -> bool:
        """True where the vectors of some items say nothing."""
        return bool(self.silent.any())

    @cached_property
    def _barred(self) -> OfLastMask[np.ndarray]:
        return OfLastMask(lambda blocked: joined(blocked, self.silent))

    def search(self, query: np.ndarray, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the nearest rows int64[k] to float32[d] and their inner products float32[k], best first."""
        barred = blocked if len(blocked) == len(self.silent) else blocked[: len(self.silent)]
        if self.has_silent:
            barred = self._barred.of(barred)
        if self.index is None:
            return exact_search(self.vectors, query, count, barred)
        return self.index.search(query, count, barred)

    def scores(self, query: np.ndarray, rows: np.ndarray, population: Population) -> SourceScores:
        """Returns the inner products of these rows, int64[C], with float32[d]."""
        known = len(self.vectors) > int(rows.max(initial=0))
        silent = known_rows(self.silent, rows, True)
        if known and self.index is not None and self.index.has_equals:
            products = self.index.scores(query, rows)
        elif known and len(rows) == len(self.vectors):
            products = (self.vectors @ query)[rows]
        else:
            products = known_rows(self.vectors, rows, 0.0) @ query
        scores = np.where(silent, -np.inf, products).astype(np.float32)
        return SourceScores(scores, population.moments(self.vectors, self.silent).scaler(query))
