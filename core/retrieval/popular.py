"""The popularity prior P(i), and recall by it."""

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from core.retrieval.source import SourceQuery, SourceScores, first_free
from core.row_order import RowOrder
from core.scaling import Population
from core.vectors import top_rows
from domain.recommendation import Source


class PopularSource:
    """Items in the order of the prior, the same for every query. Read-only.

    Items that nobody chose share the smallest prior: they are not popular.
    """

    name: ClassVar[str] = Source.POPULAR.value
    file: ClassVar[str] = "popularity.npy"

    def __init__(self, log_prior: np.ndarray, order: RowOrder | None = None) -> None:
        """Puts the items in order.

        Args:
            log_prior: float[n], log P(i).
            order: of items that are chosen as often; None where they ascend by id.

        Raises:
            ValueError: it is not such an array.
        """
        if log_prior.ndim != 1 or not len(log_prior) or not np.isfinite(log_prior).all():
            raise ValueError(f"the popularity prior is {log_prior.dtype}{list(log_prior.shape)}, or not finite")
        self.log_prior = log_prior.astype(np.float32)
        self.chosen = self.log_prior > self.log_prior.min()
        rows = np.flatnonzero(self.chosen)
        self._rows, self._scores = top_rows(self.log_prior[rows], rows, len(rows), order)

    def __len__(self) -> int:
        return len(self.log_prior)

    @cached_property
    def chosen_shares(self) -> np.ndarray:
        """float64[n], the share of items that fewer people chose: 0 for what nobody chose, 1 for the most chosen."""
        _, places, counts = np.unique(self.log_prior, return_inverse=True, return_counts=True)
        below = np.concatenate([[0], np.cumsum(counts)[:-1]])
        shares: np.ndarray = below[places] / max(len(self) - 1, 1)
        return shares

    def can_answer(self, _: SourceQuery) -> bool:
        """Always."""
        return True

    def search(self, _: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows chosen most often that are not blocked, and their log P(i), best first."""
        places = first_free(self._rows, blocked, count)
        return self._rows[places], self._scores[places]

    def scores(self, _: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`."""
        return SourceScores.of_catalogue(self.log_prior, rows, population)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads an `.npy`.

        Raises:
            OSError, ValueError: the file is damaged.
        """
        return cls(np.load(path, allow_pickle=False))

    def save(self, path: Path) -> None:
        """Writes float32[n], log P(i)."""
        np.save(path, self.log_prior)

    def remapped(self, target: np.ndarray, item_count: int) -> "PopularSource":
        """Returns the prior of another catalogue, see `TableSource.remapped`. New items count as never chosen."""
        moved = np.full(item_count, self.log_prior.min(), np.float32)
        known = target >= 0
        moved[target[known]] = self.log_prior[known]
        return PopularSource(moved)
