"""Adaptive limit of calls under way, from the latency of the calls that were answered.

A gradient limit whose reference is an objective: after each window the limit is multiplied by target / median latency
(at most halved) where the median is above the target, and raised by its square root where the limit was reached below
it. Vegas and the usual gradient take the lowest latency seen as their reference. That fits servers whose throughput
does not depend on the queue; this one batches, its throughput and its latency grow together up to full batches, and
such a limit would settle at a small part of the capacity.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

_FEWEST_SAMPLES = 10
_LONGEST_WINDOW_S = 1.0
_STEEPEST = 0.5
_FAST_GROWTH = 1.25
_BURST = 2.0
_STALE_S = 2.0
# An unloaded call takes as long as the work itself: no limit makes it faster. But callers have deadlines.
_BASE_FACTOR = 2.0
_MOST_FACTOR = 2.0
_BASE_WEIGHT = 0.1
_IDLE_UNITS = 2


@dataclass(frozen=True)
class LimitSettings:
    """Settings of an adaptive limit.

    Attributes:
        target_s: median latency that the limit is led to, seconds; twice that of unloaded calls where it is more.
        least: the limit never falls below it, units.
        most: nor rises above it.
        first: the limit at the start.
        window_s: least time between two changes, seconds.
    """

    target_s: float = 0.4
    least: float = 4.0
    most: float = 2_000.0
    first: float = 32.0
    window_s: float = 0.25


class AdaptiveLimit:
    """The limit, with the latencies of its current window. A unit is one request's work."""

    def __init__(self, settings: LimitSettings, clock: Callable[[], float]) -> None:
        """Starts at `settings.first`.

        Args:
            settings: its bounds and its target.
            clock: monotonic, seconds.
        """
        self._settings = settings
        self._clock = clock
        self.limit = settings.first
        self._samples: list[tuple[float, int]] = []
        self._opened_s = clock()
        self._lowered_s = -math.inf
        self._reached = False
        self._base_s = 0.0
        self._last: tuple[float, float, float] | None = None

    @property
    def target_s(self) -> float:
        """The median latency that the limit is led to, seconds."""
        target_s = self._settings.target_s
        return max(target_s, min(_BASE_FACTOR * self._base_s, _MOST_FACTOR * target_s))

    @property
    def now(self) -> float:
        """The limit with room for a burst while calls are quick: twice as much below half of the target."""
        calm = self._last is None or 2 * self._last[1] <= self.target_s
        return min(self._settings.most, self.limit * (_BURST if calm else 1.0))

    def reached(self) -> None:
        """Notes that a call met the limit: it may grow."""
        self._reached = True

    def ended(self, started_s: float, in_flight: float) -> None:
        """Notes the end of a call.

        Args:
            started_s: when it was admitted, on the clock.
            in_flight: units under way with it then, its own included.
        """
        now_s = self._clock()
        took_s = now_s - started_s
        if in_flight <= _IDLE_UNITS:
            weight = _BASE_WEIGHT if self._base_s else 1.0
            self._base_s += weight * (took_s - self._base_s)
        if started_s >= self._lowered_s:  # an older call says how it was under the old limit
            self._samples.append((took_s, int(in_flight)))
        self._close_window(now_s)

    def predicted_s(self, in_flight: float) -> float:
        """Returns how long a call would take that is admitted now, seconds; 0 where nothing recent tells.

        A lower bound in proportion to the units under way; it never extrapolates upwards, since batches grow first.
        """
        if self._last is None or self._clock() - self._last[0] > _STALE_S:
            return 0.0
        _, took_s, then = self._last
        return took_s * min(1.0, in_flight / max(then, 1.0))

    def _close_window(self, now_s: float) -> None:
        age_s = now_s - self._opened_s
        if age_s < self._settings.window_s or not self._samples:
            return
        if len(self._samples) < _FEWEST_SAMPLES and age_s < _LONGEST_WINDOW_S:
            return
        took_s = median(sample[0] for sample in self._samples)
        self._last = (now_s, took_s, median(sample[1] for sample in self._samples))
        self._move(took_s, now_s)
        self._samples = []
        self._opened_s = now_s
        self._reached = False

    def _move(self, took_s: float, now_s: float) -> None:
        target_s, limit = self.target_s, self.limit
        if took_s > target_s:
            limit *= max(_STEEPEST, target_s / took_s)
            self._lowered_s = now_s
        elif self._reached:
            limit = limit * (_FAST_GROWTH if 2 * took_s <= target_s else 1.0) + math.sqrt(limit)
        self.limit = min(max(limit, self._settings.least), self._settings.most)
