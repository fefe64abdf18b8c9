"""Low-rank item-item weights beside EASE's: ALS scores of a history as sums over its items.

EASE models pairs of items, ALS latent factors; they complement each other, and as sums over a history's items both fit
into one neighbour table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.events import EventSequence
from training.collaborative.als import AlsSettings, fit_als
from training.collaborative.ease import Ease
from training.splits.split import interaction_matrix

# Histories whose scores measure the spread of both.
_SCALE_HISTORIES = 200
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class LowRankWeights:
    """Factors of W_ij = y_i' M^-1 y_j, which is never materialised.

    Attributes:
        left: float32[m, f], y_i' M^-1.
        right: float32[m, f], y_j.
    """

    left: np.ndarray
    right: np.ndarray


def low_rank_weights(
    histories: Sequence[EventSequence], rows: np.ndarray, item_count: int, settings: AlsSettings
) -> LowRankWeights:
    """Fits ALS and makes its users linear in their histories.

    ALS folds a user in by u = alpha M_u^-1 sum y_i over the history, where M_u = Y'Y + lambda I + (alpha - 1) times the
    history's sum of y_i y_i' (Hu, Koren, Volinsky 2008). Here the average user's M stands for each one's own: its sum
    goes over all items, each times the share of users that chose it. So score(j) = u' y_j is a sum over the history.

    Args:
        histories: training users.
        rows: int64[m], items that take part.
        item_count: n.
        settings: of the factorisation.
    """
    factors = fit_als(histories, item_count, settings).item_factors[rows].astype(np.float64)
    share = np.asarray(interaction_matrix(histories, item_count)[:, rows].sum(axis=0)).ravel() / len(histories)
    middle = factors.T @ factors + (settings.alpha - 1) * (factors.T * share) @ factors
    middle += settings.regularisation * np.eye(factors.shape[1])
    left = np.linalg.solve(middle, factors.T).T
    return LowRankWeights(np.ascontiguousarray(left, np.float32), factors.astype(np.float32))


def add_low_rank(model: Ease, histories: Sequence[EventSequence], low_rank: LowRankWeights, weight: float) -> None:
    """Adds low-rank weights to EASE's in their place, `weight` times as strong by the scores that they give."""
    step = max(1, len(histories) // _SCALE_HISTORIES)
    sample = interaction_matrix(histories[::step], model.item_count)[:, model.rows]
    spreads = [_spread(sample @ model.weights), _spread((sample @ low_rank.left) @ low_rank.right.T)]
    if min(spreads) <= 0:
        return
    scaled = low_rank.right.T * np.float32(weight * spreads[0] / spreads[1])
    for start in range(0, len(model.rows), _ROWS_AT_ONCE):
        model.weights[start : start + _ROWS_AT_ONCE] += low_rank.left[start : start + _ROWS_AT_ONCE] @ scaled
    np.fill_diagonal(model.weights, 0)


def _spread(scores: np.ndarray) -> float:
    return float(scores.std(axis=1).mean())
