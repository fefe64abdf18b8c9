"""Retries: which failed calls are repeated once, and the budget of repeats."""

import random
import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """The retry policy for calls that could not reach the gateway. A call is repeated at most once.

    Attributes:
        budget_share: repeats allowed per call made, 0 to 1, over all calls of the client.
        burst_count: repeats allowed at once after a quiet time, at least 1; also what a new client starts with.
        max_pause_s: the pause before a repeat is drawn evenly from 0 to this, in seconds.

    Raises:
        ValueError: a value is out of its range.
    """

    budget_share: float = 0.1
    burst_count: int = 10
    max_pause_s: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.budget_share <= 1:
            raise ValueError(f"budget_share is a share of the calls, 0 to 1, not {self.budget_share}")
        if self.burst_count < 1:
            raise ValueError(f"burst_count is at least 1, not {self.burst_count}; for no repeats give retry=None")
        if not 0 <= self.max_pause_s < float("inf"):
            raise ValueError(f"max_pause_s is 0 or more seconds, not {self.max_pause_s}")


DEFAULT_RETRY = Retry()


class RetryBudget:
    """A token bucket: every call puts in a share of a token, every repeat takes out a whole one. Thread-safe.

    When the gateway is down for good, repeats add `budget_share` to its load instead of doubling it.
    """

    def __init__(self, retry: Retry | None) -> None:
        self._retry = retry
        self._tokens = float(retry.burst_count) if retry else 0.0
        self._lock = threading.Lock()

    def count_call(self) -> None:
        """Notes that a call is made."""
        if self._retry is not None:
            with self._lock:
                self._tokens = min(self._tokens + self._retry.budget_share, float(self._retry.burst_count))

    def draw_pause_s(self, at_least_s: float, at_most_s: float) -> float | None:
        """Takes one repeat out of the budget.

        Args:
            at_least_s: how long the gateway asked to wait, in seconds.
            at_most_s: the time left to the call, in seconds.

        Returns:
            How long to wait before the repeat, in seconds; None where there is to be none.
        """
        if self._retry is None:
            return None
        pause_s = max(at_least_s, random.uniform(0.0, self._retry.max_pause_s))
        with self._lock:
            if pause_s >= at_most_s or self._tokens < 1.0:
                return None
            self._tokens -= 1.0
        return pause_s
