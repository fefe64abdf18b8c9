"""Report of an evaluation: for a terminal, as JSON, and (in `html`) as a page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from training.evaluation.baselines import BASELINES, COMPARED, POPULARITY, RANDOM, ZERO_SHOT
from training.evaluation.bootstrap import Interval
from training.evaluation.evaluate import Evaluation, MethodResult
from training.evaluation.segments import Segment, worst_segment

HEADLINES: Mapping[str, tuple[str, ...]] = {
    "cold-items": ("recall@20", "recall@50", "ndcg@100"),
    "warm-users": ("recall@20", "ndcg@100"),
    "next-item": ("recall@10", "ndcg@10"),
}
_OTHER_HEADLINES = ("recall@10", "recall@20", "ndcg@10", "ndcg@100")
MORE_METRICS = ("auc", "precision@10", "f1@10", "hit@10", "mrr", "diversity@10", "novelty@10")
_SHORT = {"precision@10": "P@10", "hit@10": "hit@10", "diversity@10": "diverse", "novelty@10": "novel"}
_NOTHING = "-"
_WIDE = 116


@dataclass(frozen=True)
class EvaluationReport:
    """Table of an evaluation, the facts it was made from, and the tables of cold users.

    Attributes:
        facts: name and text, in order: files, protocol, seed, counts.
        table: of the protocol.
        cold: the table again with one event, three, a line of text; empty where the protocol has none.
        notes: sentences for people.
        settings: chosen or default settings of methods, by their names, in words.
        segments: of the table's users.
    """

    facts: Mapping[str, str]
    table: Evaluation
    cold: tuple[Evaluation, ...] = ()
    notes: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    segments: tuple[Segment, ...] = ()

    @property
    def headlines(self) -> tuple[str, ...]:
        """The headline metrics of the protocol, without a recall@k over k or fewer candidates, which is always 1."""
        usual = HEADLINES.get(self.table.name, _OTHER_HEADLINES)
        telling = tuple(metric for metric in usual if not self._is_trivial(metric))
        return telling or usual

    def _is_trivial(self, metric: str) -> bool:
        name, _, k = metric.partition("@")
        return name == "recall" and self.table.candidate_count <= int(k)

    @property
    def reference(self) -> str | None:
        """The best baseline by the first headline: of popularity, item-kNN, EASE and ALS, else the zero-shot method."""
        answered = [method.name for method in self.table.answered()]
        compared = [name for name in COMPARED if name in answered] or [name for name in answered if name == ZERO_SHOT]
        return max(compared, key=lambda name: self.table.mean(name, self.headlines[0]).point, default=None)

    def worst_segment(self) -> Segment | None:
        """Returns the segment for which the best method is worst by the first headline; None without segments."""
        if not self.segments or not self.table.answered():
            return None
        metric = self.headlines[0]
        return worst_segment(self.table, self.segments, self.table.best(metric)[0], metric)

    def ratios(self) -> dict[str, dict[str, Interval]]:
        """Returns the multiple of the reference by method and headline metric, for all methods but the reference."""
        reference = self.reference
        if reference is None:
            return {}
        return {
            method.name: {metric: self.table.ratio(method.name, reference, metric) for metric in self.headlines}
            for method in self.table.answered()
            if method.name != reference
        }


def terminal_report(report: EvaluationReport, width: int = _WIDE) -> Group:
    """Lays the report out for a terminal; below 116 columns each cold user gets a table."""
    parts: list[RenderableType] = [_facts(report), Text(), _headline_table(report), Text(), _more_table(report.table)]
    cold = [report.cold] if width >= _WIDE else [(table,) for table in report.cold]
    for tables in (tables for tables in cold if tables):
        parts += [Text(), _cold_table(report, tables)]
    parts += [Text(), Text(_legend(report), style="dim")]
    parts += [Text(f"{name}: {words}", style="dim") for name, words in report.settings.items()]
    parts += [Text(note, style="yellow") for note in report.notes]
    return Group(*parts)


def format_number(value: float | None, digits: int = 4) -> str:
    """Writes a number as .1683, 107 or ∞ (a ratio to nothing), or - where there is none."""
    if value is None or math.isnan(value):
        return _NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    whole_digits = len(str(int(abs(value))))
    text = f"{value:.{max(0, digits + 1 - whole_digits)}f}"
    return text.removeprefix("0") if text.startswith("0.") else text


def with_interval(interval: Interval, digits: int = 4) -> str:
    """Writes a mean with its interval: .1683 [.1533, .1835]."""
    if math.isnan(interval.point):
        return _NOTHING
    point, low, high = (format_number(value, digits) for value in (interval.point, interval.low, interval.high))
    return f"{point} [{low}, {high}]"


def with_margin(interval: Interval) -> str:
    """Writes a mean with half of its interval's width: .1683 ±.0151."""
    if math.isnan(interval.point):
        return _NOTHING
    return f"{format_number(interval.point)} ±{format_number((interval.high - interval.low) / 2)}"


def metric_label(metric: str) -> str:
    """Writes a metric's name as people do: recall@20 is Recall@20, auc is AUC."""
    capital = {"ndcg": "NDCG", "mrr": "MRR", "auc": "AUC", "f1": "F1"}
    name, at, k = metric.partition("@")
    return f"{capital.get(name, name.capitalize())}{at}{k}"


def evaluation_to_json(report: EvaluationReport) -> dict[str, object]:
    """Returns plain values: means, intervals, ratios, curves. NaN becomes null."""
    plain = {
        "facts": dict(report.facts),
        "reference": report.reference,
        "table": _table_to_json(report.table),
        "ratios_to_reference": {
            method: {metric: asdict(interval) for metric, interval in ratios.items()}
            for method, ratios in report.ratios().items()
        },
        "cold_users": [_table_to_json(table) for table in report.cold],
        "notes": list(report.notes),
        "settings": dict(report.settings),
        "segments": _segments_to_json(report),
    }
    return {name: _plain(value) for name, value in plain.items()}


def _segments_to_json(report: EvaluationReport) -> dict[str, object]:
    metric, worst = report.headlines[0], report.worst_segment()
    methods = [method.name for method in report.table.answered()]
    entries = [
        {
            "name": segment.name,
            "user_count": segment.count,
            "means": {method: segment.mean(report.table, method, metric) for method in methods},
        }
        for segment in report.segments
    ]
    return {"metric": metric, "worst": worst and worst.name, "segments": entries}


def _table_to_json(table: Evaluation) -> dict[str, object]:
    return {
        "name": table.name,
        "case_count": table.case_count,
        "user_count": table.user_count,
        "candidate_count": table.candidate_count,
        "draws": table.draws,
        "methods": {method.name: _method_to_json(table, method) for method in table.methods},
    }


def _method_to_json(table: Evaluation, method: MethodResult) -> dict[str, object] | None:
    if not method.answered:
        return None
    curves = {
        name: None if curve is None else {key: np.asarray(value).tolist() for key, value in asdict(curve).items()}
        for name, curve in (("reliability", method.reliability), ("threshold", method.threshold))
    }
    metrics = {
        metric: {**asdict(table.mean(method.name, metric)), "spread_over_draws": method.spread.get(metric)}
        for metric in table.metrics
    }
    own = {"coverage@10": method.coverage, "brier": method.brier, "seconds": round(method.seconds, 2)}
    return {"metrics": metrics, **own, **curves}


def cold_metric(report: EvaluationReport) -> str:
    """Returns the metric of the cold users' tables: the protocol's first."""
    return report.headlines[0]


def cold_reference(evaluation: Evaluation) -> str | None:
    """Returns the reference of a cold user: popularity, else chance where every candidate is new."""
    answered = [method.name for method in evaluation.answered()]
    return next((name for name in (POPULARITY, RANDOM) if name in answered), None)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _facts(report: EvaluationReport) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, words in report.facts.items():
        table.add_row(Text(name, style="dim"), escape(words))
    return table


def _headline_table(report: EvaluationReport) -> Table:
    evaluation, ratios = report.table, report.ratios()
    table = _table("method")
    for metric in report.headlines:
        table.add_column(metric_label(metric), justify="right", no_wrap=True)
    if evaluation.draws > 1:
        table.add_column("spread", justify="right")
    table.add_column(f"x {report.reference}" if report.reference else "", justify="right", no_wrap=True)
    for method in evaluation.methods:
        cells = [with_margin(evaluation.mean(method.name, metric)) for metric in report.headlines]
        if evaluation.draws > 1:
            cells.append(format_number(method.spread.get(report.headlines[0])))
        ratio = ratios.get(method.name, {}).get(report.headlines[0])
        cells.append(with_interval(ratio, 2) if ratio else ("1" if method.name == report.reference else _NOTHING))
        table.add_row(escape(method.name), *cells, style="" if method.name in BASELINES else "bold")
    return table


def _more_table(evaluation: Evaluation) -> Table:
    table = _table("method")
    for name in (*(_SHORT.get(metric, metric_label(metric)) for metric in MORE_METRICS), "covered", "Brier", "s"):
        table.add_column(name, justify="right", no_wrap=True)
    for method in evaluation.methods:
        digits = [3, 3, 3, 3, 3, 2, 2]
        means = [evaluation.mean(method.name, metric).point for metric in MORE_METRICS]
        cells = [format_number(mean, count) for mean, count in zip(means, digits, strict=True)]
        cells.append(format_number(method.coverage, 2) if method.answered else _NOTHING)
        table.add_row(escape(method.name), *cells, format_number(method.brier), f"{method.seconds:.0f}")
    return table


def _table(first: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    return table


def _cold_table(report: EvaluationReport, tables: Sequence[Evaluation]) -> Table:
    metric = cold_metric(report)
    table = _table(f"cold user, {metric_label(metric)}")
    for evaluation in tables:
        table.add_column(evaluation.name, justify="right", no_wrap=True)
        table.add_column(f"x {cold_reference(evaluation) or '-'}", justify="right", no_wrap=True)
    for method in tables[0].methods:
        cells = []
        for evaluation in tables:
            cells.append(with_margin(evaluation.mean(method.name, metric)))
            least = cold_reference(evaluation)
            paired = least is not None and method.name != least and evaluation.method(method.name).answered
            ratio = evaluation.ratio(method.name, least, metric) if paired and least else None
            cells.append(with_interval(ratio, 2) if ratio else _NOTHING)
        table.add_row(escape(method.name), *cells)
    return table


def _legend(report: EvaluationReport) -> str:
    draws = ""
    if report.table.draws > 1:
        metric = metric_label(report.headlines[0])
        draws = f" Means over {report.table.draws} draws; spread: standard deviation of {metric} between them."
    return (
        "± and [low, high]: 95 % of a bootstrap over users; ratios are paired. Full ranking, ties by item id. "
        f"- : the method cannot score the candidates, for example items without interactions.{draws}"
    )
