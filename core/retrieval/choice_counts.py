"""Counts of who chose what, from histories of events: by item, and by pair of items that one user chose.

No user is kept in them. They are bounded: items and pairs beyond the limits are dropped, those with the smallest counts
first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

# Of a user the newest choices make pairs.
PAIRED_ITEMS = 20
_MOST_ITEMS = 200_000
_MOST_PAIRS = 4_000_000
# Pairs that wait to be counted together.
_BLOCK = 500_000
_SHIFT = 32


@dataclass
class ChoiceCounts:
    """Users by item, and by pair of items. Not thread-safe.

    Attributes:
        item_ids: of the items counted, by their number here.
        user_count: users added that chose something.
        most_items: items counted at most; later ones are left out.
        most_pairs: pairs counted at most; beyond them those with the smallest count are dropped.
    """

    most_items: int = _MOST_ITEMS
    most_pairs: int = _MOST_PAIRS
    item_ids: list[str] = field(default_factory=list)
    user_count: int = 0
    _numbers: dict[str, int] = field(default_factory=dict)
    _users: list[int] = field(default_factory=list)
    _waiting: list[np.ndarray] = field(default_factory=list)
    _waiting_count: int = 0
    _keys: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    _pair_users: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def add(self, item_ids: Sequence[str], new: Sequence[bool]) -> None:
        """Counts one user.

        Args:
            item_ids: what they chose, oldest first, each once.
            new: by item, whether this choice counts; the others only make pairs with those that do.
        """
        numbers = [self._number(item_id) for item_id in item_ids]
        kept = [(number, counts) for number, counts in zip(numbers, new, strict=True) if number >= 0]
        if not any(counts for _, counts in kept):
            return
        self.user_count += 1
        for number, counts in kept:
            self._users[number] += counts
        newest = kept[-PAIRED_ITEMS:]
        rows = np.array([number for number, _ in newest], np.int64)
        counting = np.array([counts for _, counts in newest])
        first, second = np.triu_indices(len(rows), 1)
        pairs = counting[first] | counting[second]
        low, high = np.minimum(rows[first], rows[second])[pairs], np.maximum(rows[first], rows[second])[pairs]
        self._waiting.append((low << _SHIFT) | high)
        self._waiting_count += len(low)
        if self._waiting_count > _BLOCK:
            self._reduce()

    def users(self) -> np.ndarray:
        """Returns int64[items], the users who chose each."""
        return np.asarray(self._users, np.int64)

    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns int64[p] three times: two items, by number, the first being the lower, and the users of both."""
        self._reduce()
        return self._keys >> _SHIFT, self._keys & ((1 << _SHIFT) - 1), self._pair_users

    def _number(self, item_id: str) -> int:
        number = self._numbers.get(item_id, -1)
        if number < 0 and len(self.item_ids) < self.most_items:
            number = self._numbers[item_id] = len(self.item_ids)
            self.item_ids.append(item_id)
            self._users.append(0)
        return number

    def _reduce(self) -> None:
        if not self._waiting_count:
            return
        keys = np.concatenate([self._keys, *self._waiting])
        users = np.concatenate([self._pair_users, np.ones(self._waiting_count, np.int64)])
        self._waiting, self._waiting_count = [], 0
        self._keys, places = np.unique(keys, return_inverse=True)
        self._pair_users = np.bincount(places, users).astype(np.int64)
        if len(self._keys) > self.most_pairs:
            largest = np.sort(np.argsort(-self._pair_users, kind="stable")[: self.most_pairs // 2])
            self._keys, self._pair_users = self._keys[largest], self._pair_users[largest]
