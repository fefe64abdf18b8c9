"""Figures by which a sequence model is chosen: R@10 and NDCG@10 of states against item vectors, full ranking."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from training.split import Case, Part

DEPTH = 10


@dataclass(frozen=True)
class RankingFigures:
    """Means over cases.

    Attributes:
        recall: R@10 = hits / min(10, targets).
        ndcg: NDCG@10, binary, ideal truncated at 10.
    """

    recall: float
    ndcg: float

    @property
    def choice(self) -> float:
        """What early stopping compares: the mean of both."""
        return (self.recall + self.ndcg) / 2


@torch.no_grad()
def ranking_figures(states: torch.Tensor, items: torch.Tensor, part: Part, *, chunk: int = 256) -> RankingFigures:
    """Ranks every candidate for every case by inner product; a case's own history is left out.

    Args:
        states: float32[cases, d].
        items: float32[n, d].
        part: the questions and their candidates.
        chunk: cases at a time.
    """
    depth = min(DEPTH, items.shape[0])
    outside = torch.from_numpy(~part.candidates)
    discount = 1 / np.log2(np.arange(depth) + 2)
    ideal = np.cumsum(discount)
    recall = ndcg = 0.0
    for start in range(0, len(part.cases), chunk):
        cases = part.cases[start : start + chunk]
        scores = states[start : start + len(cases)] @ items.T
        scores[:, outside] = -torch.inf
        scores[_seen(cases)] = -torch.inf
        top = scores.topk(depth, dim=1).indices.numpy()
        for best, case in zip(top, cases, strict=True):
            hits = np.isin(best, case.targets)
            recall += float(hits.sum()) / min(depth, len(case.targets))
            ndcg += float(hits @ discount) / ideal[min(depth, len(case.targets)) - 1]
    count = max(1, len(part.cases))
    return RankingFigures(float(recall / count), float(ndcg / count))


def _seen(cases: Sequence[Case]) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the places (case, item) of all histories."""
    sizes = [len(case.history) for case in cases]
    line = np.repeat(np.arange(len(cases)), sizes)
    column = np.concatenate([case.history.rows for case in cases])
    return torch.from_numpy(line), torch.from_numpy(column)
