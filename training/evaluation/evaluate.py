"""Evaluates scorers by a split: the same cases, candidates, metrics and resamples for every method of the table."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from core.metrics import ReliabilityCurve, ThresholdCurve, coverage
from domain.progress import Progress
from training.evaluation.accumulator import METRICS, EvaluationContext, MetricAccumulator
from training.evaluation.bootstrap import Interval, Resampled
from training.splits.short_histories import ShortHistorySet
from training.splits.split import EvalSet, Scorer

_CHUNK = 256
# A method that could not score any of the first cases is not run on the others.
_CASES_BEFORE_GIVING_UP = 512

_ByMetric = dict[str, np.ndarray]


@runtime_checkable
class TextScorer(Protocol):
    """A scorer that also scores for a user of whom only a line of text is known."""

    def text_scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[B, n], higher is better."""


@dataclass(frozen=True)
class MethodResult:
    """Results of one method beyond the metrics by user.

    Attributes:
        name: of the method.
        answered: whether it could score any case; the rest is empty if not.
        spread: standard deviation of the means over draws, by metric; empty for one draw.
        coverage: share of the candidates in any list of ten.
        brier, reliability: of its match probabilities; None where it has none.
        threshold: recall and precision against its score.
        seconds: spent scoring.
    """

    name: str
    answered: bool
    spread: Mapping[str, float]
    coverage: float
    brier: float | None
    reliability: ReliabilityCurve | None
    threshold: ThresholdCurve | None
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """A table of methods by metrics, with intervals.

    Attributes:
        name: of the protocol, or of the cold user.
        case_count: cases, over all draws.
        user_count: users that the cases are of.
        candidate_count: items that may be recommended.
        draws: how often targets were drawn.
        methods: in the order in which they were passed.
        metrics: names of the metrics that are means over users.
        resampled: their columns, methods times metrics.
        users: ids of the users.
        by_user: float64[users, methods times metrics], each user's mean over the draws; NaN where there is none.
    """

    name: str
    case_count: int
    user_count: int
    candidate_count: int
    draws: int
    methods: tuple[MethodResult, ...]
    metrics: tuple[str, ...]
    resampled: Resampled
    users: tuple[str, ...]
    by_user: np.ndarray

    def method(self, name: str) -> MethodResult:
        """Returns the method of this name; KeyError where there is none."""
        return self.methods[self._place(name)]

    def mean(self, method: str, metric: str) -> Interval:
        """Returns a method's mean with its interval; all NaN where the method could not score."""
        return self.resampled.mean(self._column(method, metric))

    def ratio(self, method: str, other: str, metric: str) -> Interval:
        """Returns a method's mean as a multiple of another's, with the paired interval."""
        return self.resampled.ratio(self._column(method, metric), self._column(other, metric))

    def difference(self, method: str, other: str, metric: str) -> Interval:
        """Returns a method's mean less another's, with the paired interval."""
        return self.resampled.difference(self._column(method, metric), self._column(other, metric))

    def best(self, metric: str) -> tuple[str, tuple[str, ...]]:
        """Returns the method with the highest mean, and those that cannot be told from it by a paired interval."""
        names = [method.name for method in self.answered()]
        first = max(names, key=lambda name: self.mean(name, metric).point)
        tied = [name for name in names if name != first and self.difference(first, name, metric).low <= 0]
        return first, tuple(tied)

    def values_by_user(self, method: str, metric: str) -> np.ndarray:
        """Returns float64[users] of one method and metric."""
        values: np.ndarray = self.by_user[:, self._column(method, metric)]
        return values

    def answered(self) -> tuple[MethodResult, ...]:
        """Returns the methods that could score."""
        return tuple(method for method in self.methods if method.answered)

    def _place(self, name: str) -> int:
        return {method.name: place for place, method in enumerate(self.methods)}[name]

    def _column(self, method: str, metric: str) -> int:
        return self._place(method) * len(self.metrics) + self.metrics.index(metric)


def evaluate(
    scorers: Mapping[str, Scorer | None],
    name: str,
    parts: Sequence[EvalSet | ShortHistorySet],
    context: EvaluationContext,
    progress: Progress,
) -> Evaluation:
    """Runs every scorer on the same cases; blocking.

    Args:
        scorers: by the name of their method; None for a method that cannot score any candidate.
        name: of the table.
        parts: one a draw, for example a split's tests.
        context: what all methods have in common.
        progress: hears of each method.

    Raises:
        ValueError: a scorer returns another shape, NaN or +inf.
    """
    draws = [part if isinstance(part, ShortHistorySet) else ShortHistorySet("", part) for part in parts]
    users = sorted({case.user_id for draw in draws for case in draw.part.cases})
    methods: list[MethodResult] = []
    columns: list[np.ndarray] = []
    for method_name, scorer in scorers.items():
        progress.step(f"{name}: evaluating {method_name}")
        method, by_user = _evaluated(method_name, scorer, draws, context, users)
        methods.append(method)
        columns.extend(by_user.values())
        outcome = f"evaluated in {method.seconds:.1f} s" if method.answered else "cannot score these candidates"
        progress.step(f"{name}: {method_name} {outcome}")
    values = np.stack(columns, axis=1) if columns else np.empty((len(users), 0))
    return Evaluation(
        name,
        sum(len(draw.part.cases) for draw in draws),
        len(users),
        int(draws[0].part.candidates.sum()),
        len(draws),
        tuple(methods),
        METRICS,
        Resampled(values, context.seed),
        tuple(users),
        values,
    )


def _evaluated(
    name: str,
    scorer: Scorer | None,
    draws: Sequence[ShortHistorySet],
    context: EvaluationContext,
    users: Sequence[str],
) -> tuple[MethodResult, _ByMetric]:
    """Returns the method, and float64[users] by metric: each user's mean over the draws."""
    # Curves are of the first draw, and not of cold users.
    accumulators = [
        MetricAccumulator(draw, context, curves=not place and not draw.name) for place, draw in enumerate(draws)
    ]
    started_s = time.monotonic()
    if scorer is not None:
        _accumulate(scorer, accumulators)
    seconds = time.monotonic() - started_s
    if not any(accumulator.answered for accumulator in accumulators):
        nothing = MethodResult(name, False, {}, 0.0, None, None, None, seconds)
        return nothing, dict.fromkeys(METRICS, np.full(len(users), np.nan))
    by_draw = [accumulator.metrics() for accumulator in accumulators]
    first = accumulators[0]
    covered = coverage(np.concatenate([each.top() for each in accumulators]), draws[0].part.candidates)
    curves = (first.brier(), first.reliability(), first.threshold())
    result = MethodResult(name, True, _spread(by_draw), covered, *curves, seconds)
    return result, _means_by_user(by_draw, draws, users)


def _means_by_user(by_draw: Sequence[_ByMetric], draws: Sequence[ShortHistorySet], users: Sequence[str]) -> _ByMetric:
    place_of = {user_id: place for place, user_id in enumerate(users)}
    case_user = np.concatenate([[place_of[case.user_id] for case in draw.part.cases] for draw in draws])
    by_user = {}
    for metric in METRICS:
        values = np.concatenate([metrics[metric] for metrics in by_draw])
        present = ~np.isnan(values)
        with np.errstate(invalid="ignore", divide="ignore"):
            sums = np.bincount(case_user, np.where(present, values, 0), minlength=len(users))
            by_user[metric] = sums / np.bincount(case_user, present, minlength=len(users))
    return by_user


def _spread(by_draw: Sequence[_ByMetric]) -> dict[str, float]:
    """Returns the standard deviation of the means over draws, by metric; empty for one draw."""
    if len(by_draw) < 2:
        return {}
    return {
        metric: float(np.std([np.nanmean(metrics[metric]) for metrics in by_draw], ddof=1))
        for metric in METRICS
        if not all(np.isnan(metrics[metric]).all() for metrics in by_draw)
    }


def _accumulate(scorer: Scorer, accumulators: Sequence[MetricAccumulator]) -> None:
    """Scores draw by draw; gives up where the first cases show that the method cannot score any candidate."""
    for accumulator in accumulators:
        for chunk, scores, allowed in _scored_chunks(scorer, accumulator.cases):
            accumulator.add(chunk, scores, allowed, scorer)
            unanswered = accumulator is accumulators[0] and not accumulator.answered
            if unanswered and chunk.stop >= _CASES_BEFORE_GIVING_UP:
                return


def _scored_chunks(scorer: Scorer, draw: ShortHistorySet) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yields (cases, float32[b, n] scores, bool[b, n] items that may be recommended)."""
    cases = draw.part.cases
    for start in range(0, len(cases), _CHUNK):
        chunk = slice(start, min(start + _CHUNK, len(cases)))
        if draw.texts is not None and isinstance(scorer, TextScorer):
            scores = scorer.text_scores(draw.texts[chunk])
        else:
            scores = scorer.scores([case.history for case in cases[chunk]])
        scores = _checked(np.asarray(scores, np.float32), chunk.stop - start, len(draw.part.candidates))
        allowed = np.tile(draw.part.candidates, (len(scores), 1))
        for place, case in enumerate(cases[chunk]):
            allowed[place, case.history.rows] = False
            allowed[place, case.hidden] = False
        yield chunk, scores, allowed


def _checked(scores: np.ndarray, case_count: int, item_count: int) -> np.ndarray:
    if scores.shape != (case_count, item_count):
        raise ValueError(f"scores have the shape {scores.shape}; expected ({case_count}, {item_count})")
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise ValueError("scores hold NaN or +inf; expected finite numbers, or -inf for items that cannot be scored")
    return scores
