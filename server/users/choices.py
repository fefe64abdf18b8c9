"""Counts of choices from the records of a store. Slow on purpose: requests come first."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.retrieval.choice_counts import ChoiceCounts
from domain.event import disliked_items
from server.users.pseudonyms import SHOWN_BYTES
from server.users.reading import read_events
from server.users.record import DamagedRecord, UserRecord
from server.users.store import RecordVersion, UserStore

# Users counted between two pauses, and how much longer a pause is than the counting.
_USERS = 50
_PAUSE = 3.0
_MOST_BYTES = 64 * 1024 * 1024
# Roughly what Python adds to the bytes of a user's entry, and to those of an item's id.
_ENTRY_BYTES = 250
_ID_BYTES = 180
_NUMBER, _TIME = np.dtype(np.int32), np.dtype(np.float64)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A user's choices: int32 item numbers, then float64 times of the same count."""

    version: int
    content: bytes

    @property
    def numbers(self) -> np.ndarray:
        return np.frombuffer(self.content, _NUMBER, self._count)

    @property
    def times_s(self) -> np.ndarray:
        return np.frombuffer(self.content, _TIME, offset=_NUMBER.itemsize * self._count)

    @property
    def _count(self) -> int:
        return len(self.content) // (_NUMBER.itemsize + _TIME.itemsize)


class ChoiceReader:
    """Counts the choices of all users, and reads only records that changed since it last did.

    What it read of a user stays in memory, under the pseudonym, until their record changes or is gone; beyond a number
    of bytes users are read each time. The counts are always those of a whole reading. Belongs to one event loop.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        """Begins with nothing read.

        Args:
            most_bytes: of what was read that are kept, about.
        """
        self._most_bytes = most_bytes
        self._reading = asyncio.Lock()
        self._kept: dict[bytes, _Kept] = {}
        self._next: dict[bytes, _Kept] = {}
        self._next_bytes = 0
        self._item_ids: list[str] = []
        self._numbers: dict[str, int] = {}
        self._id_bytes = 0

    async def counted(self, store: UserStore, since_s: float, oldest_s: float) -> ChoiceCounts:
        """Returns the choices of all users; takes about a quarter of a processor while it runs.

        An item counts once a user, by the first event on it, as in training; what is disliked does not count.

        Args:
            store: that is read, always the same.
            since_s: choices made before make pairs with later ones only, seconds since 1970.
            oldest_s: events before are not kept any more.

        Raises:
            StoreUnavailable: see `UserStore.versions`.
        """
        async with self._reading:
            self._begin()
            counts = ChoiceCounts()
            async for page in store.versions():
                users = [one for one in page if len(one.pseudonym) != SHOWN_BYTES]
                for start in range(0, len(users), _USERS):
                    part = users[start : start + _USERS]
                    names = [one.pseudonym for one in part if not self._knows(one, oldest_s)]
                    read = dict(zip(names, await store.read(names), strict=True)) if names else {}
                    started_s = time.monotonic()
                    await asyncio.to_thread(self._add, counts, part, read, since_s, oldest_s)
                    await asyncio.sleep(_PAUSE * (time.monotonic() - started_s))
            self._kept, self._next = self._next, {}
            return counts

    def forget(self, pseudonym: bytes) -> None:
        """Drops what was read of a user."""
        self._kept.pop(pseudonym, None)
        self._next.pop(pseudonym, None)

    def _begin(self) -> None:
        self._next, self._next_bytes = {}, 0
        if self._id_bytes > self._most_bytes // 2:
            # Ids of items that no user has any more stand among them.
            self._kept, self._item_ids, self._numbers, self._id_bytes = {}, [], {}, 0

    def _knows(self, user: RecordVersion, oldest_s: float) -> bool:
        kept = self._kept.get(user.pseudonym)
        return kept is not None and kept.version == user.version and _is_whole(user.oldest_s, oldest_s)

    def _add(
        self,
        counts: ChoiceCounts,
        users: Sequence[RecordVersion],
        read: Mapping[bytes, UserRecord | None],
        since_s: float,
        oldest_s: float,
    ) -> None:
        for user in users:
            name = user.pseudonym
            if name in read:
                record = read[name]
                if record is None:
                    continue
                try:
                    first = _first_choices(record, oldest_s)
                except DamagedRecord:
                    continue  # whoever reads it for its user tells of it
                counts.add(list(first), [time_s > since_s for time_s in first.values()])
                if _is_whole(record.oldest_s, oldest_s):
                    self._keep(name, record.version, first)
            elif (kept := self._kept.get(name)) is not None:
                item_ids = [self._item_ids[number] for number in kept.numbers.tolist()]
                counts.add(item_ids, (kept.times_s > since_s).tolist())
                self._carry(name, kept)

    def _keep(self, name: bytes, version: int, first: Mapping[str, float]) -> None:
        """Keeps what was read of a user, where there is room."""
        new_bytes = sum(_ID_BYTES + len(item_id) for item_id in first if item_id not in self._numbers)
        if not self._has_room(new_bytes + _entry_bytes(name, len(first))):
            return
        for item_id in first:
            if item_id not in self._numbers:
                self._numbers[item_id] = len(self._item_ids)
                self._item_ids.append(item_id)
        self._id_bytes += new_bytes
        numbers = np.fromiter((self._numbers[item_id] for item_id in first), _NUMBER, len(first))
        times_s = np.fromiter(first.values(), _TIME, len(first))
        self._carry(name, _Kept(version, numbers.tobytes() + times_s.tobytes()))

    def _carry(self, name: bytes, kept: _Kept) -> None:
        size = _entry_bytes(name, len(kept.numbers))
        if self._has_room(size):
            self._next[name] = kept
            self._next_bytes += size

    def _has_room(self, size: int) -> bool:
        return self._next_bytes + self._id_bytes + size <= self._most_bytes


def _entry_bytes(name: bytes, count: int) -> int:
    return _ENTRY_BYTES + len(name) + (_NUMBER.itemsize + _TIME.itemsize) * count


def _is_whole(record_oldest_s: float, oldest_s: float) -> bool:
    """Returns whether every event of a record is young enough; of others, what counts depends on the time."""
    return int(record_oldest_s) >= oldest_s


def _first_choices(record: UserRecord, oldest_s: float) -> dict[str, float]:
    """Returns the time of a user's first event on each item, oldest first, without disliked items.

    Raises:
        DamagedRecord: see `UserRecord.read`.
    """
    history = read_events(event for event in record.read() if event.time.seconds >= oldest_s)
    disliked = disliked_items(history.events)
    first: dict[str, float] = {}
    for event in history.events:
        if event.item_id and event.item_id not in disliked:
            first.setdefault(event.item_id, event.time_s or 0.0)
    return first
