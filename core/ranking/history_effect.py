"""Effect of a history beside a text: how much it speaks for each candidate, on one scale for all histories."""

from collections.abc import Mapping

import numpy as np

from core.ranking.blend import Blend, weighted_sum
from core.retrieval.source import SourceQuery, SourceScores
from core.vectors import products

# Above this many spreads over the population a history speaks for an item; what lies below is chance.
LEAST_Z = 1.0
_FULL_Z = 4.0
# The same for centred cosines to the history, where no weights were fitted.
_LEAST_COSINE = 0.1
_FULL_COSINE = 0.6


def history_z(scored: Mapping[str, SourceScores], query: SourceQuery, blend: Blend) -> np.ndarray | None:
    """Returns the weighted mean of the z-scores of a history's sources.

    Args:
        scored: C candidates' scores by source name.
        query: that was scored.
        blend: the weights.

    Returns:
        float32[C], in spreads over the population; None where nothing was fitted that can answer.
    """
    weights = blend.weights_for(query)
    scores = weighted_sum(scored, query, weights)
    return None if scores is None else scores / np.float32(sum(abs(weight) for weight in weights.values()))


def history_share(z_scores: np.ndarray) -> np.ndarray:
    """Returns float32[C], 0 to 1, of `history_z`: 0 for what the history has nothing to do with."""
    return _share(z_scores, LEAST_Z, _FULL_Z)


def cosine_effect(vectors: np.ndarray, history: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Returns float32[C], 0 to 1: how much a history speaks for vectors by its centred cosine to them.

    Args:
        vectors: float32[C, d]; zeros, of which nothing is known, get 0.
        history: float32[d], unit, centred.
        mean: float32[d], of the catalogue.
    """
    centred = vectors - mean
    norms = np.maximum(np.linalg.norm(centred, axis=1), 1e-6)
    cosines = np.where(vectors.any(axis=1), products(centred, history) / norms, 0)
    return _share(cosines, _LEAST_COSINE, _FULL_COSINE)


def _share(scores: np.ndarray, least: float, full: float) -> np.ndarray:
    share: np.ndarray = np.clip((scores - least) / (full - least), 0, 1)
    return share.astype(np.float32)
