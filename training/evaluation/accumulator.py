"""Metrics of one scorer over one draw, accumulated chunk by chunk, so that a large test needs little memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np

from core.metrics import (
    Ranking,
    ReliabilityCurve,
    ThresholdCurve,
    brier,
    id_places,
    intra_list_diversity,
    novelty,
    rank_targets,
    reliability,
    threshold_curve,
    top_rows_by_case,
)
from training.splits.short_histories import ShortHistorySet
from training.splits.split import Scorer, Split

CUTS = (1, 5, 10, 20, 50, 100)
LIST_LENGTH = 10
_SHORT_CUTS = (10, 20)
METRICS = (
    *(f"recall@{k}" for k in CUTS),
    *(f"ndcg@{k}" for k in CUTS),
    *(f"{name}@{k}" for k in _SHORT_CUTS for name in ("precision", "f1", "hit")),
    "mrr",
    "auc",
    f"novelty@{LIST_LENGTH}",
    f"diversity@{LIST_LENGTH}",
)
# Curves need not see every case of a large test.
_CURVE_CASES = 2_048
_CURVE_STEPS = 80


@runtime_checkable
class ProbabilityScorer(Protocol):
    """A scorer that also estimates how likely a match is."""

    def probabilities(self, histories: Sequence[object]) -> np.ndarray:
        """Returns float32[B, n] between 0 and 1, NaN where it has no estimate."""


@dataclass(frozen=True)
class EvaluationContext:
    """Data that the metrics of all methods need.

    Attributes:
        item_ids: by row; they break ties.
        counts: float64[n], how often training users chose a row, for novelty.
        vectors: float32[n, d] for the diversity of lists; None where there are none.
        seed: of the bootstrap.
    """

    item_ids: tuple[str, ...]
    counts: np.ndarray
    vectors: np.ndarray | None = None
    seed: int = 0

    @classmethod
    def of(cls, split: Split, vectors: np.ndarray | None = None, seed: int = 0) -> "EvaluationContext":
        """Counts choices in the training histories of a split."""
        rows = np.concatenate([np.unique(history.rows) for history in split.train])
        return cls(split.item_ids, np.bincount(rows, minlength=len(split.item_ids)).astype(float), vectors, seed)

    @cached_property
    def places(self) -> np.ndarray:
        """int64[n], the order of the ids, which breaks ties."""
        return id_places(self.item_ids)


class MetricAccumulator:
    """Metrics of one scorer over one draw.

    Attributes:
        cases: the draw.
        answered: whether any case had candidates with different scores.
    """

    def __init__(self, cases: ShortHistorySet, context: EvaluationContext, *, curves: bool) -> None:
        self.cases = cases
        self.answered = False
        self._context = context
        self._curve_cases = _CURVE_CASES if curves else 0
        self._rankings: list[Ranking] = []
        self._top: list[np.ndarray] = []
        self._edges: np.ndarray | None = None
        self._histograms: list[tuple[np.ndarray, np.ndarray, int]] = []
        self._probability_parts: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, chunk: slice, scores: np.ndarray, allowed: np.ndarray, scorer: Scorer) -> None:
        """Adds the cases of a chunk: float32[b, n] scores, bool[b, n] items that may be recommended."""
        cases = self.cases.part.cases[chunk]
        targets = [case.targets for case in cases]
        valid = np.where(allowed, scores, -np.inf)
        lowest = np.where(allowed & (scores > -np.inf), scores, np.inf).min(axis=1)
        # The same score for every candidate ranks nothing: the order by id would be evaluated.
        self.answered |= bool((valid.max(axis=1) > lowest).any())
        self._rankings.append(rank_targets(scores, allowed, targets, self._context.places))
        self._top.append(top_rows_by_case(scores, allowed, self._context.places, LIST_LENGTH))
        if chunk.start < self._curve_cases:
            self._add_histogram(valid, targets)
            if isinstance(scorer, ProbabilityScorer):
                self._add_probabilities(scorer.probabilities([case.history for case in cases]), allowed, targets)

    def metrics(self) -> dict[str, np.ndarray]:
        """Returns float64[cases] by metric, all of `METRICS`."""
        rankings = self._rankings
        values: dict[str, np.ndarray] = {}
        for k in CUTS:
            values[f"recall@{k}"] = np.concatenate([ranking.recall(k) for ranking in rankings])
            values[f"ndcg@{k}"] = np.concatenate([ranking.ndcg(k) for ranking in rankings])
        for k in _SHORT_CUTS:
            values[f"precision@{k}"] = np.concatenate([ranking.precision(k) for ranking in rankings])
            values[f"f1@{k}"] = np.concatenate([ranking.f1(k) for ranking in rankings])
            values[f"hit@{k}"] = np.concatenate([ranking.hit_rate(k) for ranking in rankings])
        values["mrr"] = np.concatenate([ranking.reciprocal_rank() for ranking in rankings])
        values["auc"] = np.concatenate([ranking.auc for ranking in rankings])
        top = self.top()
        values[f"novelty@{LIST_LENGTH}"] = novelty(top, self._context.counts)
        vectors = self._context.vectors
        values[f"diversity@{LIST_LENGTH}"] = (
            np.full(len(top), np.nan) if vectors is None else intra_list_diversity(top, vectors)
        )
        return values

    def top(self) -> np.ndarray:
        """Returns int64[cases, LIST_LENGTH], the lists."""
        return np.concatenate(self._top)

    def threshold(self) -> ThresholdCurve | None:
        """Returns recall and precision against the score; None where it is the same everywhere."""
        if self._edges is None:
            return None
        hits, listed, counts = zip(*self._histograms, strict=True)
        return threshold_curve(np.sum(hits, axis=0), np.sum(listed, axis=0), self._edges, sum(counts))

    def brier(self) -> float | None:
        """Returns the Brier score of the probabilities; None where the scorer has none."""
        return brier(*self._probabilities()) if self._probability_parts else None

    def reliability(self) -> ReliabilityCurve | None:
        """Returns probabilities against outcomes; None where the scorer has none."""
        return reliability(*self._probabilities()) if self._probability_parts else None

    def _probabilities(self) -> tuple[np.ndarray, np.ndarray]:
        probabilities, happened = zip(*self._probability_parts, strict=True)
        return np.concatenate(probabilities), np.concatenate(happened)

    def _add_histogram(self, valid: np.ndarray, targets: Sequence[np.ndarray]) -> None:
        finite = valid[valid > -np.inf]
        if self._edges is None:
            if not len(finite) or finite.min() == finite.max():
                return
            self._edges = np.linspace(finite.min(), finite.max(), _CURVE_STEPS + 1)
        # Scores outside the first chunk's range belong to the outermost steps.
        low, high = self._edges[0], self._edges[-1]
        of_targets = np.concatenate([scores[rows] for scores, rows in zip(valid, targets, strict=True)])
        reached = of_targets[of_targets > -np.inf]
        hits, listed = (np.histogram(np.clip(some, low, high), self._edges)[0] for some in (reached, finite))
        self._histograms.append((hits, listed, len(of_targets)))

    def _add_probabilities(self, probabilities: np.ndarray, allowed: np.ndarray, targets: Sequence[np.ndarray]) -> None:
        happened = np.zeros(probabilities.shape, bool)
        for case, rows in enumerate(targets):
            happened[case, rows] = True
        counted = allowed & ~np.isnan(probabilities)
        self._probability_parts.append((probabilities[counted], happened[counted]))
