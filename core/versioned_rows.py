"""Versions of rows: entries that come one after another, each the new state of one row.

One thread appends. A reader sees the entries below a number, whatever is appended meanwhile, and needs no copy.
"""

import threading
from dataclasses import dataclass, field

import numpy as np

from core.growing import GrowingArray

_NEVER = np.iinfo(np.int64).max


class VersionedRows:
    """Entries by row. Rows of a base without an entry are as they were."""

    def __init__(self, base_count: int) -> None:
        """Begins without entries, over the rows of a base."""
        self.base_count = base_count
        self.rows = GrowingArray((), np.int64)
        self.previous = GrowingArray((), np.int64)
        self.superseded_by = GrowingArray((), np.int64)
        self.is_dead = GrowingArray((), np.bool_)
        self.latest = GrowingArray((), np.int64, base_count)
        self.latest.append(np.full(base_count, -1, np.int64))
        self.changed_base_count = 0

    def __len__(self) -> int:
        return len(self.rows)

    def append(self, row: int, *, dead: bool = False) -> int:
        """Appends an entry, which becomes the row's latest, and returns its number.

        Args:
            row: may be a new one, then the one after the last.
            dead: whether the row has nothing from now on.
        """
        entry = len(self.rows)
        if row >= len(self.latest):
            self.latest.append(np.full(row + 1 - len(self.latest), -1, np.int64))
        before = int(self.latest.array[row])
        self.rows.append(np.asarray([row]))
        self.previous.append(np.asarray([before]))
        self.superseded_by.append(np.asarray([_NEVER]))
        self.is_dead.append(np.asarray([dead]))
        if before >= 0:
            self.superseded_by.array[before] = entry
        elif row < self.base_count:
            self.changed_base_count += 1
        # Last: a reader that sees it finds the arrays above long enough.
        self.latest.array[row] = entry
        return entry

    def superseded(self, since: int, end: int) -> np.ndarray:
        """Returns int64[m], the entries in whose place others came, of those from `since` on and below `end`."""
        by = self.superseded_by.array[:end]
        found: np.ndarray = np.flatnonzero((by >= since) & (by < end))
        return found

    def view(self, row_count: int) -> "RowsView":
        """Returns the versions of this moment."""
        return RowsView(self, len(self.rows), row_count, self.changed_base_count)


@dataclass(frozen=True)
class RowsView:
    """The versions of one moment. Any thread may ask.

    Attributes:
        versions: that go on growing.
        end: entries are those below.
        row_count: rows of the catalogue.
        changed_count: rows of the base that have an entry.
    """

    versions: VersionedRows
    end: int
    row_count: int
    changed_count: int

    def entries_of(self, rows: np.ndarray) -> np.ndarray:
        """Returns int64[m], the latest entry of rows below `row_count`, -1 for none."""
        entries: np.ndarray = self.versions.latest.array[rows]
        while (late := entries >= self.end).any():
            entries = np.where(late, self.versions.previous.array[np.where(late, entries, 0)], entries)
        return entries

    def alive(self, entries: np.ndarray) -> np.ndarray:
        """Returns those of int64[m] entries that are their row's latest and not dead."""
        current = self.versions.superseded_by.array[entries] >= self.end
        kept: np.ndarray = entries[current & ~self.versions.is_dead.array[entries]]
        return kept

    def every_alive(self) -> np.ndarray:
        """Returns int64[m], all entries that are their row's latest and not dead, ascending."""
        return self.alive(np.arange(self.end))

    def rows_of_entries(self, entries: np.ndarray) -> np.ndarray:
        """Returns int64[m]."""
        rows: np.ndarray = self.versions.rows.array[entries]
        return rows


@dataclass
class RowMask:
    """A truth value by row, which entries change; computed for a moment when it is asked for.

    Attributes:
        base: bool[n], of the base's rows.
        values: bool by entry.
    """

    base: np.ndarray
    values: GrowingArray = field(default_factory=lambda: GrowingArray((), np.bool_))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _end: int = 0
    _mask: np.ndarray | None = None

    def at(self, view: RowsView) -> np.ndarray:
        """Returns bool[row_count]; to be read only."""
        with self._lock:
            known_end, known = self._end, self._mask
        if known is None or known_end > view.end:
            known_end, known = 0, self.base
        if known_end == view.end and len(known) == view.row_count:
            return known
        mask = np.ones(view.row_count, bool)
        mask[: min(len(known), view.row_count)] = known[: view.row_count]
        added = slice(known_end, view.end)
        # Of several entries of a row the last one stays.
        mask[view.versions.rows.array[added]] = self.values.array[added]
        with self._lock:
            if view.end >= self._end:
                self._end, self._mask = view.end, mask
        return mask
