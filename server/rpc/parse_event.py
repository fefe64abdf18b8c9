"""Protobuf events to checked ones: those that a request passes along, and those that are to be kept."""

from collections.abc import Iterable, Sequence

from domain.event import Event
from domain.user_history import Caller, SeenRule, UserHistory
from server.rpc.check import Check, RequestLimits
from server.rpc.fixed_limits import (
    EVENT_ID_BYTES,
    HIGHEST_RATING,
    HIGHEST_WEIGHT,
    MOST_QUESTIONS,
    TITLE_BYTES,
    TOKEN_BYTES,
)
from server.users.reading import KINDS, SIGNALS, read_events
from shortlist.v1 import event_pb2
from shortlist.v1 import recommender_pb2 as pb

_TEXT_BYTES = (("event_id", EVENT_ID_BYTES), ("request_id", EVENT_ID_BYTES), ("attribution_token", TOKEN_BYTES))
_YEAR_2000_S = 946_684_800
_CLOCK_SKEW_S = 300.0


def parse_events(events: Sequence[event_pb2.Event], limits: RequestLimits, check: Check) -> tuple[Event, ...]:
    """Checks the events of a request; returns its actions on items."""
    return parse_history(events, limits, check).events


def parse_history(events: Sequence[event_pb2.Event], limits: RequestLimits, check: Check) -> UserHistory:
    """Checks the events of a request."""
    if not check.count(events, limits.max_events, "events"):
        return UserHistory()
    for number, event in enumerate(events):
        _check(event, number, limits, check)
    return read_events(events)


def check_new_events(events: Sequence[event_pb2.Event], limits: RequestLimits, now_s: float) -> None:
    """Checks events that are to be kept.

    Raises:
        InvalidRequest: with one violation for each field out of range, the first 16.
    """
    check = Check()
    check.that(events, "events", "at least one event")
    if check.count(events, limits.max_events, "events"):
        for number, event in enumerate(events):
            _check(event, number, limits, check)
            if event.HasField("time"):
                _check_age(event.time.seconds, number, now_s, check)
    check.raise_any()


def parse_caller(
    request: pb.RecommendRequest
    | event_pb2.RecordEventsRequest
    | event_pb2.GetUserRequest
    | event_pb2.DeleteUserRequest
    | event_pb2.ElicitRequest,
    check: Check,
    *,
    required: bool = True,
) -> Caller | None:
    """Checks who calls; None where nobody is named."""
    field = request.WhichOneof("caller")
    if field is None:
        check.that(not required, "caller", "user_id or session_id must be given")
        return None
    name = getattr(request, field)
    check.item_id(name, field)
    return Caller(name, field == "session_id")


def parse_elicit(request: event_pb2.ElicitRequest, limits: RequestLimits) -> tuple[Caller | None, UserHistory, int]:
    """Checks a question for a question; returns the caller, the answers passed along, and how many items.

    Raises:
        InvalidRequest: a field is out of its range.
    """
    check = Check()
    caller = parse_caller(request, check, required=False)
    passed = parse_history(request.events, limits, check)
    if check.count(request.exclude_item_ids, limits.max_exclusions, "exclude_item_ids"):
        check.ids(request.exclude_item_ids, "exclude_item_ids")
    k = request.k if request.HasField("k") else 1
    check.that(1 <= k <= MOST_QUESTIONS, "k", f"must lie between 1 and {MOST_QUESTIONS}, found {k}")
    check.raise_any()
    return caller, passed, k


def parse_seen_rules(rules: Iterable[pb.SeenRule], check: Check) -> tuple[SeenRule, ...]:
    """Checks the rules by which a kept history is left out."""
    parsed = []
    for number, rule in enumerate(rules):
        kind = KINDS.get(rule.kind)
        where = f"seen_rules[{number}]"
        age_s = rule.max_age_seconds if rule.HasField("max_age_seconds") else None
        check.that(age_s is None or age_s >= 0, f"{where}.max_age_seconds", f"must not be below 0, found {age_s}")
        if check.that(kind is not None, f"{where}.kind", "a kind of action on an item; see EventKind"):
            assert kind is not None
            parsed.append(SeenRule(kind, age_s))
    check.count(parsed, len(KINDS), "seen_rules")
    return tuple(parsed)


def _check(event: event_pb2.Event, number: int, limits: RequestLimits, check: Check) -> None:
    known = event.kind in KINDS or event.kind in SIGNALS
    if not known:
        check.that(False, f"events[{number}].kind", "a kind other than UNSPECIFIED; see EventKind")
    if event.kind == event_pb2.EVENT_KIND_SEARCH:
        check.that(not event.item_id, f"events[{number}].item_id", "a search has no item; leave it out")
        if check.that(event.text, f"events[{number}].text", "what was searched for or said must be given"):
            check.text(event.text, limits.max_text_bytes, f"events[{number}].text")
    else:
        check.item_id(event.item_id, f"events[{number}].item_id")
        if event.text:
            check.that(False, f"events[{number}].text", "only with EVENT_KIND_SEARCH; on an item, it is `comment`")
    if event.comment:
        check.text(event.comment, limits.max_text_bytes, f"events[{number}].comment")
    if event.item_title:
        check.text(event.item_title, TITLE_BYTES, f"events[{number}].item_title")
    if event.HasField("time"):
        check.time(event.time, f"events[{number}].time")
    for field, most in _TEXT_BYTES:
        text = getattr(event, field)
        if text and len(text) * 4 > most:
            size = len(text.encode())
            check.that(size <= most, f"events[{number}].{field}", f"at most {most} bytes, found {size}")
    _check_numbers(event, number, check)


def _check_numbers(event: event_pb2.Event, number: int, check: Check) -> None:
    if event.HasField("weight"):
        fits = 0 < event.weight <= HIGHEST_WEIGHT
        check.that(fits, f"events[{number}].weight", f"above 0 and at most {HIGHEST_WEIGHT:g}, found {event.weight}")
    if event.HasField("rating"):
        fits = 0 <= event.rating <= HIGHEST_RATING
        check.that(fits, f"events[{number}].rating", f"between 0 and {HIGHEST_RATING:g}, found {event.rating}")
    if event.rank < 0:
        check.that(False, f"events[{number}].rank", f"from 1, or 0 for none, found {event.rank}")
    if event.HasField("dwell_time"):
        fits = event.dwell_time.seconds >= 0 and event.dwell_time.nanos >= 0
        check.that(fits, f"events[{number}].dwell_time", "must not be below 0")


def _check_age(seconds: int, number: int, now_s: float, check: Check) -> None:
    if seconds < _YEAR_2000_S:
        check.that(
            False,
            f"events[{number}].time",
            "lies before 2000: seconds since 1970 are expected; leave the time out where it is unknown",
        )
    elif seconds > now_s + _CLOCK_SKEW_S:
        ahead_s = int(seconds - now_s)
        check.that(
            False,
            f"events[{number}].time",
            f"lies {ahead_s:,} s in the future; is the clock right, is it seconds?",
        )
