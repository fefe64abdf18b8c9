"""The results of the calls about events and users."""

from dataclasses import dataclass
from datetime import datetime

from shortlist.requests import Event


@dataclass(frozen=True, slots=True)
class Recorded:
    """The acknowledgement of events.

    Attributes:
        recorded_count: how many were stored.
        duplicate_count: how many were kept already.
        event_token: for `recommend`, which then counts at least these events.
        durable: whether they survive the loss of power.
        unknown_item_ids: items that the live release does not have, the first 100.
        expired_count: how many were not stored since they are older than the gateway keeps events.
    """

    recorded_count: int
    duplicate_count: int
    event_token: str
    durable: bool
    unknown_item_ids: tuple[str, ...]
    expired_count: int = 0


@dataclass(frozen=True, slots=True)
class Merged:
    """The acknowledgement of a login.

    Attributes:
        merged_count: events that the user got; 0 where the session had none, or was merged before.
        event_token: for `recommend`, which then counts at least these events.
    """

    merged_count: int
    event_token: str


@dataclass(frozen=True, slots=True)
class RecordedStream:
    """The acknowledgement of a stream of events.

    Attributes:
        recorded_count: how many events were stored.
        duplicate_count: how many were kept already.
        request_count: messages that the gateway read.
        event_token: for `recommend`.
        durable: whether they survive the loss of power.
        expired_count: how many were not stored since they are older than the gateway keeps events.
    """

    recorded_count: int
    duplicate_count: int
    request_count: int
    event_token: str
    durable: bool
    expired_count: int = 0


@dataclass(frozen=True, slots=True)
class StoredUser:
    """The stored events of a user or session.

    Attributes:
        events: by time, texts masked.
        found: whether anything is kept.
        shown_count: items remembered for `without_repeats`.
        updated: when something was last stored; None where nothing is kept.
    """

    events: tuple[Event, ...]
    found: bool
    shown_count: int
    updated: datetime | None


@dataclass(frozen=True, slots=True)
class ElicitedItem:
    """An item to ask a new caller about.

    Attributes:
        id: the item's id.
        title: its title.
        expected_gain: share of what is unknown of the caller's taste that an answer settles, 0 to 1.
    """

    id: str
    title: str
    expected_gain: float
