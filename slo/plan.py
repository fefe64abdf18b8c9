"""Plans of runs: which call is meant to be sent at which time, drawn from a seed before anything is sent."""

from dataclasses import dataclass

import numpy as np

from domain.errors import ConfigurationError
from slo.arrivals import Arrivals
from slo.recorder import RunScope
from slo.rules import Slo
from slo.workload import Workload

# More calls than callers can send in the longest run; they start over after it.
_CALLS_IN_TURN = 200_000


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Settings that all runs of a session share.

    Attributes:
        warm_up_s: calls meant for earlier are sent and not counted.
        deadline_s: of each call, from its intended time.
        in_flight_limit: calls under way at most, all processes together; further ones wait.
        seed: of times and calls.
    """

    warm_up_s: float = 2.0
    deadline_s: float = 1.0
    in_flight_limit: int = 10_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Run to make: all of it is fixed before the first call.

    Attributes:
        scope: its extent, and what is counted.
        offsets_s: float64[n], the intended times; empty for closed-loop callers.
        calls: int64[n], the call of each time; for callers, the calls in turn.
        deadline_s: of each call.
        in_flight_limit: calls under way at most, all processes together.
        callers: closed-loop callers, all processes together; 0 for the times.
    """

    scope: RunScope
    offsets_s: np.ndarray
    calls: np.ndarray
    deadline_s: float
    in_flight_limit: int
    callers: int = 0


def plan_arrivals(arrivals: Arrivals, workload: Workload, settings: RunSettings, slo: Slo) -> RunPlan:
    """Plans an open-loop run of calls that are drawn.

    Raises:
        ConfigurationError: no call is left after the warm-up.
    """
    rng = np.random.default_rng(settings.seed)
    offsets = arrivals.offsets_s(rng)
    return _plan(offsets, workload.draw(len(offsets), rng), arrivals.duration_s, settings, slo)


def plan_recorded(arrivals: Arrivals, workload: Workload, settings: RunSettings, slo: Slo) -> RunPlan:
    """Plans the replay of recorded calls: the n-th call of the workload at the n-th time.

    Raises:
        ConfigurationError: no call is left after the warm-up.
    """
    offsets = arrivals.offsets_s(np.random.default_rng(settings.seed))
    return _plan(offsets, np.arange(len(offsets)), arrivals.duration_s, settings, slo)


def plan_callers(callers: int, duration_s: float, workload: Workload, settings: RunSettings, slo: Slo) -> RunPlan:
    """Plans a closed-loop run: every caller sends its next call when the last one has ended."""
    calls = workload.draw(_CALLS_IN_TURN, np.random.default_rng(settings.seed))
    scope = _scope(duration_s, None, settings, slo)
    return RunPlan(scope, np.empty(0), calls, settings.deadline_s, callers, callers)


def _plan(offsets: np.ndarray, calls: np.ndarray, duration_s: float, settings: RunSettings, slo: Slo) -> RunPlan:
    counted = int((offsets >= settings.warm_up_s).sum())
    if duration_s <= settings.warm_up_s or not counted:
        raise ConfigurationError(
            f"no call is meant for the time after the warm-up of {settings.warm_up_s:g} s: give a longer --duration, a "
            "higher --rate or a shorter --warm-up"
        )
    scope = _scope(duration_s, counted, settings, slo)
    return RunPlan(scope, offsets, calls, settings.deadline_s, settings.in_flight_limit)


def _scope(duration_s: float, offered: int | None, settings: RunSettings, slo: Slo) -> RunScope:
    within_ms = None if slo.goodput is None else slo.goodput.within_ms
    return RunScope(settings.warm_up_s, duration_s, offered, within_ms, slo.degradation_reasons)
