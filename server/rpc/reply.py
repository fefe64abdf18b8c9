"""Domain answers to protobuf replies."""

import time
from collections.abc import Iterable

from google.protobuf import timestamp_pb2

from domain import recommendation as domain
from domain.arrangement import ArrangementRule
from domain.condition import AnyNumber, AnyOf, Condition, Equals, Exists, GeoRadius, Range
from domain.interpretation import Interpretation
from domain.item import AttributeValue, Item
from domain.timestamp import Timestamp
from server.rpc.call import Call
from server.rpc.page_token import write_page_token
from server.rpc.status import CallStatus
from server.users.tokens import Attribution
from shortlist.v1 import arrangement_pb2, filter_pb2, interpretation_pb2, item_pb2
from shortlist.v1 import recommender_pb2 as pb

# A source that the contract has no value for is RECALL_SOURCE_UNSPECIFIED.
_SOURCES = {source.value: getattr(pb, f"RECALL_SOURCE_{source.name}") for source in domain.Source}
_RULES = {rule: getattr(arrangement_pb2, f"ARRANGEMENT_RULE_{rule.name}") for rule in ArrangementRule}


def recommend_reply(answer: domain.Recommendation, call: Call, request: pb.RecommendRequest) -> pb.RecommendResponse:
    """Builds the reply to one Recommend."""
    page = None if answer.next_offset is None else domain.Page(answer.release_id, answer.next_offset, answer.seed)
    reply = pb.RecommendResponse(
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
        unplaced_item_ids=answer.unplaced_item_ids,
        seed=answer.seed,
        scene=answer.scene,
        bucket=answer.bucket,
    )
    named = request.WhichOneof("caller") is not None
    for item in answer.items:
        _add_item(reply.items.add(), item, _token(item, answer, call) if named else "")
    return reply


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
        arrange_ms=times.arrange_s * 1e3,
        user_ms=times.user_s * 1e3,
    )


def _token(ranked: domain.RankedItem, answer: domain.Recommendation, call: Call) -> str:
    source = ranked.provenance[0].source if ranked.provenance else ""
    return Attribution(ranked.rank, source, answer.release_id, call.request_id).text()


def _add_item(message: pb.RecommendedItem, ranked: domain.RankedItem, attribution_token: str) -> None:
    """Fills an item of the reply, field by field: with keywords it takes six times as long."""
    message.id, message.rank, message.score = ranked.id, ranked.rank, ranked.score
    if ranked.similarity is not None:
        message.similarity = ranked.similarity
    if ranked.relevance is not None:
        message.relevance = ranked.relevance
    if ranked.match_probability is not None:
        message.match_probability = ranked.match_probability
    if ranked.choice_probability is not None:
        message.choice_probability = ranked.choice_probability
    if ranked.ranked_place is not None:
        message.ranked_place = ranked.ranked_place
    for view in ranked.provenance:
        part = message.provenance.add()
        part.source = _SOURCES.get(view.source, pb.RECALL_SOURCE_UNSPECIFIED)
        part.rank, part.score = view.rank, view.score
    if ranked.explanation is not None:
        message.explanation.CopyFrom(_explanation(ranked.explanation))
    if ranked.item is not None:
        message.item.CopyFrom(item_message(ranked.item))
    for rule in ranked.arranged_by:
        message.arranged_by.append(_RULES[rule])
    if attribution_token:
        message.attribution_token = attribution_token


def _explanation(why: domain.Explanation) -> pb.Explanation:
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
        message.any_of.CopyFrom(filter_pb2.StringSet(values=sorted(test.values), ignore_case=test.ignore_case))
    elif isinstance(test, AnyNumber):
        message.any_number.CopyFrom(filter_pb2.NumberSet(values=sorted(test.values)))
    elif isinstance(test, Exists):
        message.exists = test.value
    elif isinstance(test, Equals):
        message.bool_equals = test.value
    elif isinstance(test, GeoRadius):
        centre = {"latitude": test.latitude, "longitude": test.longitude}
        place = filter_pb2.GeoRadius(longitude_attribute=test.longitude_attribute, radius_km=test.radius_km, **centre)
        message.geo_radius.CopyFrom(place)
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


def item_message(item: Item | domain.ItemDetails) -> item_pb2.Item:
    """Builds an item with all that it has; what is None is absent."""
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
