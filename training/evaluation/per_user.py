"""Metrics by user and method as a file: for statistics of one's own, and to pool data sets."""

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.evaluation.report import EvaluationReport


def write_user_metrics(report: EvaluationReport, path: Path) -> None:
    """Writes user_id, method and the protocol's headline metrics as CSV, compressed where the name ends in .gz.

    Raises:
        OSError: the file can't be written.
    """
    table, metrics = report.table, report.headlines
    with _opened(path) as file:
        lines = csv.writer(file)
        lines.writerow(["user_id", "method", *metrics])
        for method in table.answered():
            columns = [table.values_by_user(method.name, metric) for metric in metrics]
            for user_id, *values in zip(table.users, *columns, strict=True):
                lines.writerow([user_id, method.name, *(f"{value:.6f}" for value in values)])


def read_user_metrics(path: Path, metric: str) -> dict[str, dict[str, float]]:
    """Returns one metric by method and user id, as `write_user_metrics` wrote it.

    Raises:
        KeyError: the file has no such metric.
    """
    values: dict[str, dict[str, float]] = {}
    for line in _lines(path):
        values.setdefault(line["method"], {})[line["user_id"]] = float(line[metric])
    return values


def pooled(parts: list[dict[str, dict[str, float]]], methods: tuple[str, str]) -> np.ndarray:
    """Returns float64[users of all parts, 2], the values of two methods side by side; users count alike."""
    pairs = [
        (part[methods[0]][user_id], part[methods[1]][user_id])
        for part in parts
        for user_id in sorted(part[methods[0]].keys() & part[methods[1]].keys())
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
