"""The evaluation as one HTML page with plots, which needs no other file."""

from html import escape
from pathlib import Path

from core.html_page import facts, html_page, html_table, lead, picture
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
    cold_reference,
    format_number,
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
        lead(_summary(report)),
        facts(report.facts),
        *(f'<p class="note">{escape(note)}</p>' for note in report.notes),
        _section("Headline", _HEADLINE, headline_plot(report) if report.table.answered() else None),
        _headline_table(report),
    ]
    if report.table.answered():
        body += [
            _section("Depth of the list", "Recall and NDCG by the length of the list.", depth_plot(report)),
            _section("Coverage, diversity and novelty", _LISTS, list_plot(report)),
            _more_table(report.table),
            _section(_THRESHOLDS, _PRECISION, precision_recall_plot(report)),
            _threshold_picture(report),
        ]
        body.append(_section("Match probability", _RELIABILITY, reliability_plot(report)))
    if report.segments:
        body += [f"<h2>Segments of users</h2>\n<p>{escape(_segment_words(report))}</p>", _segment_table(report)]
    if report.settings:
        body += ["<h2>Settings</h2>", facts(report.settings)]
    if report.cold:
        body += [_section("Cold users", _COLD, cold_plot(report)), _cold_table(report)]
    return html_page(title, body)


_HEADLINE = (
    "Bars are means over users; the thin line is the 95 % interval of a bootstrap over users. Recall@k is hits / "
    "min(k, targets); all candidates are ranked, ties go by item id. A method that cannot score the candidates, for "
    "example items without interactions, is not drawn."
)
_LISTS = "Lists of ten: the share of the catalogue in them, the distance of their items, and how unpopular these are."
_THRESHOLDS = "Thresholds"
_PRECISION = (
    "Precision and recall of the items above a threshold on the score, which falls from left to right. From the first "
    "2,048 cases of the first draw."
)
_RELIABILITY = (
    "Match probabilities against observed frequencies: on the dashed line they agree. Brier: mean squared error, 0 is "
    "best."
)
_COLD = (
    "The same cases and targets with a shorter history: the last event, the last three, or one line of text. Events "
    "that were cut away are neither targets nor recommended."
)


def _summary(report: EvaluationReport) -> str:
    """Returns a sentence that names the best method with its interval."""
    table, metric = report.table, report.headlines[0]
    answered = table.answered()
    if not answered:
        return "No method could score the candidates."
    best, tied = table.best(metric)
    figure = f"{metric_label(metric)} {with_interval(table.mean(best, metric))}"
    words = f"{best} leads with {figure}"
    if tied:
        words = f"{best} has the highest mean, {figure}, but cannot be told from {', '.join(tied)}"
    reference = report.reference
    if reference is not None and best != reference:
        words += f", {with_interval(table.ratio(best, reference, metric), 2)} times {reference}"
    return f"{words}. {table.user_count:,} users, {table.candidate_count:,} candidates."


def _section(title: str, words: str, svg: bytes | None) -> str:
    if svg is None:
        return ""
    kind = "narrow" if title == _THRESHOLDS else "wide"
    return f"<h2>{escape(title)}</h2>\n<p>{escape(words)}</p>\n{picture(svg, title, kind)}"


def _threshold_picture(report: EvaluationReport) -> str:
    svg = threshold_plot(report)
    return "" if svg is None else picture(svg, "Recall and precision against the similarity threshold")


def _headline_table(report: EvaluationReport) -> str:
    table, ratios = report.table, report.ratios()
    heads = ["", *(metric_label(metric) for metric in report.headlines)]
    if table.draws > 1:
        heads.append(f"spread of {heads[1]} over {table.draws} draws")
    heads += [f"{metric_label(metric)} / {report.reference}" for metric in report.headlines if report.reference]
    lines = []
    for method in table.methods:
        cells = [with_interval(table.mean(method.name, metric)) for metric in report.headlines]
        if table.draws > 1:
            cells.append(format_number(method.spread.get(report.headlines[0])))
        if report.reference:
            own = ratios.get(method.name, {})
            cells += [with_interval(own[metric], 2) if metric in own else "-" for metric in report.headlines]
        kind = "trained" if method.name not in BASELINES else ""
        lines.append((f"{kind} reference" if method.name == report.reference else kind, method.name, cells))
    return _html_table(heads, lines)


def _more_table(table: Evaluation) -> str:
    heads = ["", *(metric_label(metric) for metric in MORE_METRICS), "Coverage@10", "Brier", "seconds"]
    lines = []
    for method in table.methods:
        cells = [format_number(table.mean(method.name, metric).point, 3) for metric in MORE_METRICS]
        cells += [
            format_number(method.coverage, 3) if method.answered else "-",
            format_number(method.brier),
            f"{method.seconds:.1f}",
        ]
        lines.append(("trained" if method.name not in BASELINES else "", method.name, cells))
    return _html_table(heads, lines)


def _cold_table(report: EvaluationReport) -> str:
    metric = cold_metric(report)
    heads = [f"{metric_label(metric)}"]
    for table in report.cold:
        heads += [table.name, f"/ {cold_reference(table) or '-'}"]
    lines = []
    for method in report.table.methods:
        cells = []
        for table in report.cold:
            least = cold_reference(table)
            cells.append(with_interval(table.mean(method.name, metric)))
            paired = least is not None and least != method.name and table.method(method.name).answered
            cells.append(with_interval(table.ratio(method.name, least, metric), 2) if paired and least else "-")
        lines.append(("trained" if method.name not in BASELINES else "", method.name, cells))
    return _html_table(heads, lines)


def _segment_words(report: EvaluationReport) -> str:
    words = (
        "Means over thirds of the users, by the length of their history and the popularity of its items in training."
    )
    worst = report.worst_segment()
    if worst is None:
        return words
    best, metric = report.table.best(report.headlines[0])[0], report.headlines[0]
    figure, whole = worst.mean(report.table, best, metric), report.table.mean(best, metric).point
    return (
        f"{words} {best} is worst for {worst.name} ({worst.count:,} users): {metric_label(metric)} "
        f"{format_number(figure)}, over all {format_number(whole)}."
    )


def _segment_table(report: EvaluationReport) -> str:
    table, metric = report.table, report.headlines[0]
    heads = [metric_label(metric), *(segment.name for segment in report.segments), "all"]
    lines = [("", "users", [*(f"{segment.count:,}" for segment in report.segments), f"{table.user_count:,}"])]
    for method in table.answered():
        cells = [format_number(segment.mean(table, method.name, metric)) for segment in report.segments]
        cells.append(format_number(table.mean(method.name, metric).point))
        lines.append(("trained" if method.name not in BASELINES else "", method.name, cells))
    return _html_table(heads, lines)


def _html_table(heads: list[str], lines: list[tuple[str, str, list[str]]]) -> str:
    body = []
    for kind, name, cells in lines:
        values = "".join(f"<td>{_cell(cell)}</td>" for cell in cells)
        body.append(f'<tr class="{kind}"><td>{escape(name)}</td>{values}</tr>')
    return html_table(heads, body)


def _cell(text: str) -> str:
    """Sets the interval apart from its mean."""
    point, bracket, interval = text.partition(" [")
    if text == "-":
        return '<span class="none">-</span>'
    return f"{escape(point)}<small>{escape(bracket + interval)}</small>" if bracket else escape(text)
