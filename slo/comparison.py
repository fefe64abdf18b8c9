"""Comparison of two deployments: runs in turns, so that other work on the machine meets both, and their ratios."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slo.recorder import Measurement

METRICS: Mapping[str, Callable[[Measurement], float]] = {
    "answered/s": lambda run: run.answered_rate,
    "p50 ms": lambda run: run.latency.intended.percentile_ms(50),
    "p90 ms": lambda run: run.latency.intended.percentile_ms(90),
    "p99 ms": lambda run: run.latency.intended.percentile_ms(99),
    "errors %": lambda run: 100 * run.error_share,
    "degraded %": lambda run: 100 * run.degraded_share,
}
_SHARES = ("errors %", "degraded %")


@dataclass(frozen=True, slots=True)
class Round:
    """One run of each, one directly after the other.

    Attributes:
        first, second: the figures of A and of B.
    """

    first: Measurement
    second: Measurement


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of a comparison.

    Attributes:
        metric: its name.
        first, second: medians over the rounds of A and of B.
        ratio: median over the rounds of B / A; None for shares, which may be 0.
        lowest, highest: the spread of that ratio.
    """

    metric: str
    first: float
    second: float
    ratio: float | None
    lowest: float | None
    highest: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of a comparison.

    Attributes:
        names: of A and B.
        rounds: every round.
    """

    names: tuple[str, str]
    rounds: tuple[Round, ...]

    def rows(self) -> tuple[Row, ...]:
        """Returns a row for each of `METRICS`."""
        return tuple(self._row(metric, value) for metric, value in METRICS.items())

    def _row(self, metric: str, value: Callable[[Measurement], float]) -> Row:
        pairs = [(value(one.first), value(one.second)) for one in self.rounds]
        first, second = (statistics.median(values) for values in zip(*pairs, strict=True))
        ratios = [b / a for a, b in pairs if a > 0]
        if metric in _SHARES or not ratios:
            return Row(metric, first, second, None, None, None)
        return Row(metric, first, second, statistics.median(ratios), min(ratios), max(ratios))


def compare(
    names: tuple[str, str], runs: tuple[Callable[[], Measurement], Callable[[], Measurement]], rounds: int
) -> Comparison:
    """Makes the rounds; A begins in the odd ones, B in the even ones.

    Args:
        names: of A and B.
        runs: functions that make one run of A and of B.
        rounds: at least 1.
    """
    done = []
    for number in range(rounds):
        if number % 2:
            second = runs[1]()
            first = runs[0]()
        else:
            first = runs[0]()
            second = runs[1]()
        done.append(Round(first, second))
    return Comparison(names, tuple(done))
