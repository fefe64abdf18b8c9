"""Every user's events, for exports and reports."""

import time
from collections.abc import AsyncIterator, Sequence

from server.users.pseudonyms import SHOWN_BYTES
from server.users.record import DamagedRecord, seconds
from server.users.settings import EventSettings
from server.users.store import UserStore, tell_damaged
from shortlist.v1 import event_pb2


async def scanned(store: UserStore, settings: EventSettings) -> AsyncIterator[tuple[str, Sequence[event_pb2.Event]]]:
    """Yields each user's pseudonym, 32 hexadecimal digits, and events by time.

    Records of what lists showed are left out, they are not events of the user; damaged ones are told and left out too.
    """
    oldest_s = settings.retention.oldest_s(time.time())
    async for pseudonym, record in store.scan():
        if len(pseudonym) == SHOWN_BYTES:
            continue
        try:
            events = [event for event in record.read() if seconds(event) >= oldest_s]
        except DamagedRecord as error:
            tell_damaged(pseudonym, error)
            continue
        if not events:
            continue
        events.sort(key=seconds)
        yield pseudonym.hex(), events
