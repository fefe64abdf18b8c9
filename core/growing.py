"""Arrays and lists that one thread appends to while others read what was there before."""

from collections.abc import Iterator, Sequence

import numpy as np

_SEALED = 256


class GrowingArray:
    """Array that grows along its first axis. One thread appends; a reader looks at no more rows than it knows of."""

    def __init__(self, row_shape: tuple[int, ...], dtype: type[np.generic] | np.dtype, capacity: int = 64) -> None:
        """Makes an empty one.

        Args:
            row_shape: of one row.
            dtype: of the entries.
            capacity: rows that it has room for at first.
        """
        self.array = np.zeros((max(capacity, 1), *row_shape), dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, rows: np.ndarray) -> None:
        """Appends rows of the shape [m, ...]."""
        end = self._count + len(rows)
        if end > len(self.array):
            # Readers keep the array that they have: its rows never change.
            larger = np.zeros((max(end, 2 * len(self.array)), *self.array.shape[1:]), self.array.dtype)
            larger[: self._count] = self.array[: self._count]
            self.array = larger
        self.array[self._count : end] = rows
        self._count = end


class Postings:
    """Ascending numbers by key, such as the places of a word. One thread appends; any thread reads."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[tuple[np.ndarray, ...], list[int]]] = {}

    def append(self, key: str, number: int) -> None:
        """Appends a number, which is above those that the key has."""
        parts = self._parts.get(key)
        if parts is None:
            self._parts[key] = ((), [number])
            return
        sealed, tail = parts
        tail.append(number)
        if len(tail) >= _SEALED:
            # In one assignment: a reader has either the old parts or the new ones.
            self._parts[key] = ((*sealed, np.asarray(tail, np.int64)), [])

    def of(self, key: str, end: int) -> np.ndarray:
        """Returns int64[m], the numbers of a key below `end`, ascending."""
        parts = self._parts.get(key)
        if parts is None:
            return np.empty(0, np.int64)
        sealed, tail = parts
        numbers = np.concatenate([*sealed, np.asarray(tail[:], np.int64)])
        return numbers[: int(np.searchsorted(numbers, end))]

    def of_any(self, keys: Sequence[str], end: int) -> np.ndarray:
        """Returns int64[m], the distinct numbers of some keys below `end`, ascending."""
        found = [self.of(key, end) for key in keys]
        return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._parts))

    def __contains__(self, key: object) -> bool:
        return key in self._parts
