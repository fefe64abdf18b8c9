"""Plots of an evaluation: one SVG each, every method in one colour throughout."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter, PercentFormatter

from core.svg_plot import WIDTH, drawing
from training.evaluation.accumulator import CUTS, LIST_LENGTH
from training.evaluation.baselines import ALS, BASELINES, EASE, ITEM_KNN, POPULARITY, RANDOM, USER_KNN, ZERO_SHOT
from training.evaluation.bootstrap import Interval
from training.evaluation.evaluate import MethodResult
from training.evaluation.report import EvaluationReport, cold_metric, format_number, metric_label

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
_MARGIN: dict[str, Any] = {"fmt": "none", "ecolor": "#2b2b29", "capsize": 2, "lw": 1}


def headline_plot(report: EvaluationReport) -> bytes:
    """Returns an SVG: a bar with its interval a method, a panel a headline metric."""
    methods, table = report.table.answered(), report.table
    with drawing(0.34 * len(methods) + 0.9, columns=len(report.headlines)) as (axes, svg):
        for axis, metric in zip(axes, report.headlines, strict=True):
            means = [table.mean(method.name, metric) for method in methods]
            points = [mean.point for mean in means]
            _bars(axis, methods, points, report)
            axis.errorbar(
                points,
                range(len(methods)),
                xerr=_margins(means),
                fmt="none",
                ecolor="#2b2b29",
                capsize=2.5,
                lw=1,
            )
            highest = max(mean.high for mean in means)
            for place, mean in enumerate(means):
                label = format_number(mean.point)
                axis.text(mean.high + 0.02 * highest, place, label, va="center", fontsize=8, color="#3b3b38")
            axis.set_xlim(0, 1.18 * highest)
            axis.set_title(metric_label(metric))
        _label_first(axes, methods)
    return svg()


def depth_plot(report: EvaluationReport) -> bytes:
    """Returns an SVG: Recall@k and NDCG@k by k."""
    methods, table = report.table.answered(), report.table
    with drawing(3.3, columns=2) as (axes, svg):
        for axis, metric in zip(axes, ("recall", "ndcg"), strict=True):
            for method in methods:
                means = [table.mean(method.name, f"{metric}@{k}").point for k in CUTS]
                axis.plot(CUTS, means, **_line(method, report))
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
    methods, table = report.table.answered(), report.table
    panels: list[tuple[str, Callable[[MethodResult], float]]] = [
        ("Coverage: candidates in any list", lambda method: method.coverage),
        ("Diversity: 1 - cosine in a list", lambda method: table.mean(method.name, f"diversity@{LIST_LENGTH}").point),
        ("Novelty: -log2 popularity", lambda method: table.mean(method.name, f"novelty@{LIST_LENGTH}").point),
    ]
    panels = [panel for panel in panels if not all(math.isnan(panel[1](method)) for method in methods)]
    with drawing(0.34 * len(methods) + 0.9, columns=len(panels)) as (axes, svg):
        for axis, (title, value) in zip(axes, panels, strict=True):
            values = [value(method) for method in methods]
            _bars(axis, methods, values, report)
            highest = np.nanmax(values)
            for place, number in enumerate(values):
                axis.text(number + 0.02 * highest, place, f"{number:.2f}", va="center", fontsize=8, color="#3b3b38")
            axis.set_xlim(0, 1.18 * highest)
            axis.set_title(title)
        _label_first(axes, methods)
    return svg()


def precision_recall_plot(report: EvaluationReport) -> bytes:
    """Returns an SVG: precision against recall as each method's threshold falls."""
    curves = [(method, method.threshold) for method in report.table.answered() if method.threshold is not None]
    with drawing(3.4, width=0.72 * WIDTH) as (axes, svg):
        for method, curve in curves:
            seen = curve.recall > 0
            axes[0].plot(curve.recall[seen], curve.precision[seen], **_line(method, report, marker=""))
        axes[0].set_yscale("log")
        _percent_by_decades(axes[0])
        axes[0].xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes[0].grid()
        axes[0].set_xlabel("recall: targets at or above the threshold")
        axes[0].set_ylabel("precision")
        _legend(axes[0])
    return svg()


def threshold_plot(report: EvaluationReport) -> bytes | None:
    """Returns an SVG: recall and precision against the similarity of semantic methods; None without one."""
    methods = [method for method in report.table.answered() if method.name.startswith("semantic")]
    curves = [(method, method.threshold) for method in methods if method.threshold is not None]
    if not curves:
        return None
    with drawing(3.0, columns=2) as (axes, svg):
        for axis, part in zip(axes, ("recall", "precision"), strict=True):
            for method, curve in curves:
                axis.plot(curve.threshold, getattr(curve, part), **_line(method, report, marker=""))
            axis.set_xlabel("similarity from which an item is recommended")
            axis.set_title(part.capitalize())
            axis.grid()
        axes[1].set_yscale("log")
        axes[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        _percent_by_decades(axes[1])
        _legend(axes[-1])
    return svg()


def reliability_plot(report: EvaluationReport) -> bytes | None:
    """Returns an SVG: predicted against observed probabilities; None where no method predicts any."""
    curves = [(method, method.reliability) for method in report.table.answered() if method.reliability is not None]
    if not curves:
        return None
    with drawing(3.3, columns=2) as (axes, svg):
        axes[0].plot([0, 1], [0, 1], color="#b8b7af", lw=1, ls="--")
        for method, curve in curves:
            seen = curve.count > 0
            label = f"{method.name}: Brier {method.brier:.4f}"
            axes[0].plot(curve.predicted[seen], curve.observed[seen], **{**_line(method, report), "label": label})
            axes[1].step(
                np.linspace(0.05, 0.95, len(curve.count)), curve.count, where="mid", color=_colour(method, report)
            )
        axes[0].set_xlabel("predicted probability")
        axes[0].set_ylabel("observed frequency")
        axes[0].set_title("Predicted and observed")
        # Above the panel: inside it the legend would lie over one curve or another.
        axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1.12), fontsize=8, borderaxespad=0)
        axes[1].set_yscale("symlog", linthresh=1)
        axes[1].set_xlabel("predicted probability")
        axes[1].set_title("Number of predictions")
        for axis in axes:
            axis.grid()
    return svg()


def cold_plot(report: EvaluationReport) -> bytes | None:
    """Returns an SVG: the metric with one event, three, or a line of text; None without cold users."""
    if not report.cold:
        return None
    tables = (*report.cold, report.table)
    names = [*(table.name for table in report.cold), "whole history"]
    methods = [method for method in report.table.methods if any(table.method(method.name).answered for table in tables)]
    metric = cold_metric(report)
    with drawing(3.3) as (axes, svg):
        width = 0.8 / len(methods)
        for place, method in enumerate(methods):
            means = [table.mean(method.name, metric) for table in tables]
            at = np.arange(len(tables)) + (place - (len(methods) - 1) / 2) * width
            points = [mean.point for mean in means]
            axes[0].bar(at, points, 0.9 * width, color=_colour(method, report), label=method.name)
            axes[0].errorbar(at, points, yerr=_margins(means), **_MARGIN)
        axes[0].set_xticks(range(len(tables)), names)
        axes[0].set_ylabel(metric_label(metric))
        axes[0].grid(axis="y")
        _legend(axes[0])
    return svg()


def sorted_plot(values: Mapping[str, np.ndarray], label: str) -> bytes:
    """Returns an SVG: every query's value of each method, float64[queries] with NaN left out, in ascending order."""
    with drawing(3.0, width=0.72 * WIDTH) as (axes, svg):
        axis = axes[0]
        for place, (name, column) in enumerate(values.items()):
            ordered = np.sort(column[~np.isnan(column)])
            colour = _TRAINED_COLOURS[place % len(_TRAINED_COLOURS)]
            axis.step(
                np.linspace(0, 1, len(ordered) + 1),
                np.append(ordered, ordered[-1:]),
                where="post",
                color=colour,
                label=name,
            )
        axis.set_xlabel("share of the queries")
        axis.set_ylabel(label)
        axis.set_ylim(0, 1.02)
        axis.xaxis.set_major_formatter(PercentFormatter(1))
        axis.grid()
        if len(values) > 1:
            axis.legend(loc="upper left", fontsize=8)
        return svg()


def _margins(means: Sequence[Interval]) -> list[list[float]]:
    """Returns the lengths of the error bars, below and above the means."""
    return [[mean.point - mean.low for mean in means], [mean.high - mean.point for mean in means]]


def _bars(axis: Axes, methods: Sequence[MethodResult], values: Sequence[float], report: EvaluationReport) -> None:
    axis.barh(range(len(methods)), values, height=0.68, color=[_colour(method, report) for method in methods])
    axis.set_yticks(range(len(methods)), [""] * len(methods))
    axis.tick_params(axis="y", length=0)
    axis.invert_yaxis()
    axis.grid(axis="x")


def _label_first(axes: Sequence[Axes], methods: Sequence[MethodResult]) -> None:
    axes[0].set_yticks(range(len(methods)), [method.name for method in methods])


def _line(method: MethodResult, report: EvaluationReport, marker: str = "o") -> dict[str, Any]:
    trained = method.name not in BASELINES
    return {
        "color": _colour(method, report),
        "label": method.name,
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


def _colour(method: MethodResult, report: EvaluationReport) -> str:
    trained = [other.name for other in report.table.methods if other.name not in _COLOURS]
    return _COLOURS.get(method.name) or _TRAINED_COLOURS[trained.index(method.name) % len(_TRAINED_COLOURS)]
