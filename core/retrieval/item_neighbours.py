"""A table of each item's strongest neighbours, for collaborative and next-item recall."""

import zipfile
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np

from core.vectors import top_rows


class NeighbourTable:
    """Each item's strongest neighbours: score(j) = sum over the history's items i of weight(i, j). Read-only."""

    def __init__(self, rows: np.ndarray, weights: np.ndarray) -> None:
        """Takes the table.

        Args:
            rows: int32[n, K], neighbours of each item; -1 where it has no more.
            weights: float32[n, K].

        Raises:
            ValueError: the two don't fit, or name rows that don't exist.
        """
        if rows.ndim != 2 or rows.shape != weights.shape or rows.dtype.kind != "i":
            raise ValueError(f"neighbours are {rows.dtype}{list(rows.shape)}, weights {list(weights.shape)}")
        if rows.size and (rows.max() >= len(rows) or rows.min() < -1):
            raise ValueError(f"neighbours name row {rows.max()}, but there are {len(rows)}")
        if not np.isfinite(weights).all():
            raise ValueError("weights of neighbours are not finite")
        self.rows = rows
        self.weights = weights

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def load(cls, path: Path) -> "NeighbourTable":
        """Reads `rows` and `weights` of an `.npz`.

        Raises:
            OSError, ValueError, KeyError: the file is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(arrays["rows"], arrays["weights"].astype(np.float32))
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise ValueError(f"{path.name} is not a whole .npz file") from error

    def save(self, path: Path) -> None:
        """Writes what `load` reads."""
        with path.open("wb") as stream:
            np.savez(stream, rows=self.rows, weights=self.weights)

    def remapped(self, target: np.ndarray, item_count: int) -> "NeighbourTable":
        """Returns the table of another catalogue.

        Args:
            target: int64[n], for each row its row there; -1 for an item that is not in it.
            item_count: items there. Those that are nobody's target have no neighbours.
        """
        moved = np.where(self.rows >= 0, target[self.rows], -1)
        order = np.argsort(moved < 0, axis=1, kind="stable")
        moved, weights = (np.take_along_axis(array, order, axis=1) for array in (moved, self.weights))
        rows = np.full((item_count, moved.shape[1]), -1, np.int32)
        kept = np.zeros(rows.shape, np.float32)
        known = target >= 0
        rows[target[known]] = moved[known]
        kept[target[known]] = np.where(moved[known] >= 0, weights[known], 0)
        return NeighbourTable(rows, kept)

    @cached_property
    def without_neighbours(self) -> np.ndarray:
        """bool[n], items without any neighbour."""
        return np.asarray(~(self.rows >= 0).any(axis=1))

    def scores(self, history: np.ndarray, event_weights: np.ndarray | None = None) -> np.ndarray:
        """Returns float64[n], the weights summed over a history's rows; -inf for items that are nobody's neighbour.

        Args:
            history: int64[H].
            event_weights: float[H], how much each row counts; None for all alike, 1.
        """
        near, weights = self._of(history, event_weights)
        real = near >= 0
        sums = np.bincount(near[real], weights[real], minlength=len(self.rows))
        return np.where(sums != 0, sums, -np.inf)

    def _of(self, history: np.ndarray, event_weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Returns the history's neighbours and their weights, [H x K] each; items that came later have none."""
        known = history < len(self.rows)
        if not known.all():
            history, event_weights = history[known], None if event_weights is None else event_weights[known]
        weights = self.weights[history]
        return self.rows[history].ravel(), (
            weights if event_weights is None else weights * event_weights[:, None]
        ).ravel()

    def search(
        self, history: np.ndarray, event_weights: np.ndarray | None, count: int, blocked: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the items that the history's neighbours speak for.

        Args:
            history: int64[H], distinct rows.
            event_weights: see `scores`.
            count: how many, at most.
            blocked: bool[n], rows that must not be returned.

        Returns:
            rows int64[k] and scores float32[k], best first; all scores are above 0.
        """
        scores = self.scores(history, event_weights)
        candidates = np.flatnonzero((scores > 0) & ~blocked[: len(scores)])
        return top_rows(scores[candidates].astype(np.float32), candidates, count)

    def strongest_of(self, history: np.ndarray, event_weights: np.ndarray | None, rows: np.ndarray) -> list[int | None]:
        """Returns for each row the history's row that speaks most for it; None where none does."""
        known = history < len(self.rows)
        history, event_weights = history[known], None if event_weights is None else event_weights[known]
        near, weights = self._of(history, event_weights)
        wanted = np.flatnonzero(np.isin(near, rows) & (weights > 0))
        best: dict[int, int] = {}
        for place in wanted[np.argsort(-weights[wanted], kind="stable")].tolist():
            best.setdefault(int(near[place]), int(history[place // self.rows.shape[1]]))
        return [best.get(int(row)) for row in rows]
