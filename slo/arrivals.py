"""Arrival processes: the times at which calls are meant to be sent, all fixed before the first of them.

A rate curve r(t) has the expected count L(t), the integral of r from 0 to t. A process of that rate is the process of
rate 1 seen through the inverse of L (time rescaling theorem): arrivals = L^-1(unit process). With the unit process 0,
1, 2 ... this is constant pacing; with the points of a unit Poisson process it is an (inhomogeneous) Poisson process.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from domain.errors import ConfigurationError

_AFTER_LAST_S = 0.001
_RATE_HELP = "give a rate (200), a ramp (50..400) or points second:rate (0:50,10:400,20:400)"


class Arrivals(Protocol):
    """Times of calls."""

    @property
    def duration_s(self) -> float:
        """The end of the run: no time lies at or after it."""

    def offsets_s(self, rng: np.random.Generator) -> np.ndarray:
        """Returns float64[n], ascending, seconds since the start of the run."""


@dataclass(frozen=True, slots=True)
class RateCurve:
    """Calls a second over time, linear between points.

    Attributes:
        times_s: float, ascending, the first 0, at least two.
        rates: float, one for each time, 0 or more, calls a second.
    """

    times_s: tuple[float, ...]
    rates: tuple[float, ...]

    @classmethod
    def steady(cls, rate: float, duration_s: float) -> Self:
        """Returns one rate for the whole duration."""
        return cls((0.0, duration_s), (rate, rate))

    @classmethod
    def parse(cls, text: str, duration_s: float) -> Self:
        """Reads `200`, `50..400` (a ramp over the duration) or `0:50,10:400,20:400` (seconds and rates).

        Raises:
            ConfigurationError: the text is none of these, or names no call at all.
        """
        try:
            if ":" in text:
                points = [tuple(map(float, point.split(":"))) for point in text.split(",")]
                times, rates = zip(*points, strict=True)
            else:
                first, _, last = text.partition("..")
                times, rates = (0.0, duration_s), (float(first), float(last or first))
        except ValueError as error:
            raise ConfigurationError(f"the rate {text!r} cannot be read; {_RATE_HELP}") from error
        valid = len(times) > 1 and times[0] == 0 and min(np.diff(times)) > 0 and min(rates) >= 0 and max(rates) > 0
        if not valid or not np.isfinite([*times, *rates]).all():
            raise ConfigurationError(
                f"the rate {text!r} cannot be used: times ascend from 0, rates are 0 or more and one is above 0; "
                f"{_RATE_HELP}"
            )
        return cls(times, rates)

    @property
    def duration_s(self) -> float:
        """The end of the curve in seconds."""
        return self.times_s[-1]

    @property
    def expected_count(self) -> float:
        """L(duration), the expected number of calls."""
        return float(self._counts()[-1])

    def times_of(self, counts: np.ndarray) -> np.ndarray:
        """Returns L^-1: float64[n] seconds at which the expected count reaches float64[n] counts in [0, L(duration)).

        Within a part that begins with rate r and changes by a every second, r x + a x^2 / 2 = m has the root
        x = 2 m / (r + sqrt(r^2 + 2 a m)), which also holds for a = 0.
        """
        times, rates, reached = np.array(self.times_s), np.array(self.rates), self._counts()
        part = np.clip(np.searchsorted(reached, counts, side="right") - 1, 0, len(times) - 2)
        rest = counts - reached[part]
        first = rates[part]
        slope = (np.diff(rates) / np.diff(times))[part]
        root = first + np.sqrt(np.maximum(first**2 + 2 * slope * rest, 0.0))
        seconds: np.ndarray = times[part] + np.divide(2 * rest, root, out=np.zeros_like(rest), where=root > 0)
        return seconds

    def _counts(self) -> np.ndarray:
        rates = np.array(self.rates)
        areas = np.diff(self.times_s) * (rates[1:] + rates[:-1]) / 2
        return np.concatenate([[0.0], np.cumsum(areas)])


@dataclass(frozen=True, slots=True)
class Constant:
    """Evenly paced calls: the n-th at L^-1(n), n from 0."""

    curve: RateCurve

    @property
    def duration_s(self) -> float:
        """The end of the curve."""
        return self.curve.duration_s

    def offsets_s(self, rng: np.random.Generator) -> np.ndarray:
        """Returns the times; the generator of random numbers has no effect."""
        return self.curve.times_of(np.arange(np.ceil(self.curve.expected_count - 1e-9)))


@dataclass(frozen=True, slots=True)
class Poisson:
    """Independent callers: the points of a unit Poisson process on [0, L(duration)), through L^-1.

    Given their number, which is Poisson distributed with mean L(duration), the points are uniform.
    """

    curve: RateCurve

    @property
    def duration_s(self) -> float:
        """The end of the curve."""
        return self.curve.duration_s

    def offsets_s(self, rng: np.random.Generator) -> np.ndarray:
        """Returns the times; the same generator state gives the same times."""
        total = self.curve.expected_count
        return self.curve.times_of(np.sort(rng.uniform(0.0, total, rng.poisson(total))))


@dataclass(frozen=True, slots=True)
class Recorded:
    """Replay of recorded times.

    Attributes:
        times_s: float64[n], ascending, in seconds from any origin.
        speed: 2 replays twice as fast.
    """

    times_s: np.ndarray
    speed: float = 1.0

    @property
    def duration_s(self) -> float:
        """A millisecond after the last time."""
        return float(self.times_s[-1] - self.times_s[0]) / self.speed + _AFTER_LAST_S

    def offsets_s(self, rng: np.random.Generator) -> np.ndarray:
        """Returns the times, the first at 0; the generator of random numbers has no effect."""
        offsets: np.ndarray = (self.times_s - self.times_s[0]) / self.speed
        return offsets
