"""Candidates of histories, recalled and described as a gateway does."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from core.events import EventSequence
from core.ranking.blend import Blend
from core.ranking.features import rank_features
from core.ranking.fusion import best_rows
from core.retrieval.source import SourceQuery, recall_lists
from domain.progress import Progress, SilentProgress
from training.ranking.blend import BlendScorer
from training.ranking.sources import FittedSources

# Histories described at once: a batch for the user tower.
_BATCH = 256


@dataclass(frozen=True)
class Described:
    """The candidates of one question.

    Attributes:
        rows: int64[C], ascending.
        features: float32[C, F].
        order: int64[m], what the blend would serve, best first; empty without a blend or candidates.
    """

    rows: np.ndarray
    features: np.ndarray
    order: np.ndarray


@dataclass(frozen=True)
class CandidateRules:
    """Limits on the candidates of a question.

    Attributes:
        allowed: bool[n], rows that may be recommended; a history's own rows are left out besides.
        limit: most candidates; those that several sources rank high stay.
        progress: hears of the questions.
    """

    allowed: np.ndarray
    limit: int
    progress: Progress = field(default_factory=SilentProgress)


def candidates_of(
    fitted: FittedSources,
    histories: Sequence[EventSequence],
    rules: CandidateRules,
    hidden: Sequence[np.ndarray] | None = None,
    blend: Blend | None = None,
) -> list[Described]:
    """Recalls and describes the candidates of each history, as a gateway does.

    Args:
        fitted: the sources.
        histories: the questions.
        rules: what may be a candidate.
        hidden: further rows that each history may not be recommended; None for none.
        blend: also ordered by this; None for no order.
    """
    described = []
    scorer = None if blend is None else BlendScorer(fitted, blend, rules.allowed)
    with rules.progress.track("candidates", len(histories), "questions") as advance:
        for start in range(0, len(histories), _BATCH):
            batch = histories[start : start + _BATCH]
            for place, query in enumerate(fitted.queries(batch)):
                unseen = np.empty(0, np.int64) if hidden is None else hidden[start + place]
                described.append(_described(fitted, query, rules, unseen, scorer))
            advance(len(batch))
    return described


def _described(
    fitted: FittedSources,
    query: SourceQuery,
    rules: CandidateRules,
    unseen: np.ndarray,
    scorer: BlendScorer | None,
) -> Described:
    blocked = ~rules.allowed
    blocked[query.events.rows] = True
    blocked[unseen] = True
    answering = [source for source in fitted.sources.answering(query) if source.name in fitted.list_lengths]
    lists = recall_lists(answering, query, fitted.list_lengths, blocked)
    rows = np.sort(best_rows(lists, rules.limit)[0]) if lists else np.empty(0, np.int64)
    order = None if scorer is None else scorer.order(query, unseen)
    return Described(
        rows,
        rank_features(query.events, rows, fitted.facts, lists, fitted.signals(query)),
        np.empty(0, np.int64) if order is None else order.rows,
    )
