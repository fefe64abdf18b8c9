"""Aspects of the catalogue's items by row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.retrieval.source import known_rows


@dataclass(frozen=True)
class ItemAspects:
    """Review scores of items by aspect.

    Attributes:
        matrix: float32[n, A], signed, in the order of `core.aspects.extract.ASPECTS`.
    """

    matrix: np.ndarray

    def of(self, rows: Sequence[int]) -> np.ndarray:
        """Returns float32[m, A]; zeros for items that came after the reviews were read."""
        return known_rows(self.matrix, np.asarray(rows, np.int64), 0.0)
