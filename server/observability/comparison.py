"""Comparison of two answers to one query, and its figures over many."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from domain.recommendation import RankedItem

_DEPTH = 10


@dataclass(frozen=True)
class Comparison:
    """Differences of two lists.

    Attributes:
        overlap: share of the first ten items that both have, 0 to 1; 1 where both are empty.
        rank_correlation: Spearman's, over the items that both lists have; None with fewer than two.
        probability_difference: mean absolute difference of the probabilities of the items that both have; None where
            no item has one in both.
    """

    overlap: float
    rank_correlation: float | None
    probability_difference: float | None


def compared(live: Sequence[RankedItem], shadow: Sequence[RankedItem]) -> Comparison:
    """Compares two answers to one query."""
    first, second = ({item.id for item in items[:_DEPTH]} for items in (live, shadow))
    longest = max(len(first), len(second))
    overlap = len(first & second) / longest if longest else 1.0
    others = {item.id: item for item in shadow}
    pairs = [(item, others[item.id]) for item in live if item.id in others]
    differences = [abs(a - b) for a, b in map(_probabilities, pairs) if a is not None and b is not None]
    return Comparison(overlap, _spearman(pairs), float(np.mean(differences)) if differences else None)


def _spearman(pairs: Sequence[tuple[RankedItem, RankedItem]]) -> float | None:
    """Returns the correlation of the two orders of common items: 1 - 6 sum(d^2) / (m (m^2 - 1)), without ties."""
    count = len(pairs)
    if count < 2:
        return None
    live, shadow = (np.argsort(np.argsort([pair[side].rank for pair in pairs])) for side in (0, 1))
    return 1.0 - 6.0 * float(((live - shadow) ** 2).sum()) / (count * (count**2 - 1))


def _probabilities(pair: tuple[RankedItem, RankedItem]) -> tuple[float | None, float | None]:
    """Returns the probabilities of an item that can be compared: scores cannot, between two replies."""
    live, shadow = pair
    if live.match_probability is not None and shadow.match_probability is not None:
        return live.match_probability, shadow.match_probability
    return live.relevance, shadow.relevance


@dataclass
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float | None) -> None:
        if value is not None:
            self.total, self.count = self.total + value, self.count + 1

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else 0.0


@dataclass
class ShadowFigures:
    """Figures of a shadow since it began; means are 0 where there is nothing yet.

    Attributes:
        failed_count: queries that it could not answer.
        dropped_count: queries that were left out.
        overlap: mean of `Comparison.overlap`; its count is that of the compared queries.
        rank_correlation: mean of `Comparison.rank_correlation`.
        probability_difference: mean of `Comparison.probability_difference`.
        live_s: mean time to answer of the live release, in seconds.
        shadow_s: mean time to answer of the shadow, in seconds.
    """

    failed_count: int = 0
    dropped_count: int = 0
    overlap: _Mean = field(default_factory=_Mean)
    rank_correlation: _Mean = field(default_factory=_Mean)
    probability_difference: _Mean = field(default_factory=_Mean)
    live_s: _Mean = field(default_factory=_Mean)
    shadow_s: _Mean = field(default_factory=_Mean)

    def add(self, comparison: Comparison, live_s: float, shadow_s: float) -> None:
        """Counts a compared query."""
        self.overlap.add(comparison.overlap)
        self.rank_correlation.add(comparison.rank_correlation)
        self.probability_difference.add(comparison.probability_difference)
        self.live_s.add(live_s)
        self.shadow_s.add(shadow_s)
