"""From what a caller gives to protobuf messages. The gateway checks ranges; here only what a message cannot hold."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from shortlist.enums import EventKind, HistoryEncoding, TextInterpretation, TextRole
from shortlist.requests import AnyOf, Condition, Equals, Event, Range, RecommendRequest, TimeRange
from shortlist.v1 import embedding_pb2, event_pb2, filter_pb2, ranker_pb2, recommender_pb2


def recommend_message(request: RecommendRequest) -> recommender_pb2.RecommendRequest:
    """Builds the message of one request.

    Raises:
        ValueError: both a user and a session, a time without zone, or a value outside its type's range.
        TypeError: a field of the wrong type.
    """
    if request.user_id is not None and request.session_id is not None:
        raise ValueError("give user_id or session_id, not both")
    item_mask = several("item_mask", request.item_mask)
    return recommender_pb2.RecommendRequest(
        user_id=request.user_id,
        session_id=request.session_id,
        text=request.text,
        events=[_event_message(event) for event in request.events],
        item_ids=several("item_ids", request.item_ids),
        exclude_item_ids=several("exclude_item_ids", request.exclude_item_ids),
        conditions=[_condition_message(condition) for condition in request.conditions],
        history_encoding=_history_encoding(request.history_encoding),
        k=request.k,
        explain=request.explain,
        item_mask=FieldMask(paths=item_mask) if item_mask else None,
        include_seen=request.include_seen,
        personalization=request.personalization,
        interpretation=_interpretation(request.interpretation),
        preferences=[_condition_message(condition) for condition in request.preferences],
        min_relevance=request.min_relevance,
        candidate_item_ids=several("candidate_item_ids", request.candidate_item_ids),
        page_token=request.page_token,
        language=request.language,
        exact_spelling=request.exact_spelling,
    )


def batch_message(requests: Iterable[RecommendRequest]) -> recommender_pb2.BatchRecommendRequest:
    """Builds the message of many requests. Raises as `recommend_message`."""
    return recommender_pb2.BatchRecommendRequest(requests=[recommend_message(request) for request in requests])


def rank_message(  # noqa: PLR0913 -- each is a field of the request
    query: str | None,
    candidates: Sequence[str] | Mapping[str, str],
    *,
    events: Sequence[Event] = (),
    item_ids: Sequence[str] = (),
    k: int | None = None,
    personalization: float | None = None,
) -> ranker_pb2.RankRequest:
    """Builds the message of texts to rank; a mapping gives each text its id.

    Raises:
        TypeError: one string instead of a sequence of strings.
        ValueError: a time without zone.
    """
    if isinstance(candidates, Mapping):
        texts = [ranker_pb2.RankCandidate(id=name, text=text) for name, text in candidates.items()]
    else:
        texts = [ranker_pb2.RankCandidate(text=text) for text in several("candidates", candidates)]
    return ranker_pb2.RankRequest(
        query=query,
        events=[_event_message(event) for event in events],
        item_ids=several("item_ids", item_ids),
        candidates=texts,
        k=k,
        personalization=personalization,
    )


def embed_message(texts: Sequence[str], role: TextRole | None = None) -> embedding_pb2.EmbedRequest:
    """Builds the message of texts to encode.

    Raises:
        TypeError: one string instead of a sequence of strings.
        ValueError: there is no such role.
    """
    named = None if role is None else f"TEXT_ROLE_{TextRole(role)}"
    return embedding_pb2.EmbedRequest(texts=several("texts", texts), role=named)


def health_message(service: str) -> StringValue:
    """Builds what is on the wire a grpc.health.v1.HealthCheckRequest: a string under number 1, as StringValue is."""
    return StringValue(value=service)


def several(name: str, values: Sequence[str]) -> Sequence[str]:
    """Refuses a lone string, which would otherwise be taken letter by letter.

    Raises:
        TypeError: `values` is one string.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} is a sequence of strings; for one, write [{values[:40]!r}]")
    return values


def _history_encoding(encoding: HistoryEncoding | None) -> str | None:
    return None if encoding is None else f"HISTORY_ENCODING_{HistoryEncoding(encoding)}"


def _interpretation(use: TextInterpretation | None) -> str | None:
    return None if use is None else f"TEXT_INTERPRETATION_{TextInterpretation(use)}"


def _event_message(event: Event) -> event_pb2.Event:
    message = event_pb2.Event(
        item_id=event.item_id,
        kind=f"EVENT_KIND_{EventKind(event.kind)}",
        comment=event.comment,
        item_title=event.item_title,
    )
    if event.time is not None:
        message.time.CopyFrom(_timestamp(event.time, f"the time of the event on {event.item_id!r}"))
    return message


def _timestamp(time: datetime, what: str) -> Timestamp:
    if time.tzinfo is None:
        raise ValueError(f"{what} needs a time zone, for example datetime.UTC")
    message = Timestamp()
    message.FromDatetime(time)
    return message


def _condition_message(condition: Condition) -> filter_pb2.AttributeCondition:
    message = filter_pb2.AttributeCondition(attribute=condition.attribute, negate=condition.negate)
    match condition:
        case AnyOf():
            message.any_of.SetInParent()
            message.any_of.values.extend(several("values", condition.values))
        case Range():
            message.range.CopyFrom(filter_pb2.NumberRange(min=condition.min, max=condition.max))
        case TimeRange():
            message.time_range.SetInParent()
            for name, end in (("min", condition.min), ("max", condition.max)):
                if end is not None:
                    what = f"{name} of the condition on {condition.attribute!r}"
                    getattr(message.time_range, name).CopyFrom(_timestamp(end, what))
        case Equals():
            message.equals = condition.value
    return message
