"""Log of a training run: lines for people, TensorBoard files, and a picture of the curves."""

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from domain.progress import Heartbeat, LineProgress

CURVES_FILE = "plots/curves.csv"
CURVES_PICTURE = "plots/curves.png"


class RunLog(LineProgress):
    """Progress that is never silent for long, and writes `tensorboard/` and `plots/curves.csv` as metrics come in."""

    def __init__(self, folder: Path, write: Callable[[str], None]) -> None:
        """Takes the model folder and the function that writes a line."""
        super().__init__(write)
        self._folder = folder
        self._writer = None
        self._heartbeat: Heartbeat | None = None
        self._curves: dict[str, list[tuple[int, float]]] = defaultdict(list)

    def __enter__(self) -> "RunLog":
        from torch.utils.tensorboard import SummaryWriter

        (self._folder / "plots").mkdir(parents=True, exist_ok=True)
        path = self._folder / CURVES_FILE
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as stream:
                for name, step, value in csv.reader(stream):
                    self._curves[name].append((int(step), float(value)))
        self._writer = SummaryWriter(str(self._folder / "tensorboard"))
        self._heartbeat = Heartbeat(self).__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._heartbeat is not None:
            self._heartbeat.__exit__()
        if self._writer is not None:
            self._writer.close()
        if self._curves:
            draw_curves(self._curves, self._folder / CURVES_PICTURE)

    def metric(self, name: str, step: int, value: float) -> None:
        """Adds a point to a curve."""
        self._curves[name].append((step, value))
        if self._writer is not None:
            self._writer.add_scalar(name, value, step)
        with (self._folder / CURVES_FILE).open("a", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerow([name, step, f"{value:.7g}"])


def draw_curves(curves: dict[str, list[tuple[int, float]]], path: Path) -> None:
    """Draws every curve in a small panel of its own, grouped by part."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = sorted(curves)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.2 * columns, 2.6 * rows), squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, names, strict=False):
        points = sorted(dict(curves[name]).items())
        axis.plot(*zip(*points, strict=True), marker="o" if len(points) < 20 else "", markersize=3, linewidth=1.4)
        part, _, label = name.partition("/")
        axis.set_title(f"{part}: {label.replace('_', ' ')}" if label else part, fontsize=9)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
