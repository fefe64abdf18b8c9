"""Report of a search evaluation for a terminal."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from training.evaluation.report import format_number, metric_label, with_interval
from training.evaluation.search.metrics import HEADLINE, METRICS
from training.evaluation.search.report import SearchReport, compared_methods


def terminal_report(report: SearchReport) -> Group:
    """Lays out facts, metrics with intervals, changes since the previous run, and the worst queries."""
    facts = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, words in report.facts.items():
        facts.add_row(Text(name, style="dim"), escape(words))
    parts: list[RenderableType] = [facts, Text(), _metrics(report)]
    if report.previous is not None:
        parts += [Text(), _changes(report)]
    parts += [Text(), _worst(report), Text(), Text(legend(report), style="dim")]
    parts += [Text(note, style="yellow") for note in report.notes]
    return Group(*parts)


def legend(report: SearchReport) -> str:
    """Returns a sentence on metrics and intervals."""
    drawn = "users" if any(query.user_id for query in report.queries) else "queries"
    return (
        f"[low, high]: 95 % of a bootstrap over {drawn}; ratios and changes are paired. Gain of nDCG: 2^grade - 1. "
        f"Relevant: grade >= {report.relevant_grade}. MRR counts 50 places."
    )


def worst_words(report: SearchReport) -> str:
    """Returns a sentence on the choice of the worst queries."""
    least = f"{metric_label(HEADLINE)} of {report.methods[0].name}"
    if report.reference is None:
        return f"Those with the least {least}."
    return f"Those whose {least} lies furthest below that of {report.reference}."


def _metrics(report: SearchReport) -> Table:
    table = _table("method")
    for metric in METRICS:
        table.add_column(metric_label(metric), justify="right", no_wrap=True)
    if report.reference is not None:
        table.add_column(f"{metric_label(HEADLINE)} x {report.reference}", justify="right", no_wrap=True)
    compared = {method.name for method in compared_methods(report)}
    for method in report.methods:
        cells = [with_interval(report.mean(method.name, metric), 3) for metric in METRICS]
        if report.reference is not None:
            ratio = report.ratio(method.name, HEADLINE) if method.name in compared else None
            cells.append("1" if ratio is None else with_interval(ratio, 2))
        table.add_row(escape(method.name), *cells)
    return table


def _changes(report: SearchReport) -> Table:
    assert report.previous is not None
    table = _table(f"change since {report.previous.name}")
    for metric in METRICS:
        table.add_column(metric_label(metric), justify="right", no_wrap=True)
    for method in report.methods:
        changes = [report.change(method.name, metric) for metric in METRICS]
        table.add_row(escape(method.name), *("-" if one is None else with_interval(one, 3) for one in changes))
    return table


def _worst(report: SearchReport) -> Table:
    table = _table("worst queries")
    table.add_column(metric_label(HEADLINE), justify="right", no_wrap=True)
    table.add_column("first item", overflow="ellipsis", no_wrap=True)
    method = report.methods[0]
    for place in report.worst():
        items = method.lists[place].items
        first = (items[0].title or items[0].id) if items else "nothing"
        value = format_number(float(method.values[place, METRICS.index(HEADLINE)]), 3)
        table.add_row(escape(report.queries[place].text), value, escape(first))
    return table


def _table(first: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, overflow="ellipsis", no_wrap=True, max_width=48)
    return table
