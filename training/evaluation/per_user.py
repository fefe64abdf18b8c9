"""What each user's answers were worth, a line a user and row: for statistics of one's own, and to pool data sets."""

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.evaluation.report import EvaluationReport


def write_user_figures(report: EvaluationReport, path: Path) -> None:
    """Writes user_id, row and the protocol's headline figures as CSV, compressed where the name ends in .gz.

    Raises:
        OSError: the file can't be written.
    """
    table, metrics = report.table, report.headlines
    with _opened(path) as file:
        lines = csv.writer(file)
        lines.writerow(["user_id", "row", *metrics])
        for row in table.answered():
            columns = [table.figures_by_user(row.name, metric) for metric in metrics]
            for user_id, *figures in zip(table.users, *columns, strict=True):
                lines.writerow([user_id, row.name, *(f"{value:.6f}" for value in figures)])


def read_user_figures(path: Path, metric: str) -> dict[str, dict[str, float]]:
    """Returns one metric by row and user id, as `write_user_figures` wrote it.

    Raises:
        KeyError: the file has no such metric.
    """
    found: dict[str, dict[str, float]] = {}
    for line in _lines(path):
        found.setdefault(line["row"], {})[line["user_id"]] = float(line[metric])
    return found


def pooled(parts: list[dict[str, dict[str, float]]], rows: tuple[str, str]) -> np.ndarray:
    """Returns float64[users of all parts, 2], the figures of two rows side by side; users count alike."""
    pairs = [
        (part[rows[0]][user_id], part[rows[1]][user_id])
        for part in parts
        for user_id in sorted(part[rows[0]].keys() & part[rows[1]].keys())
    ]
    return np.asarray(pairs, np.float64).reshape(-1, 2)


def _opened(path: Path) -> io.TextIOBase:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.GzipFile(path, "wb", mtime=0), encoding="utf-8", newline="")
    return path.open("w", encoding="utf-8", newline="")


def _lines(path: Path) -> Iterator[dict[str, str]]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    yield from csv.DictReader(io.StringIO(text, newline=""))
