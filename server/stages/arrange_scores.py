"""Boosts and novelty of a request: scores that change before places are given."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.ranking.blend import PRIOR
from core.ranking.score_adjustment import adjusted_scores
from core.retrieval.popular import PopularSource
from domain.arrangement import Arrangement, Boost
from domain.errors import FieldViolation, InvalidRequest
from server.stages.order import Ordered
from server.stages.release import ServingRelease

# Places of a pass whose scores are adjusted; what lies further down follows as it is.
ADJUSTED_PLACES = 2_000


@dataclass(frozen=True)
class ScoreAdjustment:
    """Boosts and novelty over a catalogue.

    Attributes:
        boosts: float64[n], -1 to 1 or sums of such.
        chosen_shares: float64[n], 0 for what few chose, 1 for what most chose; None where that is unknown.
        novelty: 0 to 1.
    """

    boosts: np.ndarray
    chosen_shares: np.ndarray | None
    novelty: float


def score_adjustment(arrangement: Arrangement, item_count: int, release: ServingRelease) -> ScoreAdjustment | None:
    """Returns the adjustment of a request; None where it has none.

    Args:
        arrangement: its rules.
        item_count: rows of the catalogue.
        release: the release.

    Raises:
        InvalidRequest: a condition of a boost does not fit the catalogue's attributes.
    """
    if not arrangement.adjusts:
        return None
    boosts = np.zeros(item_count)
    violations: list[FieldViolation] = []
    for number, boost in enumerate(arrangement.boosts):
        try:
            boosts[_boosted(boost, release)] += boost.strength
        except InvalidRequest as error:
            where = f"arrangement.boosts[{number}].condition"
            violations += [
                replace(violation, field=violation.field.replace("conditions[0]", where))
                for violation in error.violations
            ]
    if violations:
        raise InvalidRequest(*violations)
    popular = release.sources.get(PRIOR)
    shares = popular.chosen_shares if isinstance(popular, PopularSource) else None
    return ScoreAdjustment(boosts, shares, arrangement.novelty or 0.0)


def _boosted(boost: Boost, release: ServingRelease) -> np.ndarray | Sequence[int]:
    """Returns the rows of a boost, as a mask or as numbers."""
    if boost.condition is None:
        return list(release.catalogue.rows_of(boost.item_ids).values())
    met: np.ndarray = ~release.catalogue.blocked_by((boost.condition,))
    return met


def adjusted(ordered: Ordered, adjustment: ScoreAdjustment) -> Ordered:
    """Returns candidates in the order of their adjusted scores; equal ones as they were."""
    head, tail = ordered.candidates[:ADJUSTED_PLACES], ordered.candidates[ADJUSTED_PLACES:]
    if not head:
        return ordered
    rows = np.asarray([candidate.row for candidate in head], np.int64)
    shares = None if adjustment.chosen_shares is None else adjustment.chosen_shares[rows]
    before = np.asarray([candidate.score for candidate in head])
    scores = adjusted_scores(before, adjustment.boosts[rows], shares, adjustment.novelty)
    order = np.argsort(-scores, kind="stable")
    lifted = order > np.arange(len(order)) if adjustment.novelty and shares is not None else np.zeros(len(order), bool)
    candidates = [replace(head[place], score=float(scores[place])) for place in order.tolist()]
    relevance = ordered.relevance
    if relevance is not None:
        relevance = np.concatenate([relevance[: len(head)][order], relevance[len(head) :]])
    return replace(
        ordered,
        candidates=[*candidates, *tail],
        relevance=relevance,
        lifted=frozenset(rows[order][lifted].tolist()),
    )
