"""Orders a request's candidates by the ranker on Triton: features here, logits there, probabilities here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from domain.recommendation import Source
from pipeline.fuse import Candidate, RecalledList, fuse
from pipeline.rank_features import RankHistory, rank_features
from pipeline.tower_input import event_buckets
from server.deadline import Deadline
from server.history import History
from server.learned_parts import Ranker
from server.recall import Recalled
from server.represent import Represented

# Sources that go by the request's text; their order is theirs, the ranker orders what a history recalled.
_TEXT_SOURCES = frozenset({Source.SEMANTIC_TEXT, Source.LEXICAL})


@dataclass(frozen=True)
class RankInput:
    """Candidates ready to be ranked.

    Attributes:
        pool: the candidates with everybody who recalled them.
        features: float32[1, C, F], scaled; C is a bucket, the places beyond the pool are zero.
    """

    pool: tuple[Candidate, ...]
    features: np.ndarray


@dataclass(frozen=True)
class Ranking:
    """What the ranker said.

    Attributes:
        logits: by row.
        probabilities: by row, 0 to 1.
    """

    logits: Mapping[int, float]
    probabilities: Mapping[int, float]


def rank_input(ranker: Ranker, history: History, represented: Represented, recalled: Recalled) -> RankInput | None:
    """Makes the features of the candidates; None where there is no history to rank by, or nothing was recalled."""
    if history.past is None:
        return None
    most = ranker.model.loaded.entry.max_length
    pool = tuple(fuse(recalled.lists, most))
    if not pool:
        return None
    past = history.past
    rows = np.asarray([candidate.row for candidate in pool], dtype=np.int64)
    user = RankHistory(past.rows, past.kind, past.age_s, represented.user_embedding)
    features = ranker.scaler.apply(rank_features(user, rows, ranker.facts, recalled.lists))
    width = next(bucket for bucket in event_buckets(most) if bucket >= len(rows))
    padded = np.zeros((1, width, features.shape[1]), np.float32)
    padded[0, : len(rows)] = features
    return RankInput(pool, padded)


async def ask_ranker(ranker: Ranker, given: RankInput, deadline: Deadline) -> Ranking:
    """Asks Triton.

    Raises:
        ModelUnavailable, DeadlineExceeded: as `ServedModel.ask`.
    """
    logits = (await ranker.model.ask({"features": given.features}, deadline))[0, : len(given.pool)]
    rows = [candidate.row for candidate in given.pool]
    return Ranking(
        dict(zip(rows, logits.tolist(), strict=True)),
        dict(zip(rows, ranker.calibration.apply(logits).tolist(), strict=True)),
    )


def ranked(given: RankInput, ranking: Ranking, lists: Sequence[RecalledList], count: int) -> list[Candidate]:
    """Returns the best candidates: the ranker's order where only a history speaks.

    Where a text speaks too, its lists and the ranked history's are joined by reciprocal rank: how well an item fits the
    text is not among the ranker's features.
    """
    ordered = sorted(given.pool, key=lambda candidate: (-ranking.logits[candidate.row], candidate.row))
    by_text = [found for found in lists if found.source in _TEXT_SOURCES and len(found.rows)]
    if not by_text:
        return [_scored(candidate, ranking.logits[candidate.row]) for candidate in ordered[:count]]
    by_history = [one for one in ordered if any(view.source not in _TEXT_SOURCES for view in one.views)]
    rows = np.asarray([candidate.row for candidate in by_history], dtype=np.int64)
    scores = np.asarray([ranking.logits[row] for row in rows.tolist()], dtype=np.float32)
    views = {candidate.row: candidate.views for candidate in given.pool}
    joined = fuse([*by_text, RecalledList("history", rows, scores)], count)
    return [Candidate(one.row, one.score, views.get(one.row, one.views)) for one in joined]


def _scored(candidate: Candidate, score: float) -> Candidate:
    return Candidate(candidate.row, score, candidate.views)
