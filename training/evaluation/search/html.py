"""Report of a search evaluation as one HTML page: metrics, and the lists of the worst queries."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from core.html_page import facts, html_page, html_table, lead, picture
from domain.durable import write_atomic
from training.evaluation.plots import sorted_plot
from training.evaluation.report import format_number, metric_label, with_interval
from training.evaluation.search.metrics import HEADLINE, METRICS
from training.evaluation.search.report import EvaluatedQuery, SearchReport, compared_methods
from training.evaluation.search.service import ServiceList
from training.evaluation.search.terminal import legend, worst_words

_SHOWN = 10
_SIDE_BY_SIDE = 2
_SORTED = "Every query's value from the worst to the best: the area below a line is the method's mean."


def write_page(report: SearchReport, path: Path) -> None:
    """Writes the page, all of it or nothing.

    Raises:
        OSError: it cannot be written.
    """
    write_atomic(path, page(report))


def page(report: SearchReport) -> str:
    """Returns the page as HTML that needs no other file."""
    title = f"Evaluation: {report.protocol}"
    body = [
        f"<h1>{escape(title)}</h1>",
        lead(_summary(report)),
        facts(report.facts),
        *(f'<p class="note">{escape(note)}</p>' for note in report.notes),
        f"<h2>Metrics</h2><p>{escape(legend(report))}</p>",
        _metrics(report),
        _changes(report),
        "<h2>From the worst query to the best</h2>",
        f"<p>{escape(_SORTED)}</p>",
        _plot(report),
        "<h2>The worst queries</h2>",
        f"<p>{escape(worst_words(report))} Green items are relevant.</p>",
        *(_query(report, place) for place in report.worst()),
    ]
    return html_page(title, body)


def _summary(report: SearchReport) -> str:
    method = report.methods[0].name
    words = f"{metric_label(HEADLINE)} {with_interval(report.mean(method, HEADLINE), 3)} over "
    words += f"{len(report.queries):,} queries"
    if report.reference is not None:
        words += f", {with_interval(report.ratio(method, HEADLINE), 2)} times {report.reference}"
    return f"{words}."


def _metrics(report: SearchReport) -> str:
    compared = [method.name for method in compared_methods(report)]
    heads = ["method", *(metric_label(metric) for metric in METRICS)]
    if compared:
        heads += [f"{metric_label(metric)} / {report.reference}" for metric in METRICS[:1]]
    lines = []
    for method in report.methods:
        cells = [_with_interval(with_interval(report.mean(method.name, metric), 3)) for metric in METRICS]
        if compared:
            ratio = with_interval(report.ratio(method.name, HEADLINE), 2) if method.name in compared else "1"
            cells.append(_with_interval(ratio))
        kind = "reference" if method.name == report.reference else ""
        lines.append(f'<tr class="{kind}"><td>{escape(method.name)}</td>{_cells(cells)}</tr>')
    return html_table(heads, lines)


def _changes(report: SearchReport) -> str:
    if report.previous is None:
        return ""
    heads = ["method", *(metric_label(metric) for metric in METRICS)]
    lines = []
    for method in report.methods:
        changes = [report.change(method.name, metric) for metric in METRICS]
        cells = ["-" if change is None else _with_interval(with_interval(change, 3)) for change in changes]
        lines.append(f"<tr><td>{escape(method.name)}</td>{_cells(cells)}</tr>")
    return f"<h2>Change since {escape(report.previous.name)}</h2>{html_table(heads, lines)}"


def _plot(report: SearchReport) -> str:
    column = METRICS.index(HEADLINE)
    values = {method.name: method.values[:, column] for method in report.methods}
    return picture(sorted_plot(values, metric_label(HEADLINE)), _SORTED, "narrow")


def _query(report: SearchReport, place: int) -> str:
    """Returns a query's values, its lists side by side, and where the items are that should have been in them."""
    query = report.queries[place]
    methods = report.methods[:_SIDE_BY_SIDE]
    values = dict(zip(METRICS, methods[0].values[place].tolist(), strict=True))
    words = ", ".join(f"{metric_label(metric)} {format_number(value, 3)}" for metric, value in values.items())
    parts = [f"<h3>{escape(query.text)}<small>{escape(words)}</small></h3>"]
    lists = [method.lists[place] for method in methods]
    for corrected in dict.fromkeys(answer.corrected_text for answer in lists if answer.corrected_text):
        parts.append(f"<p>Searched as {escape(corrected)}.</p>")
    for refusal in dict.fromkeys(answer.refusal for answer in lists if answer.refusal):
        parts.append(f'<p class="note">Refused: {escape(refusal)}</p>')
    parts.append(_lists(query, lists, [method.name for method in methods], report.relevant_grade))
    parts.append(f"<p>{escape(_missing(query, lists[0], report.relevant_grade))}</p>")
    return "".join(parts)


def _lists(query: EvaluatedQuery, lists: Sequence[ServiceList], names: Sequence[str], relevant_grade: int) -> str:
    """Returns a table with a block of columns a list; a relevance has a column where any item has one."""
    with_relevance = any(item.relevance is not None for answer in lists for item in answer.items)
    heads = ["rank"]
    for name in names:
        heads += [f"{name}: title" if len(names) > 1 else "title", "grade", "score"]
        heads += ["relevance"] if with_relevance else []
    lines = []
    for rank in range(max((min(_SHOWN, len(answer.items)) for answer in lists), default=0)):
        cells = []
        for answer in lists:
            if rank >= len(answer.items):
                cells.append("<td></td>" * (4 if with_relevance else 3))
                continue
            item = answer.items[rank]
            grade = query.grades.get(item.id)
            hit = "hit" if (grade or 0) >= relevant_grade else ""
            words = f"{escape(item.title or item.id)} <small>{escape(item.id)}</small>"
            numbers = ["-" if grade is None else str(grade), f"{item.score:.4g}"]
            numbers += [format_number(item.relevance, 3)] if with_relevance else []
            cells.append(f'<td class="words {hit}">{words}</td>{_cells(numbers)}')
        lines.append(f"<tr><td>{rank + 1}</td>{''.join(cells)}</tr>")
    return html_table(heads, lines)


def _missing(query: EvaluatedQuery, answer: ServiceList, relevant_grade: int) -> str:
    """Returns a sentence on the relevant items below the first ten."""
    if max(query.grades.values(), default=0) < relevant_grade:
        return "No item is judged relevant."
    places = {item.id: (rank, item.title) for rank, item in enumerate(answer.items, start=1)}
    entries = []
    for item_id, grade in sorted(query.grades.items(), key=lambda pair: -pair[1]):
        rank, title = places.get(item_id, (None, ""))
        if grade >= relevant_grade and (rank is None or rank > _SHOWN):
            where = "not in the list" if rank is None else f"at {rank}"
            entries.append(f"{title or item_id} (grade {grade}) {where}")
    return f"Relevant beyond: {'; '.join(entries)}." if entries else "All relevant items are among the first ten."


def _cells(cells: Sequence[str]) -> str:
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _with_interval(text: str) -> str:
    point, bracket, interval = text.partition(" [")
    return f"{escape(point)}<small>{escape(bracket + interval)}</small>" if bracket else escape(text)
