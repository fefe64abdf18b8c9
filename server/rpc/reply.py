"""Domain answers to protobuf replies."""

import time
from collections.abc import Iterable

from google.protobuf import timestamp_pb2

from domain import recommendation as domain
from domain.condition import AnyOf, Condition, Equals, Range
from domain.interpretation import Interpretation
from domain.item import AttributeValue, Item
from domain.timestamp import Timestamp
from server.rpc.call import Call
from server.rpc.page_token import write_page_token
from server.rpc.status import CallStatus
from shortlist.v1 import filter_pb2, interpretation_pb2, item_pb2
from shortlist.v1 import recommender_pb2 as pb

# A source that the contract has no value for is RECALL_SOURCE_UNSPECIFIED.
_SOURCES = {source.value: f"RECALL_SOURCE_{source.name}" for source in domain.Source}


def recommend_reply(answer: domain.Recommendation, call: Call, request: pb.RecommendRequest) -> pb.RecommendResponse:
    """Builds the reply to one Recommend."""
    page = None if answer.next_offset is None else domain.Page(answer.release_id, answer.next_offset)
    return pb.RecommendResponse(
        items=[_item(item) for item in answer.items],
        release_id=answer.release_id,
        degradations=degradation_messages(answer.degradations),
        shortfall_count=answer.shortfall_count,
        unknown_token_share=answer.unknown_token_share,
        unknown_item_ids=answer.unknown_item_ids,
        request_id=call.request_id,
        stage_times=stage_times(answer.stage_times, call),
        interpretation=_interpretation(answer.interpretation),
        corrected_text=answer.corrected_text,
        next_page_token="" if page is None else write_page_token(request, page),
    )


def degradation_messages(degradations: Iterable[domain.Degradation]) -> list[pb.Degradation]:
    """Builds the degradations of a reply."""
    return [
        pb.Degradation(reason=f"DEGRADATION_REASON_{degradation.reason.name}", detail=degradation.detail)
        for degradation in degradations
    ]


def entry_error(status: CallStatus) -> pb.EntryError:
    """Builds the error of one entry of a batch."""
    return pb.EntryError(
        code=status.code.value[0],
        message=status.message,
        reason=status.reason,
        field_violations=[pb.FieldViolation(field=v.field, description=v.description) for v in status.violations],
    )


def stage_times(times: domain.StageTimes, call: Call) -> pb.StageTimes:
    """Builds the stage times; the total is taken now."""
    return pb.StageTimes(
        total_ms=(time.monotonic() - call.started_s) * 1e3,
        parse_ms=times.parse_s * 1e3,
        represent_ms=times.represent_s * 1e3,
        tokenize_ms=times.tokenize_s * 1e3,
        queue_ms=times.queue_s * 1e3,
        triton_ms=times.triton_s * 1e3,
        recall_ms=times.recall_s * 1e3,
        rank_ms=times.rank_s * 1e3,
        explain_ms=times.explain_s * 1e3,
        rank_triton_ms=times.rank_triton_s * 1e3,
    )


def _item(ranked: domain.RankedItem) -> pb.RecommendedItem:
    return pb.RecommendedItem(
        id=ranked.id,
        rank=ranked.rank,
        score=ranked.score,
        similarity=ranked.similarity,
        provenance=[
            pb.Provenance(source=_SOURCES.get(view.source), rank=view.rank, score=view.score)
            for view in ranked.provenance
        ],
        explanation=_explanation(ranked.explanation),
        item=_details(ranked.item),
        match_probability=ranked.match_probability,
        relevance=ranked.relevance,
        choice_probability=ranked.choice_probability,
    )


def _explanation(why: domain.Explanation | None) -> pb.Explanation | None:
    if why is None:
        return None
    return pb.Explanation(
        text=why.text,
        matched_terms=why.matched_terms,
        because_of_item_id=why.because_of_item_id,
        because_of_similarity=why.because_of_similarity,
        because_of_title=why.because_of_title,
        field_matches=[
            pb.FieldMatch(field=match.field, value=match.value, whole_value=match.whole_value)
            for match in why.field_matches
        ],
    )


def _interpretation(understood: Interpretation) -> interpretation_pb2.Interpretation | None:
    if not understood:
        return None
    return interpretation_pb2.Interpretation(
        conditions=[
            interpretation_pb2.InterpretedCondition(condition=_condition(wish.condition), phrase=wish.phrase)
            for wish in understood.wishes
        ],
        orders=[
            interpretation_pb2.InterpretedOrder(
                attribute=order.attribute, descending=order.descending, phrase=order.phrase
            )
            for order in understood.orders
        ],
        excluded_terms=understood.excluded_terms,
        search_text=understood.search_text,
    )


def _condition(condition: Condition) -> filter_pb2.AttributeCondition:
    message = filter_pb2.AttributeCondition(attribute=condition.attribute, negate=condition.negate)
    test = condition.test
    if isinstance(test, AnyOf):
        message.any_of.values.extend(sorted(test.values))
    elif isinstance(test, Equals):
        message.equals = test.value
    elif isinstance(test, Range):
        message.range.CopyFrom(filter_pb2.NumberRange(min=test.minimum, max=test.maximum))
    else:
        ends = {
            name: timestamp_pb2.Timestamp(seconds=end[0], nanos=end[1])
            for name, end in (("min", test.minimum), ("max", test.maximum))
            if end is not None
        }
        message.time_range.CopyFrom(filter_pb2.TimeRange(**ends))
    return message


def _details(item: Item | None) -> item_pb2.Item | None:
    return None if item is None else item_message(item)


def item_message(item: Item) -> item_pb2.Item:
    """Builds an item with all that it has."""
    return item_pb2.Item(
        id=item.id,
        title=item.title,
        text=item.text,
        available=item.available,
        attributes={name: _attribute(value) for name, value in item.attributes.items()},
    )


def _attribute(value: AttributeValue) -> item_pb2.AttributeValue:
    if isinstance(value, bool):
        return item_pb2.AttributeValue(bool_value=value)
    if isinstance(value, str):
        return item_pb2.AttributeValue(string_value=value)
    if isinstance(value, tuple):
        return item_pb2.AttributeValue(string_list_value=item_pb2.StringList(values=value))
    if isinstance(value, Timestamp):
        instant = timestamp_pb2.Timestamp(seconds=value.seconds, nanos=value.nanos)
        return item_pb2.AttributeValue(timestamp_value=instant)
    return item_pb2.AttributeValue(number_value=value)
