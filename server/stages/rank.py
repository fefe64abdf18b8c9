"""Orders a request's candidates by the ranker on Triton: features here, logits there, probabilities here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.ranking.features import RANKED_SOURCES, RankHistory, rank_features
from core.ranking.fusion import Candidate, RecalledList, best_rows, candidates_of
from core.ranking.tower_input import event_buckets
from core.vectors import top_rows
from domain.recommendation import Source
from server.deadline import Deadline
from server.models.ranker import Ranker
from server.stages.history import History
from server.stages.recall import Recalled
from server.stages.represent import Represented

# Sources that go by the request's text; their order is theirs, the ranker orders what a history recalled.
TEXT_SOURCES = frozenset({Source.SEMANTIC_TEXT, Source.LEXICAL})
_POOL_SOURCES = frozenset({*RANKED_SOURCES, *TEXT_SOURCES, Source.POPULAR})


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
    """What the ranker said.

    Attributes:
        logits: float32[C].
        probabilities: by row, 0 to 1.
    """

    logits: np.ndarray
    probabilities: Mapping[int, float]


def rank_input(ranker: Ranker, history: History, represented: Represented, recalled: Recalled) -> RankInput | None:
    """Makes the features of the candidates; None where there is no history to rank by, or nothing was recalled."""
    popular, depth = recalled.popular, ranker.popular_count
    lists = (*recalled.lists, RecalledList(popular.source, popular.rows[:depth], popular.scores[:depth]))
    if history.past is None or not any(len(found.rows) for found in lists):
        return None
    most = ranker.most_candidates
    # The sources that training took candidates from; what the others found too still stands in the provenance.
    asked = [found for found in lists if found.source in _POOL_SOURCES and len(found.rows)]
    rows, _ = best_rows(asked or [found for found in lists if len(found.rows)], most)
    past = history.past
    aspects = None if ranker.facts.aspects is None else history.aspects
    user = RankHistory(past.rows, past.kind, past.age_s, represented.user_embedding, aspects=aspects)
    features = ranker.scaling.scaler.apply(rank_features(user, rows, ranker.facts, lists))
    width = next(bucket for bucket in event_buckets(most) if bucket >= len(rows))
    padded = np.zeros((1, width, features.shape[1]), np.float32)
    padded[0, : len(rows)] = features
    return RankInput(lists, rows, padded)


async def ask_ranker(ranker: Ranker, given: RankInput, deadline: Deadline) -> Ranking:
    """Asks Triton.

    Raises:
        ModelUnavailable, DeadlineExceeded: as `ServedModel.ask`.
    """
    logits = (await ranker.logits(given.features, deadline))[0, : len(given.rows)]
    probabilities = ranker.scaling.probabilities(logits).tolist()
    return Ranking(logits, dict(zip(given.rows.tolist(), probabilities, strict=True)))


def ranked(given: RankInput, ranking: Ranking, count: int) -> list[Candidate]:
    """Returns the best candidates in the ranker's order."""
    ordered = RecalledList("history", *top_rows(ranking.logits, given.rows, len(given.rows)))
    return in_order(given.lists, ordered, count)


def in_order(lists: Sequence[RecalledList], ordered: RecalledList, count: int) -> list[Candidate]:
    """Returns the best candidates: in the order given where only a history speaks.

    Where a text speaks too, its lists and the history's are joined by reciprocal rank: how well an item fits the text
    is not what a history was ordered by.

    Args:
        lists: what each source recalled.
        ordered: the candidates in the history's order.
        count: how many, at most.
    """
    rows, scores = ordered.rows, ordered.scores
    by_text = [found for found in lists if found.source in TEXT_SOURCES and len(found.rows)]
    if not by_text:
        return candidates_of(lists, rows[:count], scores[:count])
    recalled = np.concatenate(
        [np.empty(0, np.int64), *(found.rows for found in lists if found.source not in TEXT_SOURCES)]
    )
    of_history = np.isin(rows, recalled)
    history = RecalledList(ordered.source, rows[of_history], scores[of_history])
    return candidates_of(lists, *best_rows([*by_text, history], count))
