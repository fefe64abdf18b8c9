"""Metrics over the validation part by which models and settings are compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.metrics import binary_ndcg
from core.vectors import top_rows
from training.splits.split import EvalSet, Scorer

DEPTH = 100
# Cases scored at once: a score for every item each.
_CHUNK = 512


@dataclass(frozen=True)
class SelectionMetric:
    """Metric by which settings are compared.

    Attributes:
        kind: "ndcg", binary with log2 discount, or "recall", hits / min(depth, targets).
        depth: items of a list that count.
    """

    kind: Literal["ndcg", "recall"]
    depth: int

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{'NDCG' if self.kind == 'ndcg' else 'Recall'}@{self.depth}"

    def by_case(self, scores: np.ndarray, part: EvalSet) -> np.ndarray:
        """Returns float64[cases]; see `ndcg_by_case`."""
        values = np.zeros(len(part.cases))
        for place, (row, case) in enumerate(zip(scores, part.cases, strict=True)):
            allowed = np.where(part.candidates, row, -np.inf)
            allowed[case.history.rows] = -np.inf
            allowed[case.hidden] = -np.inf
            hits = np.isin(top_places(allowed, self.depth), case.targets)
            if self.kind == "ndcg":
                values[place] = binary_ndcg(hits, len(case.targets), self.depth)
            else:
                values[place] = hits.sum() / min(self.depth, len(case.targets))
        return values

    def mean(self, scorer: Scorer, part: EvalSet) -> float:
        """Returns the mean over the part's cases, scored a few at a time; 0 where there are none."""
        if not part.cases:
            return 0.0
        chunks = []
        for start in range(0, len(part.cases), _CHUNK):
            chunk = EvalSet(part.cases[start : start + _CHUNK], part.candidates)
            chunks.append(self.by_case(scorer.scores([case.history for case in chunk.cases]), chunk))
        return float(np.concatenate(chunks).mean())


NDCG_AT_100 = SelectionMetric("ndcg", DEPTH)
# By protocol the metric of the head of its table, which baselines are tuned by.
_HEADLINES: Mapping[str, SelectionMetric] = {
    "cold-items": SelectionMetric("recall", 20),
    "warm-users": SelectionMetric("recall", 20),
}


def headline_metric(protocol: str) -> SelectionMetric:
    """Returns the headline metric of a protocol: Recall@10 of the next item and of own divisions, else Recall@20."""
    return _HEADLINES.get(protocol, SelectionMetric("recall", 10))


def ndcg_by_case(scores: np.ndarray, part: EvalSet) -> np.ndarray:
    """Returns float64[cases], binary NDCG@100 with log2 discount, the ideal cut at 100.

    Only candidates outside the case's history, hidden events included, are ranked; equal scores are ordered by row.

    Args:
        scores: float32[cases, n].
        part: the cases.
    """
    return NDCG_AT_100.by_case(scores, part)


def top_places(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns int64[<= count], the best places of float32[n], best first, equal scores by place; -inf never."""
    finite = np.flatnonzero(scores > -np.inf)
    return top_rows(scores[finite], finite, count)[0]


def validation_ndcg(scorer: Scorer, part: EvalSet) -> float:
    """Returns the mean NDCG@100 over the part's cases; 0 where there are none."""
    return NDCG_AT_100.mean(scorer, part)


def ndcg_validation(build: Callable[[], Scorer], part: EvalSet | None) -> Callable[[], dict[str, float]] | None:
    """Returns the validation of a model while it trains, by NDCG@100; None without validation cases.

    Args:
        build: returns a scorer with the present weights.
        part: validation cases.
    """
    if part is None or not part.cases:
        return None
    return lambda: {"ndcg_at_100": validation_ndcg(build(), part)}
