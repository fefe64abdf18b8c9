"""Admission of calls: the quota, the limit, the deadline; what is left out before a call is refused.

In this order: nothing, explanations, the ranker, everything but words, the call. Sheddable calls come to each step
sooner, critical ones later. The decision takes microseconds and is made before the call's message is parsed.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from domain.errors import Overloaded, QuotaExceeded
from server.admission.level import Criticality, ServiceLevel
from server.admission.limit import AdaptiveLimit, LimitSettings
from server.admission.quota import CallerQuotas, Quota

# Share of the limit that calls of a class may fill.
_SHARES = {Criticality.SHEDDABLE: 0.7, Criticality.DEFAULT: 1.0, Criticality.CRITICAL: 4.0}
# A single call never fills more of it than this.
_LARGEST_SHARE = 0.25
# A caller with more of the calls under way than this, while others have some, is the first to wait.
_CALLER_SHARE = 0.5
# Answers from words alone for each full one, and a second: they cost processor time that full ones need, but
# where an engine hangs they are all that there is.
_WORDS_PER_FULL = 0.2
_WORDS_PER_S = 10.0
_WORDS_BURST = 10.0
# Of these, calls of a class leave as many for the classes above it.
_WORDS_KEPT = {Criticality.SHEDDABLE: 8.0, Criticality.DEFAULT: 5.0, Criticality.CRITICAL: 0.0}
_PERIOD_S = 0.5
_CALM_S = 1.0
_SHORTEST_RETRY_S = 0.1
_LONGEST_RETRY_S = 5.0
# Kept back from the caller's time in predictions.
_DEADLINE_SHARE = 0.9


class AdmissionObserver(Protocol):
    """Receiver of what admission does."""

    def admission(self, limit: float, in_flight: float, level: ServiceLevel) -> None:
        """Receives the limit and the units under way, after each change."""

    def refused(self, reason: str, criticality: Criticality) -> None:
        """Counts a call that was refused."""


class SilentAdmission:
    """Observer that does nothing."""

    def admission(self, limit: float, in_flight: float, level: ServiceLevel) -> None:
        """Does nothing."""

    def refused(self, reason: str, criticality: Criticality) -> None:
        """Does nothing."""


@dataclass(frozen=True)
class Arrival:
    """A call that asks to be admitted.

    Attributes:
        caller: its identity, or where it comes from without one.
        criticality: its class.
        remaining_s: the time left to it, seconds.
        units: requests in it; 0 for one that only quotas concern.
        by_words: whether it can be answered from words alone.
        measured: whether its latency tells of the load.
        quota: the caller's own; None for everybody's.
    """

    caller: str
    criticality: Criticality
    remaining_s: float
    units: int = 1
    by_words: bool = True
    measured: bool = True
    quota: Quota | None = None


class Admission:
    """The decision about each call. Belongs to one event loop."""

    def __init__(
        self,
        settings: LimitSettings,
        quota: Quota,
        observer: AdmissionObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts with nothing under way.

        Args:
            settings: of the adaptive limit.
            quota: of each caller without one of its own.
            observer: receives what happens.
            clock: monotonic, seconds.
        """
        self._limit = AdaptiveLimit(settings, clock)
        self._quota = quota
        self._quotas = CallerQuotas(clock)
        self._observer = observer
        self._clock = clock
        self._in_flight = 0.0
        self._by_caller: Counter[str] = Counter()
        self._words = _WORDS_BURST
        self._earned_s = clock()
        self._level = ServiceLevel.FULL
        self._crowded_s = self._changed_s = clock() - _CALM_S

    @property
    def limit(self) -> float:
        """The limit now, units."""
        return self._limit.limit

    @contextmanager
    def admitted(self, arrival: Arrival) -> Iterator[ServiceLevel]:
        """Admits a call for the length of the block and yields the level of its service.

        Raises:
            QuotaExceeded: the caller has used its quota up.
            Overloaded: the gateway has too much to do, or would be late.
        """
        units = min(float(arrival.units), max(1.0, _LARGEST_SHARE * self._limit.limit))
        level = self._decide(arrival, units)
        started_s = self._clock()
        if level is ServiceLevel.WORDS_ONLY:
            units = 0.0
        self._in_flight += units
        self._by_caller[arrival.caller] += 1
        in_flight = self._in_flight
        self._tell()
        try:
            yield level
        finally:
            self._in_flight -= units
            self._by_caller[arrival.caller] -= 1
            if not self._by_caller[arrival.caller]:
                del self._by_caller[arrival.caller]
            if units:
                self._earn(_WORDS_PER_FULL)
                if arrival.measured:
                    self._limit.ended(started_s, in_flight)
            self._tell()

    def _decide(self, arrival: Arrival, units: float) -> ServiceLevel:
        quota = arrival.quota or self._quota
        wait_s = self._quotas.wait_s(arrival.caller, quota)
        if wait_s:
            self._observer.refused("quota", arrival.criticality)
            raise QuotaExceeded("this caller has used its quota of calls up; slow down", retry_after_s=wait_s)
        level = self._level_of(arrival, units)
        # Only what is admitted counts: entries of a stream come again and again until there is room.
        self._quotas.take(arrival.caller, quota)
        return level

    def _level_of(self, arrival: Arrival, units: float) -> ServiceLevel:
        if not units:
            return ServiceLevel.FULL
        full = self._in_flight + units > self._share(arrival) * self._limit.now
        late = self._limit.predicted_s(self._in_flight + units) > _DEADLINE_SHARE * arrival.remaining_s
        if full:
            self._limit.reached()
        # Calls that met the share of their own class or caller alone cost the others nothing.
        self._adjust(crowded=self._in_flight + units > self._limit.now)
        if not (full or late):
            return self._granted(arrival.criticality)
        self._earn(_WORDS_PER_S * (self._clock() - self._earned_s))
        self._earned_s = self._clock()
        if arrival.by_words and self._words >= 1.0 + _WORDS_KEPT[arrival.criticality]:
            self._words -= 1.0
            return ServiceLevel.WORDS_ONLY
        self._observer.refused("limit" if full else "deadline", arrival.criticality)
        raise Overloaded(
            "the gateway has more calls than it can answer; wait as long as the retry hint says"
            if full
            else "the gateway would not answer within the call's deadline; give more time, or wait",
            retry_after_s=self._retry_s(),
        )

    def _earn(self, count: float) -> None:
        self._words = min(_WORDS_BURST, self._words + count)

    def _share(self, arrival: Arrival) -> float:
        own, calls = self._by_caller[arrival.caller], self._by_caller.total()
        greedy = own < calls and own > _CALLER_SHARE * calls
        if greedy and arrival.criticality is Criticality.DEFAULT:
            return _SHARES[Criticality.SHEDDABLE]
        return _SHARES[arrival.criticality]

    def _granted(self, criticality: Criticality) -> ServiceLevel:
        if criticality is Criticality.CRITICAL:
            return ServiceLevel.FULL
        return self._level.lower() if self._level and criticality is Criticality.SHEDDABLE else self._level

    def _adjust(self, *, crowded: bool) -> None:
        """Lowers the service a step where calls meet the whole limit, and raises it a step after a calm time."""
        now_s = self._clock()
        if crowded:
            if now_s - self._changed_s >= _PERIOD_S:
                self._level, self._changed_s = self._level.lower(), now_s
            self._crowded_s = now_s
        elif self._level and now_s - max(self._crowded_s, self._changed_s) >= _CALM_S:
            self._level, self._changed_s = ServiceLevel(self._level - 1), now_s

    def _retry_s(self) -> float:
        """Returns a hint about as long as what is under way takes, spread so that callers do not come back at once."""
        expected_s = max(_SHORTEST_RETRY_S, self._limit.predicted_s(self._in_flight))
        return min(_LONGEST_RETRY_S, expected_s * random.uniform(1.0, 3.0))

    def _tell(self) -> None:
        self._observer.admission(self._limit.limit, self._in_flight, self._level)
