"""Aspects of the catalogue's items by row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ItemAspects:
    """Review scores of items by aspect.

    Attributes:
        matrix: float32[n, A], signed, in the order of `core.aspects.extract.ASPECTS`.
    """

    matrix: np.ndarray

    def of(self, rows: Sequence[int]) -> np.ndarray:
        """Returns float32[m, A]."""
        found: np.ndarray = self.matrix[list(rows)]
        return found
