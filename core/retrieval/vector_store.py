"""Vectors of items that can be searched and scored: content vectors, or the item side of a user tower."""

from dataclasses import dataclass

import numpy as np

from core.retrieval.hnsw_index import VectorIndex
from core.retrieval.source import SourceScores
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

    def search(self, query: np.ndarray, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the nearest rows int64[k] to float32[d] and their inner products float32[k], best first."""
        barred = blocked | self.silent
        if self.index is None:
            return exact_search(self.vectors, query, count, barred)
        return self.index.search(query, count, barred)

    def scores(self, query: np.ndarray, rows: np.ndarray, population: Population) -> SourceScores:
        """Returns the inner products of these rows, int64[C], with float32[d]."""
        products = self.vectors @ query if len(rows) == len(self.vectors) else None
        products = self.vectors[rows] @ query if products is None else products[rows]
        scores = np.where(self.silent[rows], -np.inf, products).astype(np.float32)
        return SourceScores(scores, population.moments(self.vectors, self.silent).scaler(query))
