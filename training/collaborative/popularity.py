"""Popularity prior P(i): the probability of an item without knowledge of the user."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.events import EventSequence


@dataclass(frozen=True)
class PopularitySettings:
    """Settings of the prior.

    Attributes:
        smoothing: pseudo-users that every item gets; above 0, so that log P(i) is finite for all items.
        half_life_s: an event this old counts half; 0 counts all alike.
    """

    smoothing: float = 1.0
    half_life_s: float = 0.0


class PopularityScorer:
    """Scorer by P(i), the same for every user; the baseline that every model has to beat."""

    def __init__(self, log_prior: np.ndarray) -> None:
        """Takes float32[n], log P(i); exp of it sums to 1."""
        self.log_prior = log_prior

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]: log P(i) for each history alike."""
        return np.tile(self.log_prior, (len(histories), 1))


def fit_popularity(
    histories: Sequence[EventSequence], item_count: int, settings: PopularitySettings | None = None
) -> PopularityScorer:
    """Counts users by item, each user once, adds the smoothing and normalises: P(i) = (c_i + s) / sum_j (c_j + s).

    With a half-life an event of age a counts 2^(-a / half-life); where a user met an item several times, the latest.
    """
    settings = settings or PopularitySettings()
    counts = np.full(item_count, settings.smoothing, np.float64)
    for history in histories:
        if settings.half_life_s > 0:
            weights = np.zeros(item_count)
            np.maximum.at(weights, history.rows, np.exp2(-history.age_s / settings.half_life_s))
            counts += weights
        else:
            counts[np.unique(history.rows)] += 1
    return PopularityScorer(np.log(counts / counts.sum()).astype(np.float32))
