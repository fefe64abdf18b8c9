"""Reports as one HTML page that needs no other file."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from core.html_page import facts, html_page, html_table, lead, picture
from domain.durable import write_atomic
from slo.plots import comparison_plot, knee_plot, percentile_plot, time_plot
from slo.recorder import Measurement
from slo.report import (
    PERCENTILES,
    CapacityReport,
    ComparisonReport,
    Report,
    RunReport,
    capacity_sentence,
    clocks,
)
from slo.verdict import Verdict


def write_page(report: Report, path: Path) -> None:
    """Writes the page, all of it or nothing.

    Raises:
        OSError: it cannot be written.
    """
    write_atomic(path, page(report))


def page(report: Report) -> str:
    """Returns the page as HTML."""
    match report:
        case RunReport():
            title, body = "Load run", _run(report)
        case CapacityReport():
            title, body = "Capacity", _capacity(report)
        case ComparisonReport():
            title, body = "Comparison", _comparison(report)
    return html_page(title, [f"<h1>{escape(title)}</h1>", *body])


def _run(report: RunReport) -> list[str]:
    return [lead(_summary(report)), facts(report.facts), *_verdict(report.verdict), *_figures(report.measured)]


def _figures(measured: Measurement) -> list[str]:
    if not measured.answered_count:
        return [f"<p>{escape(clocks(measured))}</p>", _codes(measured)]
    return [
        "<h2>Latency over time</h2>",
        "<p>The shaded part is the warm-up, which is not counted.</p>",
        picture(time_plot(measured), "Latency and calls of each second"),
        "<h2>Percentiles</h2>",
        f"<p>{escape(clocks(measured))}</p>",
        picture(percentile_plot(measured), "Latency by percentile from the intended and the actual send"),
        _percentiles(measured),
        "<h2>Outcomes</h2>",
        _codes(measured),
    ]


def _capacity(report: CapacityReport) -> list[str]:
    capacity = report.capacity
    rows = [
        (
            f"{trial.rate:.1f}{' (confirms)' if trial.confirms else ''}",
            trial.verdict.outcome.value,
            f"{trial.measured.answered_rate:.1f}",
            *(_ms(trial.measured.latency.intended.percentile_ms(one)) for one in (50, 99)),
            f"{trial.measured.error_share:.2%}",
            _ms(trial.measured.lag.percentile_ms(99)),
        )
        for trial in capacity.trials
    ]
    held = [trial for trial in capacity.trials if trial.holds]
    body = [lead(capacity_sentence(capacity)), facts(report.facts)]
    if any(trial.measured.answered_count for trial in capacity.trials):
        body += ["<h2>Rate against latency</h2>", picture(knee_plot(capacity), "Rate against latency and answers")]
    header = ("offered/s", "objectives", "answered/s", "p50 ms", "p99 ms", "errors", "generator's lateness, p99 ms")
    body.append(_table(header, rows))
    if held:
        last = max(held, key=lambda trial: (trial.rate, trial.confirms))
        body += [f"<h2>The run at {last.rate:.1f} calls/s</h2>", *_verdict(last.verdict), *_figures(last.measured)]
    return body


def _comparison(report: ComparisonReport) -> list[str]:
    comparison = report.comparison
    first, second = comparison.names
    rows = [
        (
            row.metric,
            f"{row.first:.2f}",
            f"{row.second:.2f}",
            "" if row.ratio is None else f"{row.ratio:.3f}",
            "" if row.lowest is None else f"{row.lowest:.3f} to {row.highest:.3f}",
        )
        for row in comparison.rows()
    ]
    return [
        lead(
            f"A is {first}, B is {second}; {len(comparison.rounds)} rounds in turns. Ratios are of neighbouring runs."
        ),
        facts(report.facts),
        *(f'<p class="note">A run does not count: {escape(reason)}</p>' for reason in report.refusals),
        "<h2>Ratios</h2>",
        picture(comparison_plot(comparison), "Ratios of B to A"),
        _table(("", "A", "B", "B / A", "spread"), rows),
    ]


def _summary(report: RunReport) -> str:
    measured = report.measured
    offered = "" if measured.offered_rate is None else f" of {measured.offered_rate:.1f} offered"
    p50, p99 = (_ms(measured.latency.intended.percentile_ms(one)) for one in (50, 99))
    return (
        f"{measured.answered_rate:.1f} calls/s answered{offered}; {measured.error_share:.2%} errors; p50 {p50} ms, p99 "
        f"{p99} ms."
    )


def _verdict(verdict: Verdict | None) -> list[str]:
    if verdict is None:
        return []
    rows = [(one.rule, one.measured, "holds" if one.holds else "broken") for one in verdict.findings]
    note = f'<p class="note">Not judged: {escape(verdict.reason)}</p>' if verdict.reason else ""
    return [f"<h2>Objectives: {verdict.outcome.value}</h2>", note, _table(("rule", "measured", ""), rows)]


def _percentiles(measured: Measurement) -> str:
    clocks_of = [("all calls", measured.latency)]
    if len(measured.by_kind) > 1:
        clocks_of += [(str(kind), latency) for kind, latency in measured.by_kind.items()]
    rows = [
        (
            f"{name}, from the {clock} send",
            *(_ms(histogram.percentile_ms(one)) for one in PERCENTILES),
            f"{histogram.count:,}",
        )
        for name, latency in clocks_of
        for clock, histogram in (("intended", latency.intended), ("actual", latency.sent))
    ]
    rows.append(
        (
            "generator's own lateness",
            *(_ms(measured.lag.percentile_ms(one)) for one in PERCENTILES),
            f"{measured.lag.count:,}",
        )
    )
    return _table(("ms", *(f"p{one:g}" for one in PERCENTILES), "calls"), rows)


def _codes(measured: Measurement) -> str:
    total = max(1, measured.call_count)
    rows = [(code, f"{count:,}", f"{count / total:.3%}") for code, count in sorted(measured.codes.items())]
    rows += [
        (f"degraded: {reason}", f"{count:,}", f"{count / total:.3%}")
        for reason, count in sorted(measured.degradations.items())
    ]
    return _table(("outcome", "calls", "share"), rows)


def _ms(value: float) -> str:
    return "" if math.isnan(value) else f"{value:,.1f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return html_table(header, ("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows))
