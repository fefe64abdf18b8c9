"""One user's record: a blob of events that grows by appending, and the ids that make retries harmless.

A protobuf message of repeated fields may be written in pieces: the bytes of two messages, one after the other, are one
message with the fields of both. So new events are appended to the blob without reading it; it is only read where
retention has something to drop.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from domain.errors import EventConflict, StoreUnavailable
from shortlist.v1 import event_pb2

_DIGEST_BYTES = 8
_ENTRY_BYTES = 2 * _DIGEST_BYTES
# A record is trimmed when it holds this share more than may be kept, so that not every append reads it.
_SLACK = 1.25
_DAY_S = 86_400.0


class DamagedRecord(StoreUnavailable):
    """A record that cannot be read. The others of the store can."""


@dataclass(frozen=True)
class Retention:
    """Limits on what is kept of one user.

    Attributes:
        most_events: actions, the newest stay.
        most_impressions: impressions, the newest stay.
        days: age after which an event is dropped.
    """

    most_events: int = 1_000
    most_impressions: int = 1_000
    days: float = 400.0

    def oldest_s(self, now_s: float) -> float:
        """Returns the time before which nothing is kept, seconds since 1970."""
        return now_s - self.days * _DAY_S

    @property
    def most(self) -> int:
        """Events above which a record is trimmed."""
        return int((self.most_events + self.most_impressions) * _SLACK)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to store.

    Attributes:
        body: bytes of an `event_pb2.Event`, its time set.
        id_digest: 8 bytes of its id; empty without one.
        content_digest: 8 bytes of its content as it was sent.
        time_s: seconds since 1970.
    """

    body: bytes
    id_digest: bytes
    content_digest: bytes
    time_s: float


@dataclass(frozen=True, slots=True)
class UserRecord:
    """The stored events of one user or session.

    Attributes:
        version: grows with every change, across deletion too: microseconds since 1970 at least.
        count: events in `events`.
        oldest_s: time of the oldest event, seconds since 1970.
        ids: 16 bytes for each event with an id: its digest and its content's.
        events: an `event_pb2.GetUserResponse` with events alone.
    """

    version: int = 0
    count: int = 0
    oldest_s: float = 0.0
    ids: bytes = b""
    events: bytes = b""

    def read(self) -> list[event_pb2.Event]:
        """Returns the events in the order in which they came.

        Raises:
            DamagedRecord: it cannot be read.
        """
        try:
            return list(event_pb2.GetUserResponse.FromString(self.events).events)
        except DecodeError as error:
            raise DamagedRecord(
                "what the store of events keeps of this user is damaged; DeleteUser forgets it, a copy of the store "
                "has it"
            ) from error


@dataclass(frozen=True, slots=True)
class Appended:
    """The outcome of an append.

    Attributes:
        record: as it is now.
        recorded: events stored.
        duplicates: events that were kept already.
        expired: events that are older than is kept, and were not stored.
        places: of the events stored, among those given.
    """

    record: UserRecord
    recorded: int
    duplicates: int
    expired: int = 0
    places: tuple[int, ...] = ()


def framed(body: bytes) -> bytes:
    """Returns an event's bytes as a piece of a record's blob."""
    return b"\x0a" + _varint(len(body)) + body


def append(record: UserRecord | None, new: Sequence[NewEvent], retention: Retention, now_s: float) -> Appended:
    """Appends events; those that are kept already, by id and content, are counted only.

    Raises:
        EventConflict: an id is kept with other content; nothing is appended.
    """
    old = record or UserRecord()
    ids = bytearray(old.ids)
    pieces: list[bytes] = []
    conflicts: list[int] = []
    places: list[int] = []
    duplicates, expired, oldest_s = 0, 0, old.oldest_s if old.count else now_s
    for place, event in enumerate(new):
        if event.time_s < retention.oldest_s(now_s):
            expired += 1
            continue
        if event.id_digest:
            at = _find(ids, event.id_digest)
            if at >= 0:
                if ids[at + _DIGEST_BYTES : at + _ENTRY_BYTES] != event.content_digest:
                    conflicts.append(place)
                duplicates += 1
                continue
            ids += event.id_digest + event.content_digest
        pieces.append(framed(event.body))
        places.append(place)
        oldest_s = min(oldest_s, event.time_s)
    if conflicts:
        raise EventConflict(tuple(conflicts))
    if not pieces:
        return Appended(old, 0, duplicates, expired)
    grown = UserRecord(
        _next_version(old, now_s), old.count + len(pieces), oldest_s, bytes(ids), old.events + b"".join(pieces)
    )
    if grown.count > retention.most or oldest_s < retention.oldest_s(now_s):
        grown = trimmed(grown, retention, now_s)
    return Appended(grown, len(pieces), duplicates, expired, tuple(places))


def trimmed(record: UserRecord, retention: Retention, now_s: float) -> UserRecord:
    """Returns a record without what retention drops; its events then stand in the order of their times.

    Raises:
        DamagedRecord: see `UserRecord.read`.
    """
    oldest_s = retention.oldest_s(now_s)
    events = [event for event in record.read() if seconds(event) >= oldest_s]
    events.sort(key=seconds)
    left = {True: retention.most_impressions, False: retention.most_events}
    kept = []
    for event in reversed(events):
        is_impression = event.kind == event_pb2.EVENT_KIND_IMPRESSION
        if left[is_impression] > 0:
            left[is_impression] -= 1
            kept.append(event)
    kept.reverse()
    digests = {record.ids[at : at + _DIGEST_BYTES]: record.ids[at : at + _ENTRY_BYTES] for at in _places(record.ids)}
    ids = b"".join(digests.get(id_digest(event.event_id), b"") for event in kept if event.event_id)
    return UserRecord(
        # What was read of the record before it lost something is not what is kept now.
        version=record.version + (len(kept) < record.count),
        count=len(kept),
        oldest_s=seconds(kept[0]) if kept else now_s,
        ids=ids,
        events=b"".join(framed(event.SerializeToString()) for event in kept),
    )


def merged(source: UserRecord, target: UserRecord | None, retention: Retention, now_s: float) -> Appended:
    """Returns the target with the source's events; those that both have under one id count once."""
    old = target or UserRecord()
    ids, pieces, duplicates = bytearray(old.ids), [], 0
    digests = {source.ids[at : at + _DIGEST_BYTES]: source.ids[at : at + _ENTRY_BYTES] for at in _places(source.ids)}
    for event in source.read():
        digest = id_digest(event.event_id) if event.event_id else b""
        if digest and _find(ids, digest) >= 0:
            duplicates += 1
            continue
        ids += digests.get(digest, b"")
        pieces.append(framed(event.SerializeToString()))
    oldest_s = min(source.oldest_s, old.oldest_s) if old.count else source.oldest_s
    grown = UserRecord(
        _next_version(old, now_s), old.count + len(pieces), oldest_s, bytes(ids), old.events + b"".join(pieces)
    )
    return Appended(trimmed(grown, retention, now_s), len(pieces), duplicates)


def id_digest(event_id: str) -> bytes:
    """Returns the 8 bytes that stand for an event's id."""
    return hashlib.blake2b(event_id.encode(), digest_size=_DIGEST_BYTES).digest()


def seconds(event: event_pb2.Event) -> float:
    """Returns an event's time, seconds since 1970."""
    return float(event.time.seconds + event.time.nanos / 1e9)


def _next_version(old: UserRecord, now_s: float) -> int:
    return max(old.version + 1, int(now_s * 1e6))


def _places(ids: bytes) -> range:
    return range(0, len(ids), _ENTRY_BYTES)


def _find(ids: bytearray, digest: bytes) -> int:
    at = ids.find(digest)
    while at >= 0 and at % _ENTRY_BYTES:
        at = ids.find(digest, at + 1)
    return at


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
