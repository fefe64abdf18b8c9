"""The history of a user: actions, statements, and what lists showed them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from domain.event import Event, EventKind, in_order

# Statements that count: the last ones, as each is one more thing to encode.
STATEMENTS = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """A user or session.

    Attributes:
        id: as the caller gave it.
        is_session: whether it is a session's.
    """

    id: str
    is_session: bool = False


@dataclass(frozen=True, slots=True)
class SeenRule:
    """Rule that leaves out what a user did something with.

    Attributes:
        kind: of the event.
        max_age_s: how long ago it may lie, in seconds; None for any age, 0 for never.
    """

    kind: EventKind
    max_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Impression:
    """Showing of an item.

    Attributes:
        item_id: the item.
        time_s: when, seconds since 1970.
    """

    item_id: str
    time_s: float


@dataclass(frozen=True)
class UserHistory:
    """The history of a user.

    Attributes:
        events: actions on items, oldest first.
        statements: what the user searched for or said, oldest first, the last few.
        impressions: showings of items, oldest first.
    """

    events: tuple[Event, ...] = ()
    statements: tuple[str, ...] = ()
    impressions: tuple[Impression, ...] = ()

    def joined(self, others: "UserHistory") -> "UserHistory":
        """Returns both histories as one; an event that both have under one id counts once."""
        ids = {event.event_id for event in self.events if event.event_id}
        new = tuple(event for event in others.events if event.event_id not in ids)
        statements = (*self.statements, *others.statements)[-STATEMENTS:]
        return UserHistory(in_order(self.events + new), statements, self.impressions + others.impressions)

    def seen(self, rules: Iterable[SeenRule], now_s: float) -> frozenset[str]:
        """Returns the ids of items that rules leave out."""
        oldest: dict[EventKind, float] = {}
        for rule in rules:
            since_s = float("-inf") if rule.max_age_s is None else now_s - rule.max_age_s
            if rule.max_age_s is None or rule.max_age_s > 0:
                oldest[rule.kind] = min(since_s, oldest.get(rule.kind, float("inf")))
        return frozenset(
            event.item_id
            for event in self.events
            if event.kind in oldest and (event.time_s is None or event.time_s >= oldest[event.kind])
        )

    def ignored(self, since_s: float) -> Mapping[str, int]:
        """Returns how often items were shown since then, by id, of those that the user never did anything with."""
        touched = {event.item_id for event in self.events}
        return Counter(one.item_id for one in self.impressions if one.time_s >= since_s and one.item_id not in touched)
