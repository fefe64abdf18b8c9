"""From protobuf messages to what a call returns. What a newer gateway adds is passed by, never a reason to fail."""

from array import array
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC
from functools import lru_cache
from typing import TypeVar

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.wrappers_pb2 import Int32Value
from google.rpc import code_pb2

from shortlist.enums import DegradationReason, ErrorReason, HealthStatus, OpenEnum, RecallSource
from shortlist.requests import AnyOf, Condition, Equals, Range, TimeRange
from shortlist.results import (
    AttributeValue,
    Degradation,
    Embedding,
    Embeddings,
    EntryError,
    Explanation,
    FieldMatch,
    FieldViolation,
    Interpretation,
    InterpretedCondition,
    InterpretedOrder,
    ItemDetails,
    Provenance,
    RankedItem,
    RankedText,
    Shortlist,
    StageTimes,
    TextRanking,
)
from shortlist.v1 import embedding_pb2, filter_pb2, interpretation_pb2, item_pb2, ranker_pb2, recommender_pb2

_Open = TypeVar("_Open", bound=OpenEnum)


class MismatchedReply(ValueError):
    """A reply that does not fit its request: as many entries must come back as were sent."""


def read_shortlist(message: recommender_pb2.RecommendResponse) -> Shortlist:
    """Reads the reply to one request."""
    return Shortlist(
        items=tuple(_ranked_item(item) for item in message.items),
        release_id=message.release_id,
        stage_times=_stage_times(message.stage_times),
        degradations=_degradations(message.degradations),
        shortfall_count=message.shortfall_count,
        unknown_token_share=message.unknown_token_share,
        unknown_item_ids=tuple(message.unknown_item_ids),
        request_id=message.request_id,
        interpretation=_interpretation(message.interpretation) if message.HasField("interpretation") else None,
        corrected_text=message.corrected_text,
        next_page_token=message.next_page_token,
    )


def read_ranking(message: ranker_pb2.RankResponse) -> TextRanking:
    """Reads the reply to texts to rank."""
    return TextRanking(
        results=tuple(
            RankedText(
                index=one.index,
                id=one.id,
                rank=one.rank,
                score=one.score,
                similarity=one.similarity if one.HasField("similarity") else None,
                relevance=one.relevance if one.HasField("relevance") else None,
                choice_probability=one.choice_probability,
                matched_terms=tuple(one.matched_terms),
            )
            for one in message.results
        ),
        release_id=message.release_id,
        stage_times=_stage_times(message.stage_times),
        degradations=_degradations(message.degradations),
        unknown_item_ids=tuple(message.unknown_item_ids),
        request_id=message.request_id,
    )


def _degradations(messages: Iterable[recommender_pb2.Degradation]) -> tuple[Degradation, ...]:
    return tuple(
        Degradation(_named(DegradationReason, recommender_pb2.DegradationReason, one.reason), one.detail)
        for one in messages
    )


def read_batch(message: recommender_pb2.BatchRecommendResponse, sent_count: int) -> list[Shortlist | EntryError]:
    """Reads the reply to many requests, in their order.

    Raises:
        MismatchedReply: it has not as many entries as there were requests.
    """
    _check_count(len(message.entries), sent_count)
    return [_outcome(entry) for entry in message.entries]


def read_embeddings(message: embedding_pb2.EmbedResponse, sent_count: int) -> Embeddings:
    """Reads the vectors of texts, in their order.

    Raises:
        MismatchedReply: it has not as many vectors as there were texts.
    """
    _check_count(len(message.embeddings), sent_count)
    return Embeddings(
        embeddings=tuple(
            Embedding(array("f", one.vector), one.token_count, one.truncated, one.unknown_token_share)
            for one in message.embeddings
        ),
        release_id=message.release_id,
        stage_times=_stage_times(message.stage_times),
    )


def read_health(message: Int32Value) -> HealthStatus:
    """Reads what is on the wire a grpc.health.v1.HealthCheckResponse: an enum under number 1, as Int32Value is."""
    names = list(HealthStatus)
    return names[message.value] if 0 <= message.value < len(names) else HealthStatus(f"UNKNOWN_{message.value}")


def _check_count(received_count: int, sent_count: int) -> None:
    if received_count != sent_count:
        raise MismatchedReply(f"the gateway answered {received_count} entries to {sent_count}")


def _outcome(entry: recommender_pb2.BatchRecommendEntry) -> Shortlist | EntryError:
    if entry.HasField("response"):
        return read_shortlist(entry.response)
    if not entry.HasField("error"):
        return EntryError("UNKNOWN", "the gateway sent no outcome that this client knows", ErrorReason.UNSPECIFIED, ())
    error = entry.error
    code = code_pb2.Code.DESCRIPTOR.values_by_number.get(error.code)
    return EntryError(
        code=code.name if code else f"UNKNOWN_{error.code}",
        message=error.message,
        reason=_named(ErrorReason, recommender_pb2.ErrorReason, error.reason),
        violations=tuple(FieldViolation(one.field, one.description) for one in error.field_violations),
    )


def _ranked_item(message: recommender_pb2.RecommendedItem) -> RankedItem:
    return RankedItem(
        id=message.id,
        rank=message.rank,
        score=message.score,
        similarity=message.similarity if message.HasField("similarity") else None,
        provenance=tuple(
            Provenance(_named(RecallSource, recommender_pb2.RecallSource, one.source), one.rank, one.score)
            for one in message.provenance
        ),
        explanation=_explanation(message.explanation) if message.HasField("explanation") else None,
        item=_item_details(message.item) if message.HasField("item") else None,
        match_probability=message.match_probability if message.HasField("match_probability") else None,
        relevance=message.relevance if message.HasField("relevance") else None,
        choice_probability=message.choice_probability if message.HasField("choice_probability") else None,
    )


def _explanation(message: recommender_pb2.Explanation) -> Explanation:
    return Explanation(
        text=message.text,
        matched_terms=tuple(message.matched_terms),
        because_of_item_id=message.because_of_item_id or None,
        because_of_similarity=message.because_of_similarity if message.HasField("because_of_similarity") else None,
        because_of_title=message.because_of_title,
        field_matches=tuple(FieldMatch(one.field, one.value, one.whole_value) for one in message.field_matches),
    )


def _interpretation(message: interpretation_pb2.Interpretation) -> Interpretation:
    return Interpretation(
        conditions=tuple(
            InterpretedCondition(condition, one.phrase)
            for one in message.conditions
            if (condition := _condition(one.condition)) is not None
        ),
        orders=tuple(InterpretedOrder(one.attribute, one.descending, one.phrase) for one in message.orders),
        excluded_terms=tuple(message.excluded_terms),
        search_text=message.search_text,
    )


def _condition(message: filter_pb2.AttributeCondition) -> Condition | None:
    """Reads a condition; None for a test that this client does not know."""
    name, negate = message.attribute, message.negate
    match message.WhichOneof("test"):
        case "any_of":
            return AnyOf(name, tuple(message.any_of.values), negate=negate)
        case "equals":
            return Equals(name, value=message.equals, negate=negate)
        case "range":
            ends = message.range
            low, high = (getattr(ends, end) if ends.HasField(end) else None for end in ("min", "max"))
            return Range(name, min=low, max=high, negate=negate)
        case "time_range":
            times = message.time_range
            first, last = (
                getattr(times, end).ToDatetime(UTC) if times.HasField(end) else None for end in ("min", "max")
            )
            return TimeRange(name, min=first, max=last, negate=negate)
    return None


def _item_details(message: item_pb2.Item) -> ItemDetails:
    return ItemDetails(
        id=message.id,
        title=message.title,
        text=message.text,
        available=message.available,
        attributes=dict(_attributes(message.attributes.items())),
    )


def _attributes(
    values: Iterable[tuple[str, item_pb2.AttributeValue]],
) -> Iterable[tuple[str, AttributeValue]]:
    for name, value in values:
        match value.WhichOneof("value"):
            case "string_value":
                yield name, value.string_value
            case "number_value":
                yield name, value.number_value
            case "bool_value":
                yield name, value.bool_value
            case "string_list_value":
                yield name, tuple(value.string_list_value.values)
            case "timestamp_value":
                yield name, value.timestamp_value.ToDatetime(UTC)


def _stage_times(message: recommender_pb2.StageTimes) -> StageTimes:
    return StageTimes(**{field.name: getattr(message, field.name) for field in fields(StageTimes)})


@lru_cache(maxsize=256)
def _named(kind: type[_Open], wire: EnumTypeWrapper, number: int) -> _Open:
    """The enum member for a number on the wire; one that this client does not know becomes UNKNOWN_<number>."""
    names = wire.DESCRIPTOR.values_by_number
    prefix = names[0].name.removesuffix("UNSPECIFIED")
    return kind(names[number].name.removeprefix(prefix) if number in names else f"UNKNOWN_{number}")
