"""Validation metrics of sequence models: R@10 and NDCG@10 of states against item vectors, full ranking."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.metrics import binary_ndcg
from training.fit import Metrics
from training.splits.split import EvalCase, EvalSet, Scorer

DEPTH = 10
_CHUNK = 256


@dataclass(frozen=True)
class RankingMetrics:
    """Means over cases.

    Attributes:
        recall: R@10 = hits / min(10, targets).
        ndcg: NDCG@10, binary, ideal truncated at 10.
    """

    recall: float
    ndcg: float

    def by_name(self) -> dict[str, float]:
        """Returns the metrics by the names of their curves."""
        return {"recall_at_10": self.recall, "ndcg_at_10": self.ndcg}

    @classmethod
    def of(cls, metrics: Metrics) -> "RankingMetrics":
        """Reads what `by_name` returns."""
        return cls(metrics["recall_at_10"], metrics["ndcg_at_10"])


@torch.no_grad()
def ranking_metrics(states: torch.Tensor, items: torch.Tensor, part: EvalSet) -> RankingMetrics:
    """Ranks every candidate for every case by inner product; a case's own history is left out.

    Args:
        states: float32[cases, d].
        items: float32[n, d].
        part: the cases and their candidates.
    """
    return _means(lambda chunk: states[chunk] @ items.T, part)


@torch.no_grad()
def scorer_metrics(scorer: Scorer, part: EvalSet) -> RankingMetrics:
    """Returns the same metrics of anything that scores."""
    return _means(lambda chunk: torch.from_numpy(scorer.scores([case.history for case in part.cases[chunk]])), part)


def _means(scores_of: Callable[[slice], torch.Tensor], part: EvalSet) -> RankingMetrics:
    outside = torch.from_numpy(~part.candidates)
    recall = ndcg = 0.0
    for start in range(0, len(part.cases), _CHUNK):
        cases = part.cases[start : start + _CHUNK]
        scores = scores_of(slice(start, start + len(cases)))
        scores[:, outside] = -torch.inf
        scores[_seen(cases)] = -torch.inf
        best, places = scores.topk(min(DEPTH, scores.shape[1]), dim=1)
        for row, real, case in zip(places.numpy(), torch.isfinite(best).numpy(), cases, strict=True):
            hits, wanted = np.isin(row, case.targets) & real, min(DEPTH, len(case.targets))
            recall += float(hits.sum()) / wanted
            ndcg += float(binary_ndcg(hits, wanted, DEPTH))
    count = max(1, len(part.cases))
    return RankingMetrics(float(recall / count), float(ndcg / count))


def _seen(cases: Sequence[EvalCase]) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the places (case, item) of all histories."""
    sizes = [len(case.history) for case in cases]
    line = np.repeat(np.arange(len(cases)), sizes)
    column = np.concatenate([case.history.rows for case in cases])
    return torch.from_numpy(line), torch.from_numpy(column)
