"""Plots of reports as SVG: one style, and nothing that differs from run to run."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# In inches.
WIDTH = 9.6
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


@contextmanager
def drawing(
    height: float, *, rows: int = 1, columns: int = 1, width: float = WIDTH, ratios: Sequence[float] | None = None
) -> Iterator[tuple[list[Axes], Callable[[], bytes]]]:
    """Yields axes and a function that renders them as SVG; matplotlib keeps no state.

    Args:
        height: of the whole, in inches.
        rows: of axes, or
        columns: of axes.
        width: of the whole, in inches.
        ratios: heights of the rows beside one another.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, height_ratios=ratios)

        def svg() -> bytes:
            stream = io.BytesIO()
            with mpl.rc_context(_STYLE):
                figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
            return stream.getvalue()

        yield list(axes.flat), svg
