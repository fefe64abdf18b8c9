"""Protobuf requests to checked domain requests: the one place where input is validated."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from domain.condition import AnyOf, Condition, Equals, Range, TimeRange
from domain.errors import FieldViolation, InvalidRequest, NotServed
from domain.event import Event, EventKind
from domain.interpretation import TextInterpretation
from domain.item import ID_LIMIT_BYTES, AttributeType
from domain.recommendation import DEFAULT_PERSONALIZATION, ItemMask, RecommendQuery
from domain.text import is_visible
from domain.timestamp import FIRST_SECOND, LAST_SECOND
from server.rpc.page_token import read_page_token
from shortlist.v1 import event_pb2, filter_pb2, interpretation_pb2
from shortlist.v1 import recommender_pb2 as pb

_KINDS = {getattr(event_pb2, f"EVENT_KIND_{kind.name}"): kind for kind in EventKind}
_ENCODINGS = frozenset(pb.HistoryEncoding.values())
_INTERPRETATIONS = {
    interpretation_pb2.TEXT_INTERPRETATION_UNSPECIFIED: TextInterpretation.PREFER,
    **{getattr(interpretation_pb2, f"TEXT_INTERPRETATION_{use.name}"): use for use in TextInterpretation},
}
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_LANGUAGE_LIMIT = 35
_MASK_FIELDS = frozenset({"title", "text", "available", "attributes"})
_TITLE_LIMIT_BYTES = 1024
# A status travels in the trailing metadata, of which gRPC allows 8 KiB, and holds each violation twice.
_MOST_VIOLATIONS = 16


@dataclass(frozen=True)
class RequestLimits:
    """Limits of one request, named as in the settings."""

    default_k: int
    max_k: int
    max_text_bytes: int
    max_events: int
    max_item_ids: int
    max_exclusions: int
    max_candidates: int
    max_conditions: int
    max_condition_values: int
    max_batch_requests: int
    max_batch_items: int
    max_embed_texts: int


class Check:
    """The first violations of a request, so that a caller gets all of them at once."""

    def __init__(self) -> None:
        self._violations: list[FieldViolation] = []

    def that(self, holds: object, field: str, description: str) -> bool:
        """Notes a violation where something does not hold; returns whether it does."""
        if not holds and len(self._violations) < _MOST_VIOLATIONS:
            self._violations.append(FieldViolation(field, description))
        return bool(holds)

    def count(self, values: object, most: int, field: str) -> bool:
        """Checks a number of entries."""
        count = len(values)  # type: ignore[arg-type]
        return self.that(count <= most, field, f"at most {most:,} entries, found {count:,}")

    def text(self, text: str, most_bytes: int, field: str) -> None:
        """Checks a text."""
        size = len(text.encode())
        self.that(size <= most_bytes, field, f"at most {most_bytes:,} bytes of UTF-8, found {size:,}")
        self.that(is_visible(text), field, "must not be blank; leave the field out instead")
        self.that("\0" not in text, field, "must not hold NUL")

    def time(self, time: Timestamp, field: str) -> bool:
        """Checks a time."""
        fits = 0 <= time.nanos < 1_000_000_000 and FIRST_SECOND <= time.seconds <= LAST_SECOND
        return self.that(fits, field, "must be a valid Timestamp (years 1 to 9999)")

    def share(self, value: float, field: str) -> None:
        """Checks a number from 0 to 1."""
        self.that(0 <= value <= 1, field, f"must lie between 0 and 1, found {value}")

    def item_id(self, item_id: str, field: str) -> bool:
        """Checks an id."""
        # A character has at most four bytes, so short ids need no encoding.
        fits = item_id and (4 * len(item_id) <= ID_LIMIT_BYTES or len(item_id.encode()) <= ID_LIMIT_BYTES)
        return self.that(fits, field, f"an id has 1 to {ID_LIMIT_BYTES} bytes")

    def ids(self, ids: Iterable[str], field: str) -> None:
        """Checks until the first bad id: thousands of equal violations help nobody."""
        for number, item_id in enumerate(ids):
            if not self.item_id(item_id, f"{field}[{number}]"):
                return

    def raise_any(self) -> None:
        """Raises InvalidRequest with all violations, if any."""
        if self._violations:
            raise InvalidRequest(*self._violations)


def parse_recommend(
    request: pb.RecommendRequest, limits: RequestLimits, attribute_types: Mapping[str, AttributeType]
) -> RecommendQuery:
    """Checks a request.

    Args:
        request: as it arrived.
        limits: the gateway's.
        attribute_types: of the live release, for the field mask.

    Raises:
        InvalidRequest: with one violation for each field out of range, the first 16.
        NotServed: a field that this gateway does not serve yet.
    """
    check = Check()
    if request.event_token:
        raise NotServed("event_token", "this gateway keeps no events yet; pass them along in `events`")
    for field in ("user_id", "session_id"):
        if request.HasField(field):
            check.item_id(getattr(request, field), field)
    if request.HasField("text"):
        check.text(request.text, limits.max_text_bytes, "text")
    candidates = request.candidate_item_ids
    k = asked_count(request, limits)
    check.that(1 <= k <= limits.max_k, "k", f"must lie between 1 and {limits.max_k:,}, found {k}")
    check.that(request.history_encoding in _ENCODINGS, "history_encoding", "unknown value; see HistoryEncoding")
    events = parse_events(request.events, limits, check)
    for values, most, field in (
        (request.item_ids, limits.max_item_ids, "item_ids"),
        (request.exclude_item_ids, limits.max_exclusions, "exclude_item_ids"),
        (candidates, limits.max_candidates, "candidate_item_ids"),
    ):
        if check.count(values, most, field):
            check.ids(values, field)
    check.that(len(set(candidates)) == len(candidates), "candidate_item_ids", "an id must not be given twice")
    conditions = _conditions(request.conditions, "conditions", limits, check)
    preferences = _conditions(request.preferences, "preferences", limits, check)
    for field in ("personalization", "min_relevance"):
        if request.HasField(field):
            check.share(getattr(request, field), field)
    interpretation = _INTERPRETATIONS.get(request.interpretation)
    check.that(interpretation is not None, "interpretation", "unknown value; see TextInterpretation")
    if request.language:
        fits = len(request.language) <= _LANGUAGE_LIMIT and _LANGUAGE.fullmatch(request.language)
        check.that(fits, "language", 'a BCP 47 tag such as "en" or "zh-Hans"')
    mask = _item_mask(request.item_mask.paths, attribute_types, check)
    check.raise_any()
    return RecommendQuery(
        text=request.text,
        events=events,
        item_ids=tuple(request.item_ids),
        tell_history=request.history_encoding == pb.HISTORY_ENCODING_TEXT,
        exclude_item_ids=tuple(request.exclude_item_ids),
        conditions=conditions,
        k=k,
        explain=request.explain,
        item_mask=mask,
        include_seen=request.include_seen,
        personalization=request.personalization if request.HasField("personalization") else DEFAULT_PERSONALIZATION,
        interpretation=interpretation or TextInterpretation.PREFER,
        preferences=preferences,
        min_relevance=request.min_relevance if request.HasField("min_relevance") else None,
        candidate_item_ids=tuple(candidates),
        page=read_page_token(request),
        language=request.language,
        exact_spelling=request.exact_spelling,
    )


def asked_count(request: pb.RecommendRequest, limits: RequestLimits) -> int:
    """Returns how many items a request asks for, not checked."""
    if request.HasField("k"):
        return int(request.k)
    return len(request.candidate_item_ids) or limits.default_k


def parse_batch(request: pb.BatchRecommendRequest, limits: RequestLimits) -> None:
    """Checks the size of a batch; its entries are checked one by one.

    Raises:
        InvalidRequest: it is empty or too large, or asks for too many items in all.
    """
    check = Check()
    check.that(request.requests, "requests", "at least one request")
    if check.count(request.requests, limits.max_batch_requests, "requests"):
        # An entry whose own k is out of range fails without work.
        counts = (asked_count(entry, limits) for entry in request.requests)
        total = sum(count for count in counts if 1 <= count <= limits.max_k)
        most = limits.max_batch_items
        check.that(
            total <= most,
            "requests",
            f"the entries ask for {total:,} items in all, at most {most:,} a call; send fewer entries or a smaller k",
        )
    check.raise_any()


def parse_events(events: Iterable[event_pb2.Event], limits: RequestLimits, check: Check) -> tuple[Event, ...]:
    """Checks the events of a request."""
    if not check.count(events, limits.max_events, "events"):
        return ()
    parsed = []
    for number, event in enumerate(events):
        where = f"events[{number}]"
        check.item_id(event.item_id, f"{where}.item_id")
        known = check.that(event.kind in _KINDS, f"{where}.kind", "a kind other than UNSPECIFIED; see EventKind")
        if event.comment:
            check.text(event.comment, limits.max_text_bytes, f"{where}.comment")
        if event.item_title:
            check.text(event.item_title, _TITLE_LIMIT_BYTES, f"{where}.item_title")
        time_s = None
        if event.HasField("time") and check.time(event.time, f"{where}.time"):
            time_s = event.time.seconds + event.time.nanos / 1e9
        if known:
            parsed.append(Event(event.item_id, _KINDS[event.kind], time_s, event.comment, event.item_title))
    return tuple(parsed)


def _conditions(
    conditions: Iterable[filter_pb2.AttributeCondition], field: str, limits: RequestLimits, check: Check
) -> tuple[Condition, ...]:
    if not check.count(conditions, limits.max_conditions, field):
        return ()
    parsed = []
    for number, condition in enumerate(conditions):
        test = _test(condition, limits, check, f"{field}[{number}]")
        if test is not None:
            parsed.append(Condition(condition.attribute, test, condition.negate))
    return tuple(parsed)


def _test(
    condition: filter_pb2.AttributeCondition, limits: RequestLimits, check: Check, where: str
) -> AnyOf | Range | TimeRange | Equals | None:
    kind = condition.WhichOneof("test")
    if kind == "any_of":
        values = condition.any_of.values
        check.that(values, f"{where}.any_of.values", "at least one value")
        check.count(values, limits.max_condition_values, f"{where}.any_of.values")
        return AnyOf(frozenset(values))
    if kind == "range":
        low = condition.range.min if condition.range.HasField("min") else None
        high = condition.range.max if condition.range.HasField("max") else None
        ends = [end for end in (low, high) if end is not None]
        check.that(ends, f"{where}.range", "at least one of min and max")
        check.that(not any(math.isnan(end) for end in ends), f"{where}.range", "an end must not be NaN")
        check.that(ends == sorted(ends), f"{where}.range", "min must not lie above max")
        return Range(low, high)
    if kind == "time_range":
        return _time_range(condition.time_range, check, f"{where}.time_range")
    if kind == "equals":
        return Equals(condition.equals)
    check.that(False, where, "one of any_of, range, time_range and equals must be given")
    return None


def _time_range(message: filter_pb2.TimeRange, check: Check, where: str) -> TimeRange:
    ends: dict[str, tuple[int, int]] = {}
    for name in ("min", "max"):
        if message.HasField(name):
            end: Timestamp = getattr(message, name)
            check.time(end, f"{where}.{name}")
            ends[name] = (end.seconds, end.nanos)
    check.that(ends, where, "at least one of min and max")
    check.that(list(ends.values()) == sorted(ends.values()), where, "min must not lie after max")
    return TimeRange(ends.get("min"), ends.get("max"))


def _item_mask(paths: Iterable[str], attribute_types: Mapping[str, AttributeType], check: Check) -> ItemMask | None:
    fields: set[str] = set()
    attributes: set[str] = set()
    for path in paths:
        name = path.removeprefix("attributes.")
        if path == "*":
            fields |= _MASK_FIELDS
        elif path in _MASK_FIELDS:
            fields.add(path)
        elif path != name and name in attribute_types:
            attributes.add(name)
        elif path != "id":
            known = "title, text, available, attributes, attributes.NAME, *"
            check.that(False, "item_mask", f'unknown path "{path[:64]}"; known: {known}')
            break
    return ItemMask(frozenset(fields), frozenset(attributes)) if paths else None
