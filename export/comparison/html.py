"""Comparison of precisions as one HTML page with a plot, without other files."""

import io
from html import escape
from pathlib import Path
from typing import Any

from core.html_page import html_page, html_table, lead, picture
from domain.durable import write_atomic
from domain.errors import StorageError
from export.comparison.report import PrecisionRow, PrecisionTable

_COLOURS = {"float32": "#2f6690", "float16": "#c2a04e", "int8": "#c2452d"}
_KEPT = (
    "Cosines to float32's vectors: the lowest, and what all but one text in a hundred reach; each text in a call of "
    "its own, and in full batches of texts of other lengths. Company: the lowest cosine between a text's two vectors. "
    "Recall@10 kept: how many of a text's ten nearest by float32 (exact search) are its ten nearest here."
)
_FAST = (
    "Rows a second over float32's in the same round: median of nine interleaved rounds, lowest and highest behind it. "
    "ONNX Runtime on this machine's CPU. Float16 is for GPUs: ONNX Runtime computes it in float32 on a CPU, with casts."
)


def write_page(table: PrecisionTable, path: Path) -> None:
    """Writes the page, all of it or nothing.

    Raises:
        StorageError: it can't be written.
    """
    try:
        write_atomic(path, page(table))
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error.strerror or error}; give another file") from error


def page(table: PrecisionTable) -> str:
    """Returns the page as HTML that needs no other file."""
    title = f"Precisions: {table.encoder}"
    body = [
        f"<h1>{escape(title)}</h1>",
        lead(_summary(table)),
        f"<h2>What is kept</h2><p>{escape(_KEPT)}</p>",
        _kept_table(table),
        f"<h2>How fast</h2><p>{escape(_FAST)}</p>",
        picture(speed_plot(table), "Speed by length"),
        _speed_table(table),
    ]
    return html_page(title, body)


def speed_plot(table: PrecisionTable) -> bytes:
    """Returns an SVG: speed over float32 by length, alone and in batches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {"axes.spines.top": False, "axes.spines.right": False, "font.size": 9, "svg.hashsalt": "shortlist"}
    with mpl.rc_context(style):
        figure = Figure(figsize=(9.6, 3.3), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        for axis, alone in zip(axes, (True, False), strict=True):
            for row in table.rows:
                speeds = [speed for speed in row.speeds if (speed.rows == 1) == alone]
                tokens, ratios = [speed.tokens for speed in speeds], [speed.ratio for speed in speeds]
                colour = _COLOURS[row.name]
                axis.fill_between(
                    tokens,
                    [speed.lowest for speed in speeds],
                    [speed.highest for speed in speeds],
                    color=colour,
                    alpha=0.13,
                    lw=0,
                )
                axis.plot(tokens, ratios, marker="o", ms=4, lw=1.6, color=colour, label=row.name)
            axis.set_xscale("log", base=2)
            axis.set_xticks(tokens, [str(value) for value in tokens])
            axis.set_ylim(bottom=0)
            axis.grid(axis="y", color="#e4e3dc")
            axis.set_xlabel("tokens a text")
            axis.set_title("one text a call" if alone else "batches of about 1,024 tokens", loc="left", weight="bold")
        axes[0].set_ylabel("speed, float32 = 1")
        axes[1].legend(frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _summary(table: PrecisionTable) -> str:
    sentences = []
    for row in table.rows[1:]:
        if row.refused:
            sentences.append(f"{row.name} is refused")
        elif row.gate is not None and row.speeds:
            sentences.append(
                f"{row.name} keeps {row.gate.recall_kept:.1%} of the ten nearest texts at "
                f"{row.speeds[0].ratio:.2f} times the speed on short texts"
            )
    return f"{'; '.join(sentences)}. {table.text_count} texts, {table.machine}."


def _kept_table(table: PrecisionTable) -> str:
    heads = ["", "MB", "alone: min", "1st pct", "mixed: min", "1st pct", "company", "recall@10 kept"]
    return html_table(heads, [_kept_row(row) for row in table.rows])


def _kept_row(row: PrecisionRow) -> str:
    if row.refused:
        return f'<tr><td>{row.name}</td><td class="refused" colspan="7">refused: {escape(row.refused)}</td></tr>'
    gate = row.gate
    values = ["-"] * 6
    if gate is not None:
        cosines = (gate.alone_min, gate.alone_p1, gate.mixed_min, gate.mixed_p1)
        values = [*(f"{value:.5f}" for value in cosines), f"{gate.company_min:.7f}", f"{gate.recall_kept:.3f}"]
    return (
        "<tr>" + "".join(f"<td>{value}</td>" for value in (row.name, f"{row.size_bytes / 1e6:.1f}", *values)) + "</tr>"
    )


def _speed_table(table: PrecisionTable) -> str:
    made = [row for row in table.rows if row.speeds]
    heads = ["tokens x rows", *(f"{row.name}, rows/s" for row in made), *(f"{row.name} / float32" for row in made[1:])]
    rows = []
    for place, shape in enumerate(made[0].speeds):
        cells = [f"{shape.tokens} x {shape.rows}", *(f"{row.speeds[place].rate:,.0f}" for row in made)]
        for row in made[1:]:
            speed = row.speeds[place]
            cells.append(f"{speed.ratio:.2f} <small>[{speed.lowest:.2f}, {speed.highest:.2f}]</small>")
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return html_table(heads, rows)
