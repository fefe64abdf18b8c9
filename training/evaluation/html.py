"""The evaluation as one page with plots: everything in the file itself, to be looked at or sent."""

import base64
from html import escape
from pathlib import Path

from core.html_page import html_page
from domain.durable import write_atomic
from training.evaluation.baselines import BASELINES
from training.evaluation.evaluate import Evaluation
from training.evaluation.plots import (
    cold_plot,
    depth_plot,
    headline_plot,
    list_plot,
    precision_recall_plot,
    reliability_plot,
    threshold_plot,
)
from training.evaluation.report import (
    MORE_METRICS,
    EvaluationReport,
    cold_metric,
    figure,
    least_row,
    metric_label,
    with_interval,
)


def write_page(report: EvaluationReport, path: Path) -> None:
    """Writes the page, all of it or nothing.

    Raises:
        OSError: it cannot be written.
    """
    write_atomic(path, page(report))


def page(report: EvaluationReport) -> str:
    """Returns the page as HTML that needs no other file."""
    title = f"Evaluation: {report.table.name}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(_summary(report))}</p>',
        _facts(report),
        *(f'<p class="note">{escape(note)}</p>' for note in report.notes),
        _section("Headline", _HEADLINE, headline_plot(report) if report.table.answered() else None),
        _headline_table(report),
    ]
    if report.table.answered():
        body += [
            _section("Depth of the list", "How much is found as the list gets longer.", depth_plot(report)),
            _section("What the lists are like", _LISTS, list_plot(report)),
            _more_table(report.table),
            _section(_THRESHOLDS, _PRECISION, precision_recall_plot(report)),
            _picture(threshold_plot(report), "Recall and precision against the similarity threshold"),
        ]
        body.append(_section("Match probability", _RELIABILITY, reliability_plot(report)))
    if report.cold:
        body += [_section("Cold users", _COLD, cold_plot(report)), _cold_table(report)]
    return html_page(title, body)


_HEADLINE = (
    "Bars are means over users; the thin line is the 95 % interval of a bootstrap over users. Recall@k is hits / "
    "min(k, targets); all candidates are ranked, ties go by item id. A row that cannot answer, for example about items "
    "nobody has touched, is not drawn."
)
_LISTS = "Lists of ten: how much of the catalogue they show, how unlike their items are, how far from the beaten track."
_THRESHOLDS = "Thresholds"
_PRECISION = (
    "What a threshold on the score lets through. It falls from left to right; the first 2,048 cases of the first draw."
)
_RELIABILITY = (
    "Where a row tells a match probability: on the dashed line it is right. Brier: mean squared error, 0 best."
)
_COLD = (
    "The same questions and answers with less told: only the last event, the last three, or one line of text. What was "
    "cut away is neither an answer nor recommended."
)


def _summary(report: EvaluationReport) -> str:
    """Says in a sentence who leads and how sure that is."""
    table, metric = report.table, report.headlines[0]
    answered = table.answered()
    if not answered:
        return "No row could answer."
    best = max(answered, key=lambda row: table.mean(row.name, metric).point).name
    words = f"{best} leads with {metric_label(metric)} {with_interval(table.mean(best, metric))}"
    reference = report.reference
    if reference is not None and best != reference:
        words += f", {with_interval(table.ratio(best, reference, metric), 2)} times {reference}"
    return f"{words}. {table.user_count:,} users, {table.candidate_count:,} candidates."


def _facts(report: EvaluationReport) -> str:
    entries = (f"<dt>{escape(name)}</dt><dd>{escape(words)}</dd>" for name, words in report.facts.items())
    return f"<dl>{''.join(entries)}</dl>"


def _section(title: str, words: str, svg: bytes | None) -> str:
    if svg is None:
        return ""
    return f"<h2>{escape(title)}</h2>\n<p>{escape(words)}</p>\n{_picture(svg, title)}"


def _picture(svg: bytes | None, words: str) -> str:
    if svg is None:
        return ""
    data = base64.b64encode(svg).decode()
    kind = "narrow" if words == _THRESHOLDS else "wide"
    return f'<img class="{kind}" alt="{escape(words)}" src="data:image/svg+xml;base64,{data}">'


def _headline_table(report: EvaluationReport) -> str:
    table, ratios = report.table, report.ratios()
    heads = ["", *(metric_label(metric) for metric in report.headlines)]
    if table.draws > 1:
        heads.append(f"spread of {heads[1]} over {table.draws} draws")
    heads += [f"{metric_label(metric)} / {report.reference}" for metric in report.headlines if report.reference]
    rows = []
    for row in table.rows:
        cells = [with_interval(table.mean(row.name, metric)) for metric in report.headlines]
        if table.draws > 1:
            cells.append(figure(row.spread.get(report.headlines[0])))
        if report.reference:
            own = ratios.get(row.name, {})
            cells += [with_interval(own[metric], 2) if metric in own else "-" for metric in report.headlines]
        kind = "trained" if row.name not in BASELINES else ""
        rows.append((f"{kind} reference" if row.name == report.reference else kind, row.name, cells))
    return _html_table(heads, rows)


def _more_table(table: Evaluation) -> str:
    heads = ["", *(metric_label(metric) for metric in MORE_METRICS), "Coverage@10", "Brier", "seconds"]
    rows = []
    for row in table.rows:
        cells = [figure(table.mean(row.name, metric).point, 3) for metric in MORE_METRICS]
        cells += [figure(row.coverage, 3) if row.answered else "-", figure(row.brier), f"{row.seconds:.1f}"]
        rows.append(("trained" if row.name not in BASELINES else "", row.name, cells))
    return _html_table(heads, rows)


def _cold_table(report: EvaluationReport) -> str:
    metric = cold_metric(report)
    heads = [f"{metric_label(metric)}"]
    for table in report.cold:
        heads += [table.name, f"/ {least_row(table) or '-'}"]
    rows = []
    for row in report.table.rows:
        cells = []
        for table in report.cold:
            least = least_row(table)
            cells.append(with_interval(table.mean(row.name, metric)))
            paired = least is not None and least != row.name and table.row(row.name).answered
            cells.append(with_interval(table.ratio(row.name, least, metric), 2) if paired and least else "-")
        rows.append(("trained" if row.name not in BASELINES else "", row.name, cells))
    return _html_table(heads, rows)


def _html_table(heads: list[str], rows: list[tuple[str, str, list[str]]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    lines = []
    for kind, name, cells in rows:
        told = "".join(f"<td>{_cell(cell)}</td>" for cell in cells)
        lines.append(f'<tr class="{kind}"><td>{escape(name)}</td>{told}</tr>')
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _cell(text: str) -> str:
    """Sets the interval apart from its figure."""
    point, bracket, interval = text.partition(" [")
    if text == "-":
        return '<span class="none">-</span>'
    return f"{escape(point)}<small>{escape(bracket + interval)}</small>" if bracket else escape(text)
