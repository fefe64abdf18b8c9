"""Plots of the report, one SVG each: latency over time, percentiles, and rate against latency with the knee."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from core.svg_plot import drawing
from slo.capacity import Capacity, Trial
from slo.comparison import Comparison
from slo.recorder import Measurement
from slo.verdict import Outcome

_INTENDED, _SENT, _RATE, _FAILED, _LAG = "#c2452d", "#5f93b3", "#2f6690", "#d9860b", "#94958f"
_MARKS = ((Outcome.HOLDS, "o", _RATE), (Outcome.BROKEN, "x", _INTENDED), (Outcome.NOT_JUDGED, "+", _FAILED))
_PERCENTILES = 100 - 100 / np.logspace(0.001, 5, 120)


def time_plot(measured: Measurement) -> bytes:
    """Returns an SVG: percentiles, answers and failures by second."""
    seconds = [row.second + 0.5 for row in measured.seconds]
    with drawing(4.6, rows=2, ratios=(2.2, 1)) as (axes, svg):
        latency, rate = axes
        latency.plot(seconds, [row.max_ms for row in measured.seconds], color="#e3b8ac", lw=1, label="largest")
        latency.plot(seconds, [row.p99_ms for row in measured.seconds], color=_INTENDED, lw=1.8, label="p99")
        latency.plot(seconds, [row.p50_ms for row in measured.seconds], color=_RATE, lw=1.8, label="p50")
        lag = [row.lag_p99_ms for row in measured.seconds]
        latency.plot(seconds, lag, color=_LAG, lw=1, ls=":", label="generator's own lateness, p99")
        _milliseconds(latency)
        latency.set_title("Latency of the answers of each second, ms, from the intended send")
        _legend(latency, 4)
        rate.plot(seconds, [row.answered for row in measured.seconds], color=_RATE, lw=1.8, label="answered")
        rate.plot(
            seconds, [row.degraded for row in measured.seconds], color="#8a3a84", lw=1.2, label="of these degraded"
        )
        rate.plot(seconds, [row.failed for row in measured.seconds], color=_FAILED, lw=1.8, label="failed")
        rate.set_ylim(bottom=0)
        rate.grid(axis="y")
        rate.set_title("Calls of each second")
        rate.set_xlabel("seconds since the start")
        _legend(rate, 3)
        for axis in axes:
            axis.axvspan(0, measured.scope.warm_up_s, color="#f0eee4", lw=0)
            axis.set_xlim(0, max(measured.scope.duration_s, 1))
    return svg()


def percentile_plot(measured: Measurement) -> bytes:
    """Returns an SVG: latency by percentile on both clocks, the percentile axis stretched towards 100 %."""
    count = measured.latency.intended.count
    shown = _PERCENTILES[100 - 100 / max(count, 2) >= _PERCENTILES]
    with drawing(3.2) as (axes, svg):
        axis = axes[0]
        for clock, colour, label in (
            (measured.latency.sent, _SENT, "from the actual send"),
            (measured.latency.intended, _INTENDED, "from the intended send"),
        ):
            axis.plot(100 / (100 - shown), [clock.percentile_ms(one) for one in shown], color=colour, lw=2, label=label)
        axis.set_xscale("log")
        nines = [one for one in (50, 90, 99, 99.9, 99.99, 99.999) if one <= shown[-1]]
        axis.set_xticks([100 / (100 - one) for one in nines], [f"{one:g} %" for one in nines])
        axis.minorticks_off()
        _milliseconds(axis)
        axis.set_title("Latency by percentile, ms")
        _legend(axis, 2)
    return svg()


def knee_plot(capacity: Capacity) -> bytes:
    """Returns an SVG: every run of a search, offered rate against latency and against answers, with the capacity."""
    with drawing(3.6, columns=2) as (axes, svg):
        latency, answered = axes
        for axis, value in (
            (latency, lambda trial: trial.measured.latency.intended.percentile_ms(99)),
            (answered, lambda trial: trial.measured.answered_rate),
        ):
            _trials(axis, capacity.trials, value)
            axis.set_xlabel("offered, calls/s")
            axis.set_xlim(left=0)
            axis.grid()
            if capacity.rate is not None:
                axis.axvline(capacity.rate, color="#1f8a5f", lw=1.2, ls="--", label=f"capacity {capacity.rate:.0f}/s")
        medians = [(rate, float(np.median(values))) for rate, values in sorted(_p50_by_rate(capacity.trials).items())]
        latency.plot(*zip(*medians, strict=True), color="#9db8cc", lw=1.2, marker=".", ms=4, label="p50")
        _milliseconds(latency)
        latency.set_title("p99 from the intended send, ms")
        _legend(latency, 2)
        highest = max(trial.rate for trial in capacity.trials)
        answered.plot([0, highest], [0, highest], color="#c9c9c4", lw=1, zorder=0)
        answered.set_ylim(bottom=0)
        answered.set_title("Answered, calls/s")
    return svg()


def comparison_plot(comparison: Comparison) -> bytes:
    """Returns an SVG: p50, p99 and rate of A and B, a point each round."""
    rows = [row for row in comparison.rows() if row.ratio is not None]
    with drawing(0.5 * len(rows) + 1.1) as (axes, svg):
        axis = axes[0]
        for place, row in enumerate(rows):
            assert row.ratio is not None and row.lowest is not None and row.highest is not None
            axis.plot([row.lowest, row.highest], [place, place], color="#9db8cc", lw=5, solid_capstyle="round")
            axis.plot([row.ratio], [place], "o", color=_RATE, ms=8)
            axis.text(row.ratio, place - 0.16, f"{row.ratio:.2f}", fontsize=8, ha="center", va="bottom")
        axis.axvline(1, color="#8a8a84", lw=1)
        axis.set_yticks(range(len(rows)), [row.metric for row in rows])
        axis.set_ylim(len(rows) - 0.5, -0.7)
        axis.grid(axis="x")
        axis.set_title("B / A: median and spread over the rounds")
    return svg()


def _p50_by_rate(trials: Sequence[Trial]) -> dict[float, list[float]]:
    """Returns the medians of latency of the runs at each rate, in milliseconds."""
    found: dict[float, list[float]] = {}
    for trial in trials:
        found.setdefault(trial.rate, []).append(trial.measured.latency.intended.percentile_ms(50))
    return found


def _trials(axis: Axes, trials: Sequence[Trial], value: Callable[[Trial], float]) -> None:
    """Draws runs, each with the mark of its outcome."""
    for outcome, marker, colour in _MARKS:
        shown = [(trial.rate, value(trial)) for trial in trials if trial.verdict.outcome is outcome]
        if shown:
            axis.plot(*zip(*shown, strict=True), marker, color=colour, ms=6, mew=2, label=f"p99, {outcome.value}")


def _milliseconds(axis: Axes) -> None:
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.grid(axis="y", which="major")


def _legend(axis: Axes, columns: int) -> None:
    axis.legend(loc="upper left", bbox_to_anchor=(0, 1.0), ncols=columns, fontsize=8, handlelength=1.4)
    low, high = axis.get_ylim()
    axis.set_ylim(low, high * (high / max(low, 1e-9)) ** 0.25 if axis.get_yscale() == "log" else high * 1.3)
