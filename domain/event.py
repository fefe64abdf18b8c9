"""Events: actions of users on items."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class EventKind(StrEnum):
    """Kind of event. The values are the words of event files."""

    VIEW = "view"
    CLICK = "click"
    LIKE = "like"
    FAVOURITE = "favourite"
    CART = "cart"
    BUY = "buy"
    PLAY = "play"
    FINISH = "finish"
    SHARE = "share"
    COMMENT = "comment"
    DISLIKE = "dislike"


# Looking at an item, or talking about it, does not say whether it is liked: neither takes a dislike back.
_SAY_NEITHER = frozenset({EventKind.VIEW, EventKind.CLICK, EventKind.COMMENT})


@dataclass(frozen=True, slots=True)
class Event:
    """Action of a user on an item.

    Attributes:
        item_id: the item.
        kind: what was done.
        time_s: when, seconds since 1970 UTC; None sorts after every known time, in the order given.
        comment: what the user said about it; may be empty.
        item_title: title of an item that the catalogue may not have; may be empty.
        event_id: makes it the same event wherever it comes from; may be empty.
        weight: how much it counts beside others of its kind, above 0.
    """

    item_id: str
    kind: EventKind
    time_s: float | None = None
    comment: str = ""
    item_title: str = ""
    event_id: str = ""
    weight: float = 1.0


def in_order(events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Returns the events oldest first; equal times keep the order given."""
    return tuple(sorted(events, key=lambda event: (event.time_s is None, event.time_s or 0.0)))


def disliked_items(events: Iterable[Event]) -> frozenset[str]:
    """Returns the ids of the items of which the last word is a dislike.

    Views, clicks and comments are not such a word: only a like, a purchase or another choice takes a dislike back.

    Args:
        events: oldest first.
    """
    last = {event.item_id: event.kind for event in events if event.kind not in _SAY_NEITHER}
    return frozenset(item_id for item_id, kind in last.items() if kind is EventKind.DISLIKE)
