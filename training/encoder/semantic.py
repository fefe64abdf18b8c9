"""Semantic scorer: recommends by content vectors alone, of the base encoder or of a trained one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from core.events import EventSequence, history_weights
from core.vectors import history_query, unit
from training.splits.split import interaction_matrix


@dataclass(frozen=True)
class SemanticScorer:
    """Scorer by the cosine with a history's query, normalise(mean(v_i - mu)) over its items, as in serving.

    Attributes:
        vectors: float32[n, d], unit or zero (an item without text), a row an item.
        mean: float32[d], mu, the catalogue's mean vector.
    """

    vectors: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> "SemanticScorer":
        """Returns a scorer with the mean over these vectors, float[n, d]; zero rows do not count."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        has_vector = vectors.any(axis=1)
        mean = vectors[has_vector].mean(axis=0) if has_vector.any() else np.zeros(vectors.shape[1], np.float32)
        return cls(vectors, mean.astype(np.float32))

    def queries(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, d], unit; zero where a history holds no item with a vector."""
        return centred_queries(interaction_matrix(histories, len(self.vectors)), self.vectors, self.mean)

    def weighted_queries(self, histories: Sequence[EventSequence], half_life: float = 0.0) -> np.ndarray:
        """Returns float32[B, d], the queries of a gateway: weighted by kind and recency; zero where nothing speaks.

        Args:
            histories: B of them.
            half_life: events after which an event counts half besides; 0 leaves the usual weights.
        """
        queries = np.zeros((len(histories), self.vectors.shape[1]), np.float32)
        for place, history in enumerate(histories):
            readable = (history.rows >= 0) & self.vectors[history.rows].any(axis=1)
            rows, kind = history.rows[readable], history.kind[readable]
            distinct = np.asarray(list(dict.fromkeys(rows.tolist())), np.int64)
            weights = history_weights(rows, kind) * history.recency(distinct, half_life)
            query = history_query(self.vectors[distinct], self.mean, weights)
            if query is not None:
                queries[place] = query
        return queries

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n], the cosine of history and item; -inf for an item without a vector."""
        scores: np.ndarray = self.queries(histories) @ self.vectors.T
        scores[:, ~self.vectors.any(axis=1)] = -np.inf
        return scores


def centred_queries(consumed: csr_array, vectors: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Returns float32[users, d], the unit mean of what each user consumed less the catalogue's mean; zero for nothing.

    Args:
        consumed: float[users, n], above 0 where the user had to do with the item.
        vectors: float32[n, d], unit or zero; zero rows do not count.
        mean: float32[d].
    """
    has_vector = vectors.any(axis=1)
    sums = consumed @ vectors - np.outer(consumed @ has_vector.astype(np.float32), mean)
    # A history whose only item lies at the mean leaves rounding noise, which has no meaningful direction.
    return unit(sums, least_norm=1e-6).astype(np.float32)
