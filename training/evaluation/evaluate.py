"""Judges scorers by a split: the same questions, candidates, metrics and resamples for every row of the table."""

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
# A row that has not answered any of so many cases is not asked further.
_SILENT_CASES = 512


@runtime_checkable
class TextScorer(Protocol):
    """A scorer that can also answer somebody of whom only a line of text is known."""

    def text_scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[B, n], higher is better."""


@dataclass(frozen=True)
class Row:
    """One scorer's figures.

    Attributes:
        name: of the row.
        answered: whether it could say anything; the rest is empty if not.
        spread: standard deviation of the means over draws, by metric; empty for one draw.
        coverage: share of the candidates in any list of ten.
        brier, reliability: of its match probabilities; None where it tells none.
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
    """A table: rows by scorer, figures with intervals.

    Attributes:
        name: of the protocol, or of the cold user.
        case_count: questions, over all draws.
        user_count: users asked about.
        candidate_count: items that may be recommended.
        draws: how often targets were drawn.
        rows: in the order given.
        metrics: names of the figures that are means over users.
        resampled: their columns, rows times metrics.
        users: ids of those asked about.
        by_user: float64[users, rows times metrics], each user's mean over the draws; NaN where there is none.
    """

    name: str
    case_count: int
    user_count: int
    candidate_count: int
    draws: int
    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    resampled: Resampled
    users: tuple[str, ...]
    by_user: np.ndarray

    def row(self, name: str) -> Row:
        """Returns the row of this name; KeyError where there is none."""
        return self.rows[self._place(name)]

    def mean(self, row: str, metric: str) -> Interval:
        """Returns a row's figure with its interval; all NaN where the row could not answer."""
        return self.resampled.mean(self._column(row, metric))

    def ratio(self, row: str, other: str, metric: str) -> Interval:
        """Returns a row's figure as a multiple of another's, with the paired interval."""
        return self.resampled.ratio(self._column(row, metric), self._column(other, metric))

    def figures_by_user(self, row: str, metric: str) -> np.ndarray:
        """Returns float64[users] of one row and metric."""
        found: np.ndarray = self.by_user[:, self._column(row, metric)]
        return found

    def answered(self) -> tuple[Row, ...]:
        """Returns the rows that could answer."""
        return tuple(row for row in self.rows if row.answered)

    def _place(self, name: str) -> int:
        return {row.name: place for place, row in enumerate(self.rows)}[name]

    def _column(self, row: str, metric: str) -> int:
        return self._place(row) * len(self.metrics) + self.metrics.index(metric)


def evaluate(
    scorers: Mapping[str, Scorer],
    name: str,
    parts: Sequence[EvalSet | ShortHistorySet],
    setting: EvaluationContext,
    progress: Progress,
) -> Evaluation:
    """Asks every scorer the same questions; blocking.

    Args:
        scorers: by the name of their row.
        name: of the table.
        parts: one a draw, for example a split's tests.
        setting: what all are judged with.
        progress: told of each row.

    Raises:
        ValueError: a scorer answers another shape, NaN or +inf.
    """
    asked = [part if isinstance(part, ShortHistorySet) else ShortHistorySet("", part) for part in parts]
    users = sorted({case.user_id for part in asked for case in part.part.cases})
    rows: list[Row] = []
    columns: list[np.ndarray] = []
    for row_name, scorer in scorers.items():
        row, figures = _judged(row_name, scorer, asked, setting, users)
        rows.append(row)
        columns.extend(figures.values())
        progress.step(f"{name}: {row_name} judged in {row.seconds:.1f} s" if row.answered else f"{name}: {row_name} -")
    values = np.stack(columns, axis=1) if columns else np.empty((len(users), 0))
    return Evaluation(
        name,
        sum(len(part.part.cases) for part in asked),
        len(users),
        int(asked[0].part.candidates.sum()),
        len(asked),
        tuple(rows),
        METRICS,
        Resampled(values, setting.seed),
        tuple(users),
        values,
    )


def _judged(
    name: str, scorer: Scorer, asked: Sequence[ShortHistorySet], setting: EvaluationContext, users: Sequence[str]
) -> tuple[Row, dict[str, np.ndarray]]:
    """Returns the row, and float64[users] by metric: each user's mean over the draws."""
    # Curves are of the first draw, and not of cold users.
    tallies = [MetricAccumulator(part, setting, curves=not place and not part.name) for place, part in enumerate(asked)]
    started_s = time.monotonic()
    _ask(scorer, tallies)
    seconds = time.monotonic() - started_s
    if not any(tally.answered for tally in tallies):
        return Row(name, False, {}, 0.0, None, None, None, seconds), dict.fromkeys(METRICS, np.full(len(users), np.nan))
    figures = [tally.figures() for tally in tallies]
    place_of = {user_id: place for place, user_id in enumerate(users)}
    case_user = np.concatenate([[place_of[case.user_id] for case in part.part.cases] for part in asked])
    by_user = {}
    for metric in METRICS:
        values = np.concatenate([figure[metric] for figure in figures])
        told = ~np.isnan(values)
        with np.errstate(invalid="ignore", divide="ignore"):
            sums = np.bincount(case_user, np.where(told, values, 0), minlength=len(users))
            by_user[metric] = sums / np.bincount(case_user, told, minlength=len(users))
    spread = {}
    if len(asked) > 1:
        spread = {
            metric: float(np.std([np.nanmean(figure[metric]) for figure in figures], ddof=1))
            for metric in METRICS
            if not all(np.isnan(figure[metric]).all() for figure in figures)
        }
    top = np.concatenate([tally.top() for tally in tallies])
    first = tallies[0]
    covered = coverage(top, asked[0].part.candidates)
    return Row(name, True, spread, covered, first.brier(), first.reliability(), first.threshold(), seconds), by_user


def _ask(scorer: Scorer, tallies: Sequence[MetricAccumulator]) -> None:
    """Asks part by part; gives up where the first cases of all show that nothing can be said."""
    for tally in tallies:
        for chunk, scores, allowed in _chunks(scorer, tally.asked):
            tally.add(chunk, scores, allowed, scorer)
            if tally is tallies[0] and not tally.answered and chunk.stop >= _SILENT_CASES:
                return


def _chunks(scorer: Scorer, asked: ShortHistorySet) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yields (cases, float32[b, n] scores, bool[b, n] what may be recommended)."""
    cases = asked.part.cases
    for start in range(0, len(cases), _CHUNK):
        chunk = slice(start, min(start + _CHUNK, len(cases)))
        if asked.texts is not None and isinstance(scorer, TextScorer):
            scores = scorer.text_scores(asked.texts[chunk])
        else:
            scores = scorer.scores([case.history for case in cases[chunk]])
        scores = _checked(np.asarray(scores, np.float32), chunk.stop - start, len(asked.part.candidates))
        allowed = np.tile(asked.part.candidates, (len(scores), 1))
        for place, case in enumerate(cases[chunk]):
            allowed[place, case.history.rows] = False
            allowed[place, case.hidden] = False
        yield chunk, scores, allowed


def _checked(scores: np.ndarray, case_count: int, item_count: int) -> np.ndarray:
    if scores.shape != (case_count, item_count):
        raise ValueError(f"scores have the shape {scores.shape}; expected ({case_count}, {item_count})")
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise ValueError("scores hold NaN or +inf; expected finite numbers, or -inf where nothing can be said")
    return scores
