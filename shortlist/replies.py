"""From protobuf messages to what a call returns. What a newer gateway adds is passed by, never a reason to fail."""

import struct
from array import array
from collections.abc import Iterable
from dataclasses import fields
from datetime import timezone
from functools import lru_cache
from typing import TypeVar

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.wrappers_pb2 import Int32Value
from google.rpc import code_pb2

from shortlist.condition_messages import read_condition
from shortlist.enums import ArrangementRule, DegradationReason, ErrorReason, HealthStatus, OpenEnum, RecallSource
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
from shortlist.v1 import (
    arrangement_pb2,
    embedding_pb2,
    interpretation_pb2,
    item_pb2,
    ranker_pb2,
    recommender_pb2,
)

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
        unplaced_item_ids=tuple(message.unplaced_item_ids),
        seed=message.seed if message.HasField("seed") else None,
        scene=message.scene,
        bucket=message.bucket,
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
        Degradation(named(DegradationReason, recommender_pb2.DegradationReason, one.reason), one.detail)
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
        embeddings=tuple(read_embedding(one, message.vector_format) for one in message.embeddings),
        release_id=message.release_id,
        stage_times=_stage_times(message.stage_times),
    )


def read_embedding(message: embedding_pb2.Embedding, vector_format: int) -> Embedding:
    """Reads one text's vector.

    Raises:
        MismatchedReply: it is of a format that this client does not know.
    """
    packed = message.packed_vector
    if vector_format in (embedding_pb2.VECTOR_FORMAT_UNSPECIFIED, embedding_pb2.VECTOR_FORMAT_FLOAT32):
        vector = array("f", message.vector)
    elif vector_format == embedding_pb2.VECTOR_FORMAT_FLOAT16:
        vector = array("f", struct.unpack(f"<{len(packed) // 2}e", packed))
    elif vector_format == embedding_pb2.VECTOR_FORMAT_INT8:
        vector = array("f", (number * message.scale for number in array("b", packed)))
    else:
        raise MismatchedReply(
            f"the gateway sent vectors in the format {vector_format}, which this client does not know"
        )
    return Embedding(vector, message.token_count, message.truncated, message.unknown_token_share)


def read_health(message: Int32Value) -> HealthStatus:
    """Reads what is on the wire a grpc.health.v1.HealthCheckResponse: an enum under number 1, as Int32Value is."""
    names = list(HealthStatus)
    return names[message.value] if 0 <= message.value < len(names) else HealthStatus(f"UNKNOWN_{message.value}")


def _check_count(received_count: int, sent_count: int) -> None:
    if received_count != sent_count:
        raise MismatchedReply(f"the gateway answered {received_count} entries to {sent_count}")


def _outcome(
    entry: recommender_pb2.BatchRecommendEntry | recommender_pb2.RecommendStreamResponse,
) -> Shortlist | EntryError:
    return read_shortlist(entry.response) if entry.HasField("response") else _failure(entry)


def _failure(
    entry: recommender_pb2.BatchRecommendEntry
    | recommender_pb2.RecommendStreamResponse
    | embedding_pb2.EmbedStreamResponse,
) -> EntryError:
    if not entry.HasField("error"):
        return EntryError("UNKNOWN", "the gateway sent no outcome that this client knows", ErrorReason.UNSPECIFIED, ())
    return read_entry_error(entry.error)


def read_stream_entry(entry: recommender_pb2.RecommendStreamResponse) -> Shortlist | EntryError:
    """Reads one entry of a stream of requests."""
    return _outcome(entry)


def read_embedding_entry(entry: embedding_pb2.EmbedStreamResponse) -> Embedding | EntryError:
    """Reads one text's outcome of a stream.

    Raises:
        MismatchedReply: its vector is of a format that this client does not know.
    """
    return read_embedding(entry.embedding, entry.vector_format) if entry.HasField("embedding") else _failure(entry)


def read_entry_error(error: recommender_pb2.EntryError) -> EntryError:
    """Reads the error of one entry."""
    code = code_pb2.Code.DESCRIPTOR.values_by_number.get(error.code)
    return EntryError(
        code=code.name if code else f"UNKNOWN_{error.code}",
        message=error.message,
        reason=named(ErrorReason, recommender_pb2.ErrorReason, error.reason),
        violations=tuple(FieldViolation(one.field, one.description) for one in error.field_violations),
    )


def _ranked_item(message: recommender_pb2.RecommendedItem) -> RankedItem:
    return RankedItem(
        id=message.id,
        rank=message.rank,
        score=message.score,
        similarity=message.similarity if message.HasField("similarity") else None,
        provenance=tuple(
            Provenance(named(RecallSource, recommender_pb2.RecallSource, one.source), one.rank, one.score)
            for one in message.provenance
        ),
        explanation=_explanation(message.explanation) if message.HasField("explanation") else None,
        item=read_item(message.item) if message.HasField("item") else None,
        match_probability=message.match_probability if message.HasField("match_probability") else None,
        relevance=message.relevance if message.HasField("relevance") else None,
        choice_probability=message.choice_probability if message.HasField("choice_probability") else None,
        arranged_by=tuple(
            named(ArrangementRule, arrangement_pb2.ArrangementRule, rule) for rule in message.arranged_by
        ),
        ranked_place=message.ranked_place if message.HasField("ranked_place") else None,
        attribution_token=message.attribution_token,
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
            if (condition := read_condition(one.condition)) is not None
        ),
        orders=tuple(InterpretedOrder(one.attribute, one.descending, one.phrase) for one in message.orders),
        excluded_terms=tuple(message.excluded_terms),
        search_text=message.search_text,
    )


def read_item(message: item_pb2.Item) -> ItemDetails:
    """Reads an item."""
    return ItemDetails(
        id=message.id,
        title=message.title if message.HasField("title") else None,
        text=message.text if message.HasField("text") else None,
        available=message.available if message.HasField("available") else None,
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
                yield name, value.timestamp_value.ToDatetime(timezone.utc)


def _stage_times(message: recommender_pb2.StageTimes) -> StageTimes:
    return StageTimes(**{field.name: getattr(message, field.name) for field in fields(StageTimes)})


@lru_cache(maxsize=256)
def named(kind: type[_Open], wire: EnumTypeWrapper, number: int) -> _Open:
    """The enum member for a number on the wire; one that this client does not know becomes UNKNOWN_<number>."""
    names = wire.DESCRIPTOR.values_by_number
    return kind(names[number].name if number in names else f"UNKNOWN_{number}")
