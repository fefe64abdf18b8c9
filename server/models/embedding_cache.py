"""Cache of the encoder's vectors by token ids, bounded by bytes; the vector not used for longest goes first.

One cache belongs to one version of the encoder, computed in one kind of numbers, so a key never names another text's
vector. Equal texts that are not in it yet are computed once by the batcher.
"""

from collections import OrderedDict
from typing import Protocol

import numpy as np

# Of an entry besides its vector and key: the array's header, the dictionary's place.
_ENTRY_BYTES = 250


class CacheObserver(Protocol):
    """Counter of look-ups."""

    def cache_used(self, hit_count: int, miss_count: int, size_bytes: int) -> None:
        """Counts look-ups; `size_bytes` is what the cache takes now."""


class EmbeddingCache:
    """Vectors by token ids. Belongs to one event loop."""

    def __init__(self, most_bytes: int, observer: CacheObserver) -> None:
        """Begins empty.

        Args:
            most_bytes: what it may take, about; 0 keeps nothing.
            observer: counts.
        """
        self._most_bytes = most_bytes
        self._observer = observer
        self._vectors: OrderedDict[bytes, np.ndarray] = OrderedDict()
        self._size_bytes = 0

    @property
    def size_bytes(self) -> int:
        """Bytes that it takes, about."""
        return self._size_bytes

    def __len__(self) -> int:
        return len(self._vectors)

    def find(self, token_ids: list[np.ndarray]) -> dict[int, np.ndarray]:
        """Returns the known vectors, float32[d], by the place of the text, int64[L_i] each."""
        if not self._most_bytes:
            return {}
        found = {}
        for place, ids in enumerate(token_ids):
            key = ids.tobytes()
            vector = self._vectors.get(key)
            if vector is not None:
                self._vectors.move_to_end(key)
                found[place] = vector
        self._observer.cache_used(len(found), len(token_ids) - len(found), self._size_bytes)
        return found

    def keep(self, token_ids: np.ndarray, vector: np.ndarray) -> None:
        """Keeps a text's vector, and drops what has not been used for longest where it takes too much."""
        key = token_ids.tobytes()
        if key in self._vectors or _bytes_of(key, vector) > self._most_bytes:
            return
        kept = np.array(vector)  # of its own: a row would keep its whole batch
        kept.setflags(write=False)
        self._vectors[key] = kept
        self._size_bytes += _bytes_of(key, kept)
        while self._size_bytes > self._most_bytes:
            old_key, old = self._vectors.popitem(last=False)
            self._size_bytes -= _bytes_of(old_key, old)


def _bytes_of(key: bytes, vector: np.ndarray) -> int:
    return len(key) + vector.nbytes + _ENTRY_BYTES
