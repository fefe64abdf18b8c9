"""Terminal output of `shortlist slo`: the seconds as they pass, and the result."""

import json
import math
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from slo.capacity import Trial
from slo.recorder import Measurement, SecondRow
from slo.report import CapacityReport, ComparisonReport, Report, RunReport, capacity_sentence, clocks
from slo.rules import Slo
from slo.verdict import Outcome, Verdict, refusal

if TYPE_CHECKING:
    from slo.histogram import LatencyHistogram

_SHOWN_SECONDS = 12
_LOG_EVERY_S = 10
_SHOWN_PERCENTILES = (50, 90, 99, 99.9, 100)
_STYLES = {Outcome.HOLDS: "green", Outcome.BROKEN: "red", Outcome.NOT_JUDGED: "yellow"}


class Seconds:
    """Display of the seconds that pass: a table on a terminal, a line every ten seconds elsewhere; NDJSON besides."""

    def __init__(self, console: Console, ndjson: TextIO | None) -> None:
        """Takes the console, and the stream that gets a line of JSON every second."""
        self._console, self._ndjson = console, ndjson
        self._rows: deque[SecondRow] = deque(maxlen=_SHOWN_SECONDS)
        self._live = Live(console=console, transient=True, auto_refresh=False) if console.is_terminal else None

    def shown(self) -> AbstractContextManager[object]:
        """Returns a context in which the table is on the screen."""
        return nullcontext() if self._live is None else self._live

    def __call__(self, row: SecondRow) -> None:
        """Shows one more second."""
        if self._ndjson is not None:
            values = {name: None if math.isnan(value) else value for name, value in asdict(row).items()}
            self._ndjson.write(json.dumps(values) + "\n")
            self._ndjson.flush()
        self._rows.append(row)
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
        elif row.second % _LOG_EVERY_S == _LOG_EVERY_S - 1:
            self._console.print(
                f"{row.second + 1} s: {row.answered} answered, {row.failed} failed, p50 {_ms(row.p50_ms)}, p99 "
                f"{_ms(row.p99_ms)} ms",
                highlight=False,
            )

    def _table(self) -> Table:
        table = _grid(
            "second", "answered", "failed", "degraded", "p50 ms", "p99 ms", "max ms", "late p99 ms", "under way"
        )
        for row in self._rows:
            times = (_ms(value) for value in (row.p50_ms, row.p99_ms, row.max_ms, row.lag_p99_ms))
            counts = map(str, (row.second, row.answered, row.failed, row.degraded))
            table.add_row(*counts, *times, str(row.in_flight))
        return table


def print_trial(console: Console, trial: Trial) -> None:
    """Prints one run of a search in a line."""
    measured = trial.measured
    percentiles = ", ".join(f"p{one} {_ms(measured.latency.intended.percentile_ms(one))}" for one in (50, 99))
    console.print(
        f"{trial.rate:8.1f}/s  {percentiles} ms, errors {measured.error_share:.2%}  "
        f"{'confirmation ' if trial.confirms else ''}{trial.verdict.outcome.value}",
        style=_STYLES[trial.verdict.outcome],
        highlight=False,
    )


def print_report(console: Console, report: Report) -> None:
    """Prints the result."""
    match report:
        case RunReport(measured=measured, verdict=verdict):
            _print_run(console, measured)
            if verdict is not None:
                _print_verdict(console, verdict)
            elif reason := refusal(Slo(), measured):
                _say(console, reason, _STYLES[Outcome.NOT_JUDGED])
        case CapacityReport(capacity=capacity):
            _say(console, capacity_sentence(capacity))
        case ComparisonReport():
            _print_comparison(console, report)


def _print_run(console: Console, measured: Measurement) -> None:
    offered = "" if measured.offered_rate is None else f" of {measured.offered_rate:.1f} offered"
    codes = ", ".join(f"{code} {count:,}" for code, count in sorted(measured.codes.items()))
    _say(
        console,
        f"{measured.answered_rate:.1f} calls/s answered{offered} in {measured.scope.counted_s:g} s: {codes}; degraded "
        f"{measured.degraded_share:.2%}; the generator used {measured.generator_cores:.2f} cores",
    )
    table = _grid("ms", *(f"p{one:g}" for one in _SHOWN_PERCENTILES))
    rows: list[tuple[str, LatencyHistogram]] = [
        ("from the intended send", measured.latency.intended),
        ("from the actual send", measured.latency.sent),
    ]
    if len(measured.by_kind) > 1:
        rows += [(f"{kind}, from the intended send", latency.intended) for kind, latency in measured.by_kind.items()]
    for name, histogram in [*rows, ("generator's own lateness", measured.lag)]:
        table.add_row(name, *(_ms(histogram.percentile_ms(one)) for one in _SHOWN_PERCENTILES))
    console.print(table, highlight=False)
    _say(console, clocks(measured))


def _print_verdict(console: Console, verdict: Verdict) -> None:
    table = _grid("objective", "measured", "")
    for finding in verdict.findings:
        table.add_row(finding.rule, finding.measured, "[green]holds" if finding.holds else "[red]broken")
    console.print(table, highlight=False)
    reason = f": {verdict.reason}" if verdict.reason else ""
    _say(console, f"objectives: {verdict.outcome.value}{reason}", _STYLES[verdict.outcome])


def _print_comparison(console: Console, report: ComparisonReport) -> None:
    comparison = report.comparison
    _say(console, f"A {comparison.names[0]}, B {comparison.names[1]}; medians of {len(comparison.rounds)} rounds")
    table = _grid("", "A", "B", "B / A", "spread")
    for row in comparison.rows():
        spread = ("", "") if row.ratio is None else (f"{row.ratio:.3f}", f"{row.lowest:.3f} to {row.highest:.3f}")
        table.add_row(row.metric, f"{row.first:.2f}", f"{row.second:.2f}", *spread)
    console.print(table, highlight=False)
    for reason in report.refusals:
        _say(console, f"a run does not count: {reason}", _STYLES[Outcome.NOT_JUDGED])


def _grid(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _say(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, style=style, highlight=False, markup=False)


def _ms(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1f}"
