"""Read histories and lists of shown items, kept by the version of the record that they were read from."""

import asyncio
import time
from collections import OrderedDict

from domain.user_history import UserHistory
from server.users.reading import read_events
from server.users.record import Retention, UserRecord
from shortlist.v1 import event_pb2

_CACHED = 20_000
# What lists showed is up to a megabyte a user.
_CACHED_SHOWN = 500
# Reading so many events takes less than a millisecond.
_INLINE_EVENTS = 200


class ReadRecords:
    """Histories and lists of shown items that were read already, newest use last."""

    def __init__(self, retention: Retention, shown_retention: Retention) -> None:
        """Begins empty.

        Args:
            retention: of events.
            shown_retention: of what lists showed.
        """
        self._retention, self._shown_retention = retention, shown_retention
        self._histories: OrderedDict[bytes, tuple[int, UserHistory]] = OrderedDict()
        self._shown_sets: OrderedDict[bytes, tuple[int, frozenset[str]]] = OrderedDict()

    def drop(self, name: bytes) -> None:
        """Forgets what was read of a record."""
        self._histories.pop(name, None)
        self._shown_sets.pop(name, None)

    def history(self, name: bytes, record: UserRecord | None) -> UserHistory:
        """Returns the history of a record.

        Raises:
            StoreUnavailable: the record is damaged.
        """
        if record is None:
            self._histories.pop(name, None)
            return UserHistory()
        cached = self._histories.get(name)
        if cached is not None and cached[0] == record.version:
            self._histories.move_to_end(name)
            return cached[1]
        history = read_events(self.events(record))
        self._histories[name] = (record.version, history)
        if len(self._histories) > _CACHED:
            self._histories.popitem(last=False)
        return history

    def events(self, record: UserRecord) -> list[event_pb2.Event]:
        """Returns what retention keeps of a record, by time.

        Raises:
            StoreUnavailable: the record is damaged.
        """
        oldest_s = self._retention.oldest_s(time.time())
        events = [event for event in record.read() if event.time.seconds >= oldest_s]
        events.sort(key=lambda event: (event.time.seconds, event.time.nanos))
        return events

    async def shown(self, name: bytes, record: UserRecord | None) -> frozenset[str]:
        """Returns what a record of what lists showed names; a long one is read in a thread.

        Raises:
            DamagedRecord: it cannot be read.
        """
        if record is None:
            return frozenset()
        version, found = self._shown_sets.pop(name, (-1, frozenset()))
        if version != record.version:
            oldest_s = self._shown_retention.oldest_s(time.time())
            if record.count <= _INLINE_EVENTS:
                found = _shown_ids(record, oldest_s)
            else:
                found = await asyncio.to_thread(_shown_ids, record, oldest_s)
        self._shown_sets[name] = (record.version, found)
        if len(self._shown_sets) > _CACHED_SHOWN:
            self._shown_sets.popitem(last=False)
        return found


def _shown_ids(record: UserRecord, oldest_s: float) -> frozenset[str]:
    return frozenset(event.item_id for event in record.read() if event.time.seconds >= oldest_s)
