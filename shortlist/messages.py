"""From what a caller gives to protobuf messages. The gateway checks ranges; here only what a message cannot hold."""

from collections.abc import Iterable, Mapping, Sequence

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.wrappers_pb2 import StringValue

from shortlist.arrangement import Arrangement, Boost
from shortlist.condition_messages import condition_message, several, timestamp_message
from shortlist.enums import EventKind, HistoryEncoding, TextInterpretation, TextRole, VectorFormat
from shortlist.requests import Event, RecommendRequest
from shortlist.v1 import arrangement_pb2, embedding_pb2, event_pb2, filter_pb2, ranker_pb2, recommender_pb2


def recommend_message(request: RecommendRequest) -> recommender_pb2.RecommendRequest:
    """Builds the message of one request.

    Raises:
        ValueError: both a user and a session, a time without zone, or a value outside its type's range.
        TypeError: a field of the wrong type.
    """
    if request.user_id is not None and request.session_id is not None:
        raise ValueError("give user_id or session_id, not both")
    item_mask = [path for name in several("item_mask", request.item_mask) for path in _paths(name)]
    return recommender_pb2.RecommendRequest(
        user_id=request.user_id,
        session_id=request.session_id,
        text=request.text,
        events=[event_message(event) for event in request.events],
        item_ids=several("item_ids", request.item_ids),
        exclude_item_ids=several("exclude_item_ids", request.exclude_item_ids),
        conditions=[condition_message(condition) for condition in request.conditions],
        any_of_groups=[
            filter_pb2.ConditionGroup(conditions=[condition_message(condition) for condition in group])
            for group in request.any_of_groups
        ],
        history_encoding=_history_encoding(request.history_encoding),
        k=request.k,
        explain=request.explain,
        item_mask=FieldMask(paths=item_mask) if item_mask else None,
        item_attributes=several("item_attributes", request.item_attributes),
        include_seen=request.include_seen,
        personalization=request.personalization,
        interpretation=_interpretation(request.interpretation),
        preferences=[condition_message(condition) for condition in request.preferences],
        min_relevance=request.min_relevance,
        candidate_item_ids=several("candidate_item_ids", request.candidate_item_ids),
        page_token=request.page_token,
        language=request.language,
        exact_spelling=request.exact_spelling,
        scene=request.scene,
        arrangement=None if request.arrangement is None else _arrangement_message(request.arrangement),
        event_token=request.event_token,
        profile=request.profile,
        seen_rules=[
            recommender_pb2.SeenRule(kind=EventKind(rule.kind).value, max_age_seconds=rule.max_age_s)
            for rule in request.seen_rules
        ],
        without_repeats=request.without_repeats,
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
        events=[event_message(event) for event in events],
        item_ids=several("item_ids", item_ids),
        candidates=texts,
        k=k,
        personalization=personalization,
    )


def embed_message(
    texts: Sequence[str], role: TextRole | None = None, vector_format: VectorFormat | None = None
) -> embedding_pb2.EmbedRequest:
    """Builds the message of texts to encode.

    Raises:
        TypeError: one string instead of a sequence of strings.
        ValueError: there is no such role or format.
    """
    return embedding_pb2.EmbedRequest(
        texts=several("texts", texts),
        role=None if role is None else TextRole(role).value,
        vector_format=None if vector_format is None else VectorFormat(vector_format).value,
    )


def recommend_stream_message(request: RecommendRequest) -> recommender_pb2.RecommendStreamRequest:
    """Builds one entry of a stream of requests. Raises as `recommend_message`."""
    return recommender_pb2.RecommendStreamRequest(request=recommend_message(request))


def embed_stream_message(
    text: str, role: TextRole | None = None, vector_format: VectorFormat | None = None
) -> embedding_pb2.EmbedStreamRequest:
    """Builds one text of a stream. Raises as `embed_message`."""
    return embedding_pb2.EmbedStreamRequest(
        text=text,
        role=None if role is None else TextRole(role).value,
        vector_format=None if vector_format is None else VectorFormat(vector_format).value,
    )


def health_message(service: str) -> StringValue:
    """Builds what is on the wire a grpc.health.v1.HealthCheckRequest: a string under number 1, as StringValue is."""
    return StringValue(value=service)


def _paths(name: str) -> tuple[str, ...]:
    # "*" is not a path of a field mask for every JSON library.
    return ("title", "text", "available", "attributes") if name == "*" else (name,)


def _history_encoding(encoding: HistoryEncoding | None) -> str | None:
    return None if encoding is None else HistoryEncoding(encoding).value


def _interpretation(use: TextInterpretation | None) -> str | None:
    return None if use is None else TextInterpretation(use).value


def event_message(event: Event) -> event_pb2.Event:
    """Builds the message of one event.

    Raises:
        ValueError: a time without zone, or an unknown kind.
    """
    message = event_pb2.Event(
        item_id=event.item_id,
        kind=EventKind(event.kind).value,
        comment=event.comment,
        item_title=event.item_title,
        event_id=event.event_id,
        weight=event.weight,
        text=event.text,
        request_id=event.request_id,
        rank=event.rank,
        rating=event.rating,
        attribution_token=event.attribution_token,
    )
    if event.dwell_s is not None:
        message.dwell_time.FromNanoseconds(round(event.dwell_s * 1e9))
    if event.time is not None:
        message.time.CopyFrom(timestamp_message(event.time, f"the time of the event on {event.item_id!r}"))
    return message


def _arrangement_message(rules: Arrangement) -> arrangement_pb2.Arrangement:
    message = arrangement_pb2.Arrangement(
        diversity=rules.diversity,
        caps=[arrangement_pb2.Cap(attribute=cap.attribute, most=cap.most, within=cap.within) for cap in rules.caps],
        pins=[arrangement_pb2.Pin(item_id=pin.item_id, place=pin.place) for pin in rules.pins],
        boosts=[_boost_message(boost) for boost in rules.boosts],
        new_share=rules.new_share,
        exploration=rules.exploration,
        seed=rules.seed,
        novelty=rules.novelty,
    )
    if rules.new_within is not None:
        message.new_within.FromTimedelta(rules.new_within)
    return message


def _boost_message(boost: Boost) -> arrangement_pb2.Boost:
    message = arrangement_pb2.Boost(strength=boost.strength)
    if boost.condition is not None and boost.item_ids:
        raise ValueError("a boost takes a condition or item_ids, not both")
    if boost.condition is not None:
        message.condition.CopyFrom(condition_message(boost.condition))
    else:
        message.items.item_ids.extend(several("item_ids", boost.item_ids))
    return message
