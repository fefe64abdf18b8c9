"""A tap of the catalogue's changes: what the writer decides, kept for one reader."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from server.catalogue.change import Change

MOST_KEPT = 100_000
MOST_KEPT_BYTES = 256 << 20

_Opened = TypeVar("_Opened")


class ChangeTap:
    """Changes for one reader, each with its number; the writer adds, the reader takes.

    Attributes:
        after: the number of the last change that the reader knows already.
        overflowed: whether the reader took too long, so that changes are missing: it must begin again.
    """

    def __init__(self, most_kept: int = MOST_KEPT, most_bytes: int = MOST_KEPT_BYTES) -> None:
        self.after = 0
        self.overflowed = False
        self._most_kept = most_kept
        self._most_bytes = most_bytes
        self._kept: deque[tuple[int, Change, int]] = deque()
        # Each has one thread that writes it.
        self._added_bytes = self._taken_bytes = 0

    def add(self, first_number: int, changes: Sequence[Change], sizes: Sequence[int]) -> None:
        """Keeps changes that follow one another, with their bytes in the log; for the writer."""
        self._added_bytes += sum(sizes)
        too_many = len(self._kept) + len(changes) > self._most_kept
        if too_many or self._added_bytes - self._taken_bytes > self._most_bytes:
            self.overflowed = True
        if self.overflowed:
            self._kept.clear()
            return
        numbers = range(first_number, first_number + len(changes))
        self._kept.extend(zip(numbers, changes, sizes, strict=True))

    def take(self) -> list[tuple[int, Change]]:
        """Returns the changes that came since the last call, with their numbers."""
        taken: list[tuple[int, Change]] = []
        for _ in range(len(self._kept)):
            try:
                number, change, size = self._kept.popleft()
            except IndexError:  # the writer dropped them meanwhile
                break
            self._taken_bytes += size
            if number > self.after:
                taken.append((number, change))
        return taken


class Taps:
    """The open taps. Whoever opens or closes one does so in a thread of their own; the writer reads."""

    def __init__(self) -> None:
        self._open: tuple[ChangeTap, ...] = ()
        self._guard = threading.Lock()

    def __iter__(self) -> Iterator[ChangeTap]:
        return iter(self._open)

    @contextmanager
    def opened(self) -> Iterator[ChangeTap]:
        """Gives a tap of the changes from now on, which stays open where the block ends without an error."""
        tap = ChangeTap()
        with self._guard:
            self._open = (*self._open, tap)
        try:
            yield tap
        except BaseException:
            self.close(tap)
            raise

    def close(self, tap: ChangeTap) -> None:
        """Keeps no more changes for a tap."""
        with self._guard:
            self._open = tuple(one for one in self._open if one is not tap)


class Tapped(Protocol):
    """Place that taps are opened in."""

    def open_tap(self) -> tuple[dict[str, Change], ChangeTap]:
        """Returns the states up to this moment, and a tap of the changes after it; blocking."""

    def close_tap(self, tap: ChangeTap) -> None:
        """Keeps no more changes for a tap."""


async def opened_tap(store: Tapped) -> tuple[dict[str, Change], ChangeTap]:
    """Returns what `open_tap` does, from a thread; where the caller is cancelled, the tap is closed after all."""
    opening = asyncio.ensure_future(asyncio.to_thread(store.open_tap))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        close_once_open(store, opening, lambda found: found[1])
        raise


def close_once_open(store: Tapped, opening: "asyncio.Future[_Opened]", tap_of: Callable[[_Opened], ChangeTap]) -> None:
    """Closes a tap that a thread may still be opening.

    Args:
        store: of the tap.
        opening: has what was opened; must not be cancelled.
        tap_of: returns the tap of what was opened.
    """

    def close(_: object) -> None:
        if not opening.cancelled() and opening.exception() is None:
            store.close_tap(tap_of(opening.result()))

    opening.add_done_callback(close)
