"""Item transitions: a directed item-item table from the order of events, for the next item."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from core.events import EventSequence
from core.retrieval.item_neighbours import NeighbourTable
from training.collaborative.neighbours import strongest_neighbours


@dataclass(frozen=True)
class TransitionSettings:
    """Settings of the table.

    Attributes:
        window: an event counts as following one at most this many places before it, by 1 / distance.
        shrinkage: added to the norms' product, so that rare successions weigh little.
        count: following items kept by item.
    """

    window: int = 5
    shrinkage: float = 5.0
    count: int = 50


def fit_transitions(
    histories: Sequence[EventSequence], item_count: int, settings: TransitionSettings | None = None
) -> NeighbourTable:
    """Computes c_ij / (sqrt(c_i. c_.j) + shrinkage), c_ij counting how often j follows i, weighted by 1 / distance."""
    settings = settings or TransitionSettings()
    counts = csr_array((item_count, item_count), dtype=np.float32)
    for distance in range(1, settings.window + 1):
        earlier = _joined([history.rows[:-distance] for history in histories])
        later = _joined([history.rows[distance:] for history in histories])
        apart = earlier != later
        weights = np.full(int(apart.sum()), 1 / distance, np.float32)
        counts = counts + csr_array((weights, (earlier[apart], later[apart])), shape=counts.shape)
    leaving, coming = np.sqrt(counts.sum(axis=1)), np.sqrt(counts.sum(axis=0))
    pairs = counts.tocoo()
    i, j = pairs.coords
    weights = pairs.data / (leaving[i] * coming[j] + settings.shrinkage)
    return strongest_neighbours(csr_array((weights, (i, j)), shape=counts.shape), settings.count)


def _joined(rows: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(rows) if rows else np.empty(0, np.int64)
