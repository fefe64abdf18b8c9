"""Search over grids of settings by a validation metric; grids go on beyond an edge where that gains."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TypeVar

import numpy as np

from domain.progress import Progress, SilentProgress
from training.splits.split import EvalSet, Scorer
from training.splits.validation import NDCG_AT_100, SelectionMetric

# Further values at either end of a scale at most.
_STEPS_BEYOND = 3
# Relative gain that a step beyond must have, so that noise does not cause one.
_LEAST_GAIN = 0.005
# Settings nearer than this, relatively, count as tied: a few dozen users cannot separate them.
_A_TIE = 0.01

_Setting = TypeVar("_Setting")


@dataclass(frozen=True)
class Selection:
    """Cases and metric that choose.

    Attributes:
        part: the cases.
        metric: by which settings are compared.
        progress: hears of each setting.
    """

    part: EvalSet
    metric: SelectionMetric = NDCG_AT_100
    progress: Progress = field(default_factory=SilentProgress)


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
    for one in fields(value):
        flat |= _flat(f"{prefix}.{one.name}" if prefix else one.name, getattr(value, one.name))
    return flat


def best_setting(
    settings: Iterable[_Setting],
    build: Callable[[_Setting], Scorer],
    selection: Selection,
    ties: EvalSet | None = None,
) -> _Setting:
    """Returns the setting whose model has the best validation metric, the first of equals.

    Args:
        settings: to choose from.
        build: builds a model.
        selection: cases and metric that choose.
        ties: cases that select among the settings within 1 % of the best; None for none.

    Raises:
        ValueError: there are no settings to choose from.
    """
    tried: Sequence[_Setting] = list(settings)
    if not tried:
        raise ValueError("no settings to choose from; give at least one")
    if len(tried) == 1 or not selection.part.cases:
        return tried[0]
    values, others = [], []
    for setting in tried:
        scorer = build(setting)
        values.append(_evaluated(scorer, setting, tried, selection))
        others.append(selection.metric.mean(scorer, ties) if ties is not None else 0.0)
    near = [place for place, value in enumerate(values) if value >= max(values) * (1 - _A_TIE)]
    return tried[max(near, key=lambda place: (others[place], values[place]))]


def best_on_scale(
    values: Sequence[float],
    setting_of: Callable[[float], _Setting],
    build: Callable[[_Setting], Scorer],
    selection: Selection,
) -> _Setting:
    """Returns the best setting over one number, and continues beyond either end of the values as long as that gains.

    The best regularisation differs by orders of magnitude between data sets.

    Args:
        values: above 0; the ratio of the last two at an end is that of the steps beyond it.
        setting_of: the setting of a value.
        build: builds a model.
        selection: cases and metric that choose.

    Raises:
        ValueError: there are no values to choose from.
    """
    known = sorted(values)
    if len(known) < 2 or not selection.part.cases:
        return best_setting([setting_of(value) for value in values], build, selection)
    settings = [setting_of(value) for value in known]
    ndcgs = [_evaluated(build(setting), setting, settings, selection) for setting in settings]
    best = int(np.argmax(ndcgs))
    chosen, highest = settings[best], ndcgs[best]
    if best not in (0, len(known) - 1):
        return chosen
    end, before = (known[0], known[1]) if best == 0 else (known[-1], known[-2])
    for _ in range(_STEPS_BEYOND):
        end, before = end * end / before, end
        beyond = setting_of(end)
        ndcg = _evaluated(build(beyond), beyond, [*settings, beyond], selection)
        if ndcg <= highest * (1 + _LEAST_GAIN):
            break
        chosen, highest = beyond, ndcg
    return chosen


def best_on_grid(
    points: Sequence[tuple[float, ...]],
    setting_of: Callable[[tuple[float, ...]], _Setting],
    build: Callable[[_Setting], Scorer],
    selection: Selection,
) -> _Setting:
    """Returns the best setting over a grid of points, and follows an axis beyond its edge as long as that gains.

    Args:
        points: of at least 0 on every axis; whole numbers stay whole. The step beyond the highest value of an axis has
            the ratio of its last two, that beneath the lowest above 0 the ratio of its first two; 0 is a last value.
        setting_of: the setting of a point.
        build: builds a model.
        selection: cases and metric that choose.

    Raises:
        ValueError: there are no points to choose from.
    """
    if len(points) < 2 or not selection.part.cases:
        return best_setting([setting_of(point) for point in points], build, selection)
    values: dict[tuple[float, ...], float] = {}

    def value_of(point: tuple[float, ...]) -> float:
        if point not in values:
            setting = setting_of(point)
            values[point] = _evaluated(build(setting), setting, [*map(setting_of, points), setting], selection)
        return values[point]

    best = max(points, key=value_of)
    for axis in range(len(best)):
        scale = sorted({point[axis] for point in points})
        for _ in range(_STEPS_BEYOND):
            beyond = _beyond(scale, best[axis])
            if beyond is None:
                break
            scale = sorted([*scale, beyond])
            candidate = (*best[:axis], beyond, *best[axis + 1 :])
            if value_of(candidate) <= value_of(best) * (1 + _LEAST_GAIN):
                break
            best = candidate
    return setting_of(best)


def _beyond(scale: Sequence[float], value: float) -> float | None:
    """Returns the next value beyond the end of a scale that `value` is; None inside, and where there is none."""
    if len(scale) < 2:
        return None
    if value == scale[-1] and scale[-2] > 0:
        step = value * value / scale[-2]
    elif value == scale[-1]:
        step = 2 * value
    elif value == scale[0] > 0:
        step = value * value / scale[1]
    else:
        return None
    return max(1, round(step)) if isinstance(value, int) else step


def _evaluated(scorer: Scorer, setting: _Setting, tried: Sequence[_Setting], selection: Selection) -> float:
    """Returns the validation metric of a setting's model and reports it."""
    value = selection.metric.mean(scorer, selection.part)
    name = selection.metric.name
    curve = f"selection/validation_{name.lower().replace('@', '_at_')}"
    selection.progress.metric(curve, tried.index(setting), value)
    selection.progress.step(f"    {_differing(setting, tried)}: validation {name} {value:.4f}")
    return value
