"""Cost of batches and rate of arrivals, learned while serving, and from both the time to wait for more texts."""

import math

# A batch costs as much as this many tokens besides its own, before anything was measured.
_FIXED_TOKENS = 24.0
_FEWEST_FIXED_TOKENS, _MOST_FIXED_TOKENS = 4.0, 96.0
# Weight of what was learned with each new batch; 50 batches count.
_KEPT = 0.98
_LEAST_BATCHES = 8
# Time over which arrivals are counted, seconds.
_ARRIVAL_WINDOW_S = 0.25
# Of a batch's time, the most that it waits for texts.
_LONGEST_WAIT_SHARE = 0.25
_GAPS_WAITED = 2.0


class BatchCost:
    """Seconds of a batch as a + b x padded tokens, by exponentially weighted least squares."""

    def __init__(self) -> None:
        self._count = 0
        self._weight = self._x = self._y = self._xx = self._xy = 0.0

    def learn(self, padded_tokens: int, seconds: float) -> None:
        """Takes the duration of a batch that was answered."""
        if self._count >= _LEAST_BATCHES:
            # A machine that stood still says nothing of batches.
            seconds = min(seconds, 4 * self.seconds(padded_tokens))
        self._count += 1
        self._weight = _KEPT * self._weight + 1
        self._x = _KEPT * self._x + padded_tokens
        self._y = _KEPT * self._y + seconds
        self._xx = _KEPT * self._xx + padded_tokens**2
        self._xy = _KEPT * self._xy + padded_tokens * seconds

    def _line(self) -> tuple[float, float]:
        """Returns a and b in seconds; from the mean alone where sizes hardly differ."""
        if not self._weight:
            return 0.0, 0.0
        x, y = self._x / self._weight, self._y / self._weight
        spread = self._xx / self._weight - x * x
        slope = (self._xy / self._weight - x * y) / spread if spread > 0.01 * x * x else 0.0
        fixed = y - slope * x
        if self._count < _LEAST_BATCHES or slope <= 0 or fixed <= 0:
            slope = y / (x + _FIXED_TOKENS)
            fixed = y - slope * x
        return fixed, slope

    def seconds(self, padded_tokens: float) -> float:
        """Returns how long a batch is expected to take; 0 before anything was measured."""
        fixed, slope = self._line()
        return fixed + slope * padded_tokens

    @property
    def fixed_tokens(self) -> float:
        """The part that does not depend on a batch's tokens, in tokens."""
        fixed, slope = self._line()
        ratio = fixed / slope if slope > 0 else _FIXED_TOKENS
        return min(max(ratio, _FEWEST_FIXED_TOKENS), _MOST_FIXED_TOKENS)


class ArrivalRate:
    """Texts a second over the last moments."""

    def __init__(self) -> None:
        self._count = 0.0
        self._counted_s = 0.0

    def arrived(self, now_s: float) -> None:
        """Counts a text."""
        self._count = self._count * self._decay(now_s) + 1
        self._counted_s = now_s

    def rate(self, now_s: float) -> float:
        """Returns texts a second."""
        return self._count * self._decay(now_s) / _ARRIVAL_WINDOW_S

    def _decay(self, now_s: float) -> float:
        return math.exp(min(0.0, self._counted_s - now_s) / _ARRIVAL_WINDOW_S)


def worthwhile_wait_s(waiting_count: int, rate: float, batch_s: float) -> float:
    """Returns for how long the last free place should wait for more texts; 0 to send at once.

    Waiting dw costs each of n waiting texts dw. It brings rate x dw texts into this batch that would otherwise wait
    for its end, about `batch_s`. So it pays while rate x batch_s > n: while fewer wait than would gather during the
    batch.

    Args:
        waiting_count: n.
        rate: texts a second that come.
        batch_s: expected duration of the batch, seconds.
    """
    if rate * batch_s <= waiting_count:
        return 0.0
    return min(_GAPS_WAITED / rate, _LONGEST_WAIT_SHARE * batch_s)
