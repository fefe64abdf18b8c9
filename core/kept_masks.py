"""Masks that come again and again: what is worked out of one is kept as long as the same one comes."""

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


class OfLastMask(Generic[T]):
    """Result of the last read-only mask. A mask that may be written to is the caller's own, and never kept."""

    def __init__(self, work: Callable[[np.ndarray], T]) -> None:
        """Keeps what works something out of a mask, bool[n]."""
        self._work = work
        self._last: tuple[np.ndarray, T] | None = None

    def of(self, mask: np.ndarray) -> T:
        """Returns what a mask gives. Any thread may ask."""
        if mask.flags.writeable:
            return self._work(mask)
        last = self._last
        if last is None or last[0] is not mask:
            last = self._last = (mask, self._work(mask))
        return last[1]


def joined(mask: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns bool[n], what either of two masks has; read-only where the first one is."""
    either: np.ndarray = mask | other
    either.flags.writeable = mask.flags.writeable
    return either


def read_only(mask: np.ndarray) -> np.ndarray:
    """Returns a mask that nobody can write to by this object."""
    view = mask.view()
    view.flags.writeable = False
    return view


def own(mask: np.ndarray) -> np.ndarray:
    """Returns a mask that may be written to: the mask, or a copy of one that is read-only."""
    return mask if mask.flags.writeable else mask.copy()
