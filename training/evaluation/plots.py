"""Draws an evaluation: every plot a picture of its own, every row in one colour throughout."""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, PercentFormatter

from training.evaluation.accumulator import CUTS, LIST_LENGTH
from training.evaluation.baselines import ALS, BASELINES, EASE, ITEM_KNN, POPULARITY, RANDOM, USER_KNN, ZERO_SHOT
from training.evaluation.evaluate import Row
from training.evaluation.report import EvaluationReport, cold_metric, figure, metric_label

_COLOURS = {
    RANDOM: "#c9c9c4",
    POPULARITY: "#94958f",
    ITEM_KNN: "#8fb3c9",
    USER_KNN: "#5f93b3",
    EASE: "#2f6690",
    ALS: "#7d78b8",
    ZERO_SHOT: "#c2a04e",
}
_TRAINED_COLOURS = ("#c2452d", "#1f8a5f", "#8a3a84", "#d9860b", "#26262b", "#0e7c86", "#a03b52")
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8a84",
    "axes.labelcolor": "#3b3b38",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "xtick.color": "#6a6a65",
    "ytick.color": "#3b3b38",
    "grid.color": "#e4e3dc",
    "legend.frameon": False,
    "svg.hashsalt": "shortlist",
}
_MARGIN: dict[str, Any] = {"fmt": "none", "ecolor": "#2b2b29", "capsize": 2, "lw": 1}
_WIDTH = 9.6


def headline_plot(report: EvaluationReport) -> bytes:
    """Returns an SVG: a bar with its interval a row, a panel a headline metric."""
    rows, table = report.table.answered(), report.table
    with _figure(len(report.headlines), 0.34 * len(rows) + 0.9) as (axes, svg):
        for axis, metric in zip(axes, report.headlines, strict=True):
            found = [table.mean(row.name, metric) for row in rows]
            _bars(axis, rows, [one.point for one in found], report)
            margins = [[one.point - one.low for one in found], [one.high - one.point for one in found]]
            axis.errorbar(
                [one.point for one in found],
                range(len(rows)),
                xerr=margins,
                fmt="none",
                ecolor="#2b2b29",
                capsize=2.5,
                lw=1,
            )
            highest = max(one.high for one in found)
            for place, one in enumerate(found):
                axis.text(one.high + 0.02 * highest, place, figure(one.point), va="center", fontsize=8, color="#3b3b38")
            axis.set_xlim(0, 1.18 * highest)
            axis.set_title(metric_label(metric))
        _label_first(axes, rows)
    return svg()


def depth_plot(report: EvaluationReport) -> bytes:
    """Returns an SVG: Recall@k and NDCG@k by k."""
    rows, table = report.table.answered(), report.table
    with _figure(2, 3.3) as (axes, svg):
        for axis, metric in zip(axes, ("recall", "ndcg"), strict=True):
            for row in rows:
                means = [table.mean(row.name, f"{metric}@{k}").point for k in CUTS]
                axis.plot(CUTS, means, **_line(row, report))
            axis.set_xscale("log")
            axis.set_xticks(CUTS, [str(k) for k in CUTS])
            axis.minorticks_off()
            axis.set_ylim(bottom=0)
            axis.grid(axis="y")
            axis.set_xlabel("k, length of the list")
            axis.set_title(metric_label(f"{metric}@k"))
        _legend(axes[-1])
    return svg()


def list_plot(report: EvaluationReport) -> bytes:
    """Returns an SVG: coverage, diversity and novelty of the lists of ten."""
    rows, table = report.table.answered(), report.table
    panels: list[tuple[str, Callable[[Row], float]]] = [
        ("Coverage: candidates in any list", lambda row: row.coverage),
        ("Diversity: 1 - cosine in a list", lambda row: table.mean(row.name, f"diversity@{LIST_LENGTH}").point),
        ("Novelty: -log2 popularity", lambda row: table.mean(row.name, f"novelty@{LIST_LENGTH}").point),
    ]
    panels = [panel for panel in panels if not all(math.isnan(panel[1](row)) for row in rows)]
    with _figure(len(panels), 0.34 * len(rows) + 0.9) as (axes, svg):
        for axis, (title, value) in zip(axes, panels, strict=True):
            values = [value(row) for row in rows]
            _bars(axis, rows, values, report)
            highest = np.nanmax(values)
            for place, one in enumerate(values):
                axis.text(one + 0.02 * highest, place, f"{one:.2f}", va="center", fontsize=8, color="#3b3b38")
            axis.set_xlim(0, 1.18 * highest)
            axis.set_title(title)
        _label_first(axes, rows)
    return svg()


def precision_recall_plot(report: EvaluationReport) -> bytes:
    """Returns an SVG: precision against recall as each row's threshold falls."""
    curves = [(row, row.threshold) for row in report.table.answered() if row.threshold is not None]
    with _figure(1, 3.4, width=0.72 * _WIDTH) as (axes, svg):
        for row, curve in curves:
            seen = curve.recall > 0
            axes[0].plot(curve.recall[seen], curve.precision[seen], **_line(row, report, marker=""))
        axes[0].set_yscale("log")
        _percent_by_decades(axes[0])
        axes[0].xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes[0].grid()
        axes[0].set_xlabel("recall: targets at or above the threshold")
        axes[0].set_ylabel("precision")
        _legend(axes[0])
    return svg()


def threshold_plot(report: EvaluationReport) -> bytes | None:
    """Returns an SVG: recall and precision against the similarity of the semantic rows; None where there are none."""
    rows = [row for row in report.table.answered() if row.name.startswith("semantic")]
    curves = [(row, row.threshold) for row in rows if row.threshold is not None]
    if not curves:
        return None
    with _figure(2, 3.0) as (axes, svg):
        for axis, part in zip(axes, ("recall", "precision"), strict=True):
            for row, curve in curves:
                axis.plot(curve.threshold, getattr(curve, part), **_line(row, report, marker=""))
            axis.set_xlabel("similarity from which an item is recommended")
            axis.set_title(part.capitalize())
            axis.grid()
        axes[1].set_yscale("log")
        axes[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        _percent_by_decades(axes[1])
        _legend(axes[-1])
    return svg()


def reliability_plot(report: EvaluationReport) -> bytes | None:
    """Returns an SVG: told probabilities against what happened; None where no row tells any."""
    curves = [(row, row.reliability) for row in report.table.answered() if row.reliability is not None]
    if not curves:
        return None
    with _figure(2, 3.3) as (axes, svg):
        axes[0].plot([0, 1], [0, 1], color="#b8b7af", lw=1, ls="--")
        for row, curve in curves:
            seen = curve.count > 0
            label = f"{row.name}: Brier {row.brier:.4f}"
            axes[0].plot(curve.told[seen], curve.happened[seen], **{**_line(row, report), "label": label})
            axes[1].step(
                np.linspace(0.05, 0.95, len(curve.count)), curve.count, where="mid", color=_colour(row, report)
            )
        axes[0].set_xlabel("probability told")
        axes[0].set_ylabel("share that happened")
        axes[0].set_title("Told and happened")
        axes[0].legend(loc="upper left", fontsize=8)
        axes[1].set_yscale("symlog", linthresh=1)
        axes[1].set_xlabel("probability told")
        axes[1].set_title("How often it was told")
        for axis in axes:
            axis.grid()
    return svg()


def cold_plot(report: EvaluationReport) -> bytes | None:
    """Returns an SVG: what is left with one event, three, or a line of text; None where it was not asked."""
    if not report.cold:
        return None
    tables = (*report.cold, report.table)
    names = [*(table.name for table in report.cold), "whole history"]
    rows = [row for row in report.table.rows if any(table.row(row.name).answered for table in tables)]
    metric = cold_metric(report)
    with _figure(1, 3.3) as (axes, svg):
        width = 0.8 / len(rows)
        for place, row in enumerate(rows):
            found = [table.mean(row.name, metric) for table in tables]
            at = np.arange(len(tables)) + (place - (len(rows) - 1) / 2) * width
            points = [one.point for one in found]
            margins = [[one.point - one.low for one in found], [one.high - one.point for one in found]]
            axes[0].bar(at, points, 0.9 * width, color=_colour(row, report), label=row.name)
            axes[0].errorbar(at, points, yerr=margins, **_MARGIN)
        axes[0].set_xticks(range(len(tables)), names)
        axes[0].set_ylabel(metric_label(metric))
        axes[0].grid(axis="y")
        _legend(axes[0])
    return svg()


@contextmanager
def _figure(columns: int, height: float, width: float = _WIDTH) -> Iterator[tuple[Sequence[Axes], Callable[[], bytes]]]:
    """Yields the axes and what turns them into an SVG; no state is left in matplotlib."""
    with mpl.rc_context(_STYLE):
        drawing = Figure(figsize=(width, height), layout="constrained")
        axes = drawing.subplots(1, columns, squeeze=False)[0]

        def svg() -> bytes:
            with mpl.rc_context(_STYLE):
                stream = io.BytesIO()
                drawing.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
            return stream.getvalue()

        yield axes, svg


def _bars(axis: Axes, rows: Sequence[Row], values: Sequence[float], report: EvaluationReport) -> None:
    axis.barh(range(len(rows)), values, height=0.68, color=[_colour(row, report) for row in rows])
    axis.set_yticks(range(len(rows)), [""] * len(rows))
    axis.tick_params(axis="y", length=0)
    axis.invert_yaxis()
    axis.grid(axis="x")


def _label_first(axes: Sequence[Axes], rows: Sequence[Row]) -> None:
    axes[0].set_yticks(range(len(rows)), [row.name for row in rows])


def _line(row: Row, report: EvaluationReport, marker: str = "o") -> dict[str, Any]:
    trained = row.name not in BASELINES
    return {
        "color": _colour(row, report),
        "label": row.name,
        "lw": 2.2 if trained else 1.4,
        "marker": marker,
        "markersize": 3.5,
    }


def _percent_by_decades(axis: Axes) -> None:
    axis.yaxis.set_major_formatter(_LogPercent())
    axis.yaxis.set_minor_formatter(_LogPercent(minor_thresholds=(1, 0.4)))


class _LogPercent(LogFormatter):
    """Writes .01 as 1 %, and as many of the ticks in between as there is room for."""

    def __call__(self, value: float, position: int | None = None) -> str:
        return f"{100 * value:g} %" if super().__call__(value, position) else ""


def _legend(axis: Axes) -> None:
    axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8)


def _colour(row: Row, report: EvaluationReport) -> str:
    trained = [one.name for one in report.table.rows if one.name not in _COLOURS]
    return _COLOURS.get(row.name) or _TRAINED_COLOURS[trained.index(row.name) % len(_TRAINED_COLOURS)]
