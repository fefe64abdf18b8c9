"""Time in which an item may be recommended: its timestamps `available_from` and `available_until`, to the second."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.kept_masks import read_only
from domain.item import AttributeType

AVAILABLE_FROM, AVAILABLE_UNTIL = "available_from", "available_until"


def out_of_time(
    blocked: np.ndarray, types: Mapping[str, AttributeType], numbers: Mapping[str, np.ndarray], now_s: float
) -> np.ndarray:
    """Blocks the items whose time has not come, or is over, in place, and returns the mask.

    Args:
        blocked: bool[n], a mask of the caller's own.
        types: of the attributes; only timestamps count.
        numbers: float64[n] by attribute, seconds since 1970, NaN where an item has none.
        now_s: the time, in seconds since 1970.
    """
    if types.get(AVAILABLE_FROM) is AttributeType.TIMESTAMP:
        blocked |= numbers[AVAILABLE_FROM] > now_s
    if types.get(AVAILABLE_UNTIL) is AttributeType.TIMESTAMP:
        blocked |= numbers[AVAILABLE_UNTIL] <= now_s
    return blocked


@dataclass(frozen=True)
class _Moments:
    """A mask, and the time for which it holds: from a second on, and before another."""

    first_s: float
    end_s: float
    mask: np.ndarray


class UnavailableItems:
    """Items that may not be recommended; put together anew only when the time of one begins or ends."""

    def __init__(
        self, unavailable: np.ndarray, types: Mapping[str, AttributeType], numbers: Mapping[str, np.ndarray]
    ) -> None:
        """Keeps what does not change.

        Args:
            unavailable: bool[n], whatever the time.
            types: of the attributes; only timestamps count.
            numbers: float64[n] by attribute, seconds since 1970, NaN where an item has none.
        """
        self._unavailable = read_only(unavailable)
        self._types, self._numbers = types, numbers
        self._known: _Moments | None = None

    def at(self, now_s: float) -> np.ndarray:
        """Returns bool[n], read-only: the same object as long as it holds.

        Args:
            now_s: the time, in seconds since 1970.
        """
        named = [name for name in (AVAILABLE_FROM, AVAILABLE_UNTIL) if self._types.get(name) is AttributeType.TIMESTAMP]
        if not named:
            return self._unavailable
        known = self._known
        if known is None or not known.first_s <= now_s < known.end_s:
            mask = read_only(out_of_time(self._unavailable.copy(), self._types, self._numbers, now_s))
            later = [self._numbers[name][self._numbers[name] > now_s].min(initial=np.inf) for name in named]
            known = self._known = _Moments(now_s, float(min(later)), mask)
        return known.mask
