"""Candidates that the sources recall for evaluation cases, with every source's z-scores of these candidates alone.

The fit of a blend compares hundreds of weightings. Over pools it takes memory by the recalled candidates, not by the
catalogue: about 8 bytes a case, candidate and source.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.metrics import discounts, ideal_gain
from core.retrieval.source import RecallSource, RecallSources, SourceQuery, recall_lists
from domain.progress import Progress, SilentProgress
from training.splits.split import EvalCase, EvalSet
from training.splits.validation import DEPTH

# Comparisons of a target with the candidates of its case that are held at once.
_COMPARED_AT_ONCE = 4_000_000
# Queries made at once: a batch for the tower, with a vector a query in memory.
_CASES_AT_ONCE = 256


@dataclass(frozen=True)
class CandidatePools:
    """Pools of B cases, padded to the widest pool.

    Attributes:
        z_scores: float32[B, C] by source name; zeros where the source cannot answer, and in the padding.
        mask: bool[B, C], where there is a candidate; candidates are in ascending order of rows.
        target_case: int64[M], the case of each target that was recalled, ascending.
        target_place: int64[M], its place in that pool.
        target_count: int64[B], targets of each case, recalled or not.
        event_count: int64[B], distinct items of each query's history.
    """

    z_scores: Mapping[str, np.ndarray]
    mask: np.ndarray
    target_case: np.ndarray
    target_place: np.ndarray
    target_count: np.ndarray
    event_count: np.ndarray

    def __len__(self) -> int:
        return len(self.target_count)

    def take(self, cases: np.ndarray) -> "CandidatePools":
        """Returns some cases, int64[b], ascending."""
        place_of = np.full(len(self), -1, np.int64)
        place_of[cases] = np.arange(len(cases))
        kept = place_of[self.target_case] >= 0
        return CandidatePools(
            {name: scores[cases] for name, scores in self.z_scores.items()},
            self.mask[cases],
            place_of[self.target_case[kept]],
            self.target_place[kept],
            self.target_count[cases],
            self.event_count[cases],
        )

    def blended(self, weights: Mapping[str, float]) -> np.ndarray:
        """Returns float32[B, C], the weighted sum of z-scores."""
        total = np.zeros(self.mask.shape, np.float32)
        for name, weight in weights.items():
            if weight and name in self.z_scores:
                total += np.float32(weight) * self.z_scores[name]
        return total

    def ndcg(self, scores: np.ndarray) -> np.ndarray:
        """Returns float64[B], NDCG@100 of float32[B, C]; 0 for a case whose candidates all have one score.

        Equal scores are ordered by row, and rows are often in an order of age or fame: no merit of the scores.
        """
        filled = np.where(self.mask, scores, -np.inf)
        gains = discounts(DEPTH)
        gained = np.zeros(len(self))
        step = max(1, _COMPARED_AT_ONCE // max(1, filled.shape[1]))
        columns = np.arange(filled.shape[1])
        for start in range(0, len(self.target_case), step):
            case, place = (part[start : start + step] for part in (self.target_case, self.target_place))
            rows, own = filled[case], filled[case, place][:, None]
            rank = (rows > own).sum(axis=1) + ((rows == own) & (columns < place[:, None])).sum(axis=1)
            gain = np.where(rank < DEPTH, gains[np.minimum(rank, DEPTH - 1)], 0.0)
            gained += np.bincount(case, gain, minlength=len(self))
        lowest = np.where(self.mask, scores, np.inf).min(axis=1, initial=np.inf)
        ordered = (filled.max(axis=1, initial=-np.inf) > lowest) | (self.mask.sum(axis=1) == 1)
        return np.where(ordered, gained / ideal_gain(self.target_count, DEPTH), 0.0)


def blocked_rows(part: EvalSet, case: EvalCase) -> np.ndarray:
    """Returns bool[n], rows that a case's sources must not recall."""
    blocked = ~part.candidates
    blocked[case.history.rows] = True
    blocked[case.hidden] = True
    return blocked


def recall_pools(
    sources: RecallSources,
    part: EvalSet,
    queries: Callable[[Sequence[EvalCase]], Iterable[SourceQuery]],
    lengths: Mapping[str, int],
    progress: Progress | None = None,
) -> CandidatePools:
    """Recalls the candidates of each case by every source and scores them by each.

    Args:
        sources: all are asked that can answer.
        part: the cases.
        queries: makes the queries of some cases, in their order.
        lengths: candidates by source name.
        progress: hears of the cases.
    """
    rows_of: list[np.ndarray] = []
    scores_of: list[dict[str, np.ndarray]] = []
    events: list[int] = []
    with (progress or SilentProgress()).track("recalled candidates", len(part.cases), "cases") as advance:
        for start in range(0, len(part.cases), _CASES_AT_ONCE):
            cases = part.cases[start : start + _CASES_AT_ONCE]
            for case, query in zip(cases, queries(cases), strict=True):
                answering = sources.answering(query)
                rows = _pooled(answering, query, lengths, blocked_rows(part, case))
                scored = {one.name: one.scores(query, rows, sources.population).z_scores for one in answering}
                rows_of.append(rows)
                scores_of.append(scored)
                events.append(len(query.events.distinct_rows))
            advance(len(cases))
    return _padded(part, [source.name for source in sources], rows_of, scores_of, np.array(events, np.int64))


def source_ndcg(source: RecallSource, queries: Sequence[SourceQuery], part: EvalSet) -> float:
    """Returns the mean NDCG@100 of one source's own list; 0 for a case that it cannot answer or tells nothing apart."""
    gains, total = discounts(DEPTH), 0.0
    for query, case in zip(queries, part.cases, strict=True):
        if not source.can_answer(query):
            continue
        blocked = blocked_rows(part, case)
        rows, scores = source.search(query, DEPTH, blocked)
        if len(rows) > 1 and scores[0] == scores[-1] and len(rows) == min(DEPTH, int((~blocked).sum())):
            continue
        hits = np.flatnonzero(np.isin(rows, case.targets))
        total += float(gains[hits].sum() / ideal_gain(len(case.targets), DEPTH))
    return total / max(1, len(part.cases))


def _pooled(
    answering: Sequence[RecallSource], query: SourceQuery, lengths: Mapping[str, int], blocked: np.ndarray
) -> np.ndarray:
    lists = recall_lists(answering, query, lengths, blocked)
    return np.unique(np.concatenate([np.empty(0, np.int64), *(recalled.rows for recalled in lists)])).astype(np.int64)


def _padded(
    part: EvalSet,
    names: Sequence[str],
    rows_of: Sequence[np.ndarray],
    scores_of: Sequence[Mapping[str, np.ndarray]],
    event_count: np.ndarray,
) -> CandidatePools:
    shape = (len(part.cases), max((len(rows) for rows in rows_of), default=0))
    standard = {name: np.zeros(shape, np.float32) for name in names}
    mask = np.zeros(shape, bool)
    found_case, found_place = [], []
    for place, (rows, scored) in enumerate(zip(rows_of, scores_of, strict=True)):
        mask[place, : len(rows)] = True
        for name, scores in scored.items():
            standard[name][place, : len(rows)] = scores
        hits = np.flatnonzero(np.isin(rows, part.cases[place].targets))
        found_place.append(hits)
        found_case.append(np.full(len(hits), place, np.int64))
    nothing = np.empty(0, np.int64)
    return CandidatePools(
        standard,
        mask,
        np.concatenate([nothing, *found_case]),
        np.concatenate([nothing, *found_place]),
        np.array([len(case.targets) for case in part.cases], np.int64),
        event_count,
    )
