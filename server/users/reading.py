"""Events of the contract as a user's history: the same for what is kept and for what a request passes along."""

from collections.abc import Iterable

from domain.event import Event, EventKind, in_order
from domain.user_history import STATEMENTS, Impression, UserHistory
from shortlist.v1 import event_pb2

KINDS = {getattr(event_pb2, f"EVENT_KIND_{kind.name}"): kind for kind in EventKind}
# Kinds that are not an action on an item.
SIGNALS = frozenset({event_pb2.EVENT_KIND_IMPRESSION, event_pb2.EVENT_KIND_NOT_HELPFUL, event_pb2.EVENT_KIND_SEARCH})
# Ratings below count as a dislike, of 5.
DISLIKED_BELOW = 2.5
# Who stays this long with an item looked at it in full; a moment counts this share.
_FULL_DWELL_S = 30.0
_LEAST_DWELL_SHARE = 0.2
_DWELLS = frozenset({EventKind.VIEW, EventKind.CLICK, EventKind.PLAY})


def read_events(messages: Iterable[event_pb2.Event]) -> UserHistory:
    """Returns checked events as a history; those without a time come last, in the order given."""
    actions: list[Event] = []
    statements: list[tuple[float, str]] = []
    impressions: list[Impression] = []
    for message in messages:
        kind = KINDS.get(message.kind)
        time_s = message.time.seconds + message.time.nanos / 1e9 if message.HasField("time") else None
        if kind is not None:
            actions.append(_action(message, kind, time_s))
        elif message.kind == event_pb2.EVENT_KIND_SEARCH and message.text:
            statements.append((float("inf") if time_s is None else time_s, message.text))
        elif message.kind == event_pb2.EVENT_KIND_IMPRESSION:
            impressions.append(Impression(message.item_id, float("inf") if time_s is None else time_s))
    statements.sort(key=lambda one: one[0])
    impressions.sort(key=lambda one: one.time_s)
    return UserHistory(
        in_order(tuple(actions)), tuple(text for _, text in statements[-STATEMENTS:]), tuple(impressions)
    )


def _action(message: event_pb2.Event, kind: EventKind, time_s: float | None) -> Event:
    weight = message.weight if message.HasField("weight") else 1.0
    if message.HasField("rating"):
        if message.rating < DISLIKED_BELOW:
            kind = EventKind.DISLIKE
        elif kind is not EventKind.DISLIKE:
            weight *= message.rating / 5.0
    if kind in _DWELLS and message.HasField("dwell_time"):
        dwell_s = message.dwell_time.seconds + message.dwell_time.nanos / 1e9
        weight *= max(_LEAST_DWELL_SHARE, min(1.0, dwell_s / _FULL_DWELL_S))
    return Event(message.item_id, kind, time_s, message.comment, message.item_title, message.event_id, weight)
