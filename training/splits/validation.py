"""Selection on the validation part: the metric by which settings are compared, and the search over a grid."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from typing import TypeVar

import numpy as np

from core.metrics import binary_ndcg
from core.vectors import top_rows
from domain.progress import Progress, SilentProgress
from training.splits.split import EvalSet, Scorer

DEPTH = 100
# Cases scored at once: a score for every item each.
_CHUNK = 512
# Further values at either end of a scale at most.
_STEPS_BEYOND = 3
# Relative gain that a step beyond must have, so that noise does not cause one.
_LEAST_GAIN = 0.005
# Settings nearer than this, relatively, count as tied: a few dozen users cannot separate them.
_A_TIE = 0.01

_Setting = TypeVar("_Setting")


def ndcg_by_case(scores: np.ndarray, part: EvalSet) -> np.ndarray:
    """Returns float64[cases], binary NDCG@100 with log2 discount, the ideal cut at 100.

    Only candidates outside the case's history, hidden events included, are ranked; equal scores are ordered by row.

    Args:
        scores: float32[cases, n].
        part: the cases.
    """
    ndcg = np.zeros(len(part.cases))
    for place, (row, case) in enumerate(zip(scores, part.cases, strict=True)):
        allowed = np.where(part.candidates, row, -np.inf)
        allowed[case.history.rows] = -np.inf
        allowed[case.hidden] = -np.inf
        top = top_places(allowed, DEPTH)
        ndcg[place] = binary_ndcg(np.isin(top, case.targets), len(case.targets), DEPTH)
    return ndcg


def top_places(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns int64[<= count], the best places of float32[n], best first, equal scores by place; -inf never."""
    finite = np.flatnonzero(scores > -np.inf)
    return top_rows(scores[finite], finite, count)[0]


def validation_ndcg(scorer: Scorer, part: EvalSet) -> float:
    """Returns the mean NDCG@100 over the part's cases; 0 where there are none."""
    if not part.cases:
        return 0.0
    chunks = []
    for start in range(0, len(part.cases), _CHUNK):
        chunk = EvalSet(part.cases[start : start + _CHUNK], part.candidates)
        chunks.append(ndcg_by_case(scorer.scores([case.history for case in chunk.cases]), chunk))
    return float(np.concatenate(chunks).mean())


def ndcg_validation(build: Callable[[], Scorer], part: EvalSet | None) -> Callable[[], dict[str, float]] | None:
    """Returns the validation of a model while it trains, by NDCG@100; None without validation cases.

    Args:
        build: returns a scorer with the present weights.
        part: validation cases.
    """
    if part is None or not part.cases:
        return None
    return lambda: {"ndcg_at_100": validation_ndcg(build(), part)}


def _differing(setting: object, tried: Sequence[object]) -> str:
    """Returns the fields in which a setting differs from the others, for example `ease.regularisation 30`."""
    plain = [_flat("", other) for other in tried]
    own = _flat("", setting)
    differing = [name for name in own if len({str(other[name]) for other in plain}) > 1]
    return ", ".join(f"{name} {own[name]}" for name in differing)


def _flat(prefix: str, value: object) -> dict[str, object]:
    if not is_dataclass(value) or isinstance(value, type):
        return {prefix: value}
    flat: dict[str, object] = {}
    for field in fields(value):
        flat |= _flat(f"{prefix}.{field.name}" if prefix else field.name, getattr(value, field.name))
    return flat


def best_setting(
    settings: Iterable[_Setting],
    build: Callable[[_Setting], Scorer],
    part: EvalSet,
    progress: Progress | None = None,
    ties: EvalSet | None = None,
) -> _Setting:
    """Returns the setting whose model has the best validation NDCG@100, the first of equals.

    Args:
        settings: to choose from.
        build: builds a model.
        part: the cases that select.
        progress: hears of each.
        ties: cases that select among the settings within 1 % of the best; None for none.

    Raises:
        ValueError: there are no settings to choose from.
    """
    tried: Sequence[_Setting] = list(settings)
    if not tried:
        raise ValueError("no settings to choose from; give at least one")
    if len(tried) == 1 or not part.cases:
        return tried[0]
    values, others = [], []
    for setting in tried:
        scorer = build(setting)
        values.append(_evaluated(scorer, setting, tried, (part, progress or SilentProgress())))
        others.append(validation_ndcg(scorer, ties) if ties is not None else 0.0)
    near = [place for place, value in enumerate(values) if value >= max(values) * (1 - _A_TIE)]
    return tried[max(near, key=lambda place: (others[place], values[place]))]


def best_on_scale(
    values: Sequence[float],
    setting_of: Callable[[float], _Setting],
    build: Callable[[_Setting], Scorer],
    part: EvalSet,
    progress: Progress | None = None,
) -> _Setting:
    """Returns the best setting over one number, and continues beyond either end of the values as long as that gains.

    The best regularisation differs by orders of magnitude between data sets.

    Args:
        values: above 0; the ratio of the last two at an end is that of the steps beyond it.
        setting_of: the setting of a value.
        build: builds a model.
        part: the cases that select.
        progress: hears of each.

    Raises:
        ValueError: there are no values to choose from.
    """
    known = sorted(values)
    if len(known) < 2 or not part.cases:
        return best_setting([setting_of(value) for value in values], build, part, progress)
    evaluation = (part, progress or SilentProgress())
    settings = [setting_of(value) for value in known]
    ndcgs = [_evaluated(build(setting), setting, settings, evaluation) for setting in settings]
    best = int(np.argmax(ndcgs))
    chosen, highest = settings[best], ndcgs[best]
    if best not in (0, len(known) - 1):
        return chosen
    end, before = (known[0], known[1]) if best == 0 else (known[-1], known[-2])
    for _ in range(_STEPS_BEYOND):
        end, before = end * end / before, end
        beyond = setting_of(end)
        ndcg = _evaluated(build(beyond), beyond, [*settings, beyond], evaluation)
        if ndcg <= highest * (1 + _LEAST_GAIN):
            break
        chosen, highest = beyond, ndcg
    return chosen


def _evaluated(
    scorer: Scorer, setting: _Setting, tried: Sequence[_Setting], evaluation: tuple[EvalSet, Progress]
) -> float:
    """Returns the validation NDCG@100 of a setting's model and reports it."""
    part, progress = evaluation
    value = validation_ndcg(scorer, part)
    progress.metric("selection/validation_ndcg_at_100", tried.index(setting), value)
    progress.step(f"    {_differing(setting, tried)}: validation NDCG@100 {value:.4f}")
    return value
