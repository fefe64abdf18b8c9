"""Latency histograms (HdrHistogram): three significant digits from a microsecond to ten minutes."""

import math
from collections.abc import Iterable

import numpy as np
from hdrh.histogram import HdrHistogram

_MOST_US = 600_000_000
_DIGITS = 3
_ROUNDING = 1e-9


class LatencyHistogram:
    """Latencies, recorded in seconds and read in milliseconds."""

    def __init__(self) -> None:
        self._counts = HdrHistogram(1, _MOST_US, _DIGITS)
        self._total_us = 0

    def record(self, seconds: Iterable[float]) -> None:
        """Adds latencies; those outside the range count as its ends."""
        microseconds = np.clip(np.rint(np.fromiter(seconds, np.float64) * 1e6), 1, _MOST_US).astype(np.int64)
        self._total_us += int(microseconds.sum())
        values, counts = np.unique(microseconds, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self._counts.record_value(value, count)

    @property
    def count(self) -> int:
        """The number of latencies."""
        return int(self._counts.get_total_count())

    def percentile_ms(self, percentile: float) -> float:
        """Returns the least latency that at least `percentile` % do not exceed; NaN where there is none."""
        if not self.count:
            return math.nan
        # The library rounds the number of latencies below to the nearest, which may be one too few.
        below = max(1, math.ceil(percentile * self.count / 100 - _ROUNDING))
        return float(self._counts.get_value_at_percentile(100 * below / self.count)) / 1e3

    def mean_ms(self) -> float:
        """Returns the mean; NaN where there is none."""
        return self._total_us / self.count / 1e3 if self.count else math.nan

    def max_ms(self) -> float:
        """Returns the largest latency; NaN where there is none."""
        return self._counts.get_max_value() / 1e3 if self.count else math.nan

    def encoded(self) -> str:
        """Returns the histogram in microseconds as HdrHistogram's V2 format in base64, which its tools read."""
        return str(self._counts.encode().decode("ascii"))
