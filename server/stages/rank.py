"""Asks the ranker on Triton for a request's candidates: features here, logits there, probabilities here."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.ranking.blend import PRIOR, TEXT_SOURCES
from core.ranking.features import UserSignals, rank_features
from core.ranking.fusion import Candidate, best_rows
from core.ranking.tower_input import event_buckets
from core.retrieval.source import RecalledList
from core.vectors import top_rows
from server.deadline import Deadline
from server.models.ranker import Ranker
from server.stages.history import History
from server.stages.order import in_order
from server.stages.recall import Recalled
from server.stages.release import ServingRelease


@dataclass(frozen=True)
class RankInput:
    """Candidates ready to be ranked.

    Attributes:
        lists: what each source recalled, what is popular among them.
        rows: int64[C], the candidates.
        features: float32[1, W, F], scaled; W is a bucket, the places beyond C are zero.
    """

    lists: tuple[RecalledList, ...]
    rows: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class Ranking:
    """The ranker's answer.

    Attributes:
        logits: float32[C].
        probabilities: by row, 0 to 1.
    """

    logits: np.ndarray
    probabilities: Mapping[int, float]


def rank_input(ranker: Ranker, history: History, recalled: Recalled, release: ServingRelease) -> RankInput | None:
    """Makes the features of the candidates; None where there are no events to rank by, or nothing was recalled."""
    lengths, popular = release.blend.list_lengths, recalled.popular
    depth = lengths.get(PRIOR, 0)
    lists = (*recalled.lists, RecalledList(popular.source, popular.rows[:depth], popular.scores[:depth]))
    lists = tuple(found for found in lists if len(found.rows))
    if not len(history.events) or not lists:
        return None
    # The sources that training took candidates from; what the others found too still stands in the provenance.
    pooled = [found for found in lists if found.source in lengths or found.source in TEXT_SOURCES]
    rows, _ = best_rows(pooled or lists, ranker.most_candidates)
    user = UserSignals(recalled.query.user_embedding, None if ranker.facts.aspects is None else history.aspects)
    features = ranker.scaling.scaler.apply(rank_features(history.events, rows, ranker.facts, lists, user))
    width = next(bucket for bucket in event_buckets(ranker.most_candidates) if bucket >= len(rows))
    padded = np.zeros((1, width, features.shape[1]), np.float32)
    padded[0, : len(rows)] = features
    return RankInput(lists, rows, padded)


async def ask_ranker(ranker: Ranker, candidates: RankInput, deadline: Deadline) -> Ranking:
    """Asks Triton.

    Raises:
        ModelUnavailable, DeadlineExceeded: as `ServedModel.ask`.
    """
    logits = (await ranker.logits(candidates.features, deadline))[0, : len(candidates.rows)]
    probabilities = ranker.scaling.probabilities(logits).tolist()
    return Ranking(logits, dict(zip(candidates.rows.tolist(), probabilities, strict=True)))


def ranked(candidates: RankInput, ranking: Ranking, count: int) -> list[Candidate]:
    """Returns the best candidates in the ranker's order."""
    ordered = RecalledList("history", *top_rows(ranking.logits, candidates.rows, len(candidates.rows)))
    return in_order(candidates.lists, ordered, count)
