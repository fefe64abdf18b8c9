"""Quotas of callers: a token bucket for each, bounded in number."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MOST_CALLERS = 10_000


@dataclass(frozen=True)
class Quota:
    """Rate of a caller.

    Attributes:
        per_s: calls a second in the long run; 0 for no quota.
        burst: calls at once after a quiet time.
    """

    per_s: float
    burst: float


class CallerQuotas:
    """Token buckets by caller. A caller who was quiet for long enough to have a full bucket may be forgotten."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Takes a monotonic clock, seconds."""
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, caller: str, quota: Quota) -> float:
        """Returns 0 where a caller's bucket has a call, else the seconds until it has. Takes nothing."""
        if quota.per_s <= 0:
            return 0.0
        tokens = self._tokens(caller, quota, self._clock())
        return 0.0 if tokens >= 1.0 else (1.0 - tokens) / quota.per_s

    def take(self, caller: str, quota: Quota) -> None:
        """Takes a call out of a caller's bucket; to be done right after `wait_s` returned 0."""
        if quota.per_s <= 0:
            return
        now_s = self._clock()
        tokens = self._tokens(caller, quota, now_s)
        self._buckets.pop(caller, None)
        self._buckets[caller] = tokens - 1.0, now_s
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)

    def _tokens(self, caller: str, quota: Quota, now_s: float) -> float:
        burst = max(1.0, quota.burst)
        tokens, then_s = self._buckets.get(caller, (burst, now_s))
        return min(burst, tokens + (now_s - then_s) * quota.per_s)
