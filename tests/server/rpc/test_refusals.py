"""Calls that the real gateway refuses, over a real channel."""

import time

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from shortlist.v1 import embedding_pb2, event_pb2, event_pb2_grpc, filter_pb2
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.embedding_pb2_grpc import EmbeddingServiceStub
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]

INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_FIELD")


def refused(call, request, **how) -> tuple[grpc.StatusCode, str, list[str]]:
    """Returns code, reason and violated fields of a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request, **{"timeout": 5, **how})
    error = caught.value
    raw = dict(error.trailing_metadata()).get("grpc-status-details-bin")
    if raw is None:
        return error.code(), "", []
    status = status_pb2.Status.FromString(raw)
    assert status.code == error.code().value[0]
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert info.domain == "shortlist.v1"
    for detail in status.details[1:]:
        detail.Unpack(bad)
    return error.code(), info.reason, [one.field for one in bad.field_violations]


class TestRefused:
    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            (pb.RecommendRequest(text="tea", k=0), "k"),
            (pb.RecommendRequest(text="tea", k=-1), "k"),
            (pb.RecommendRequest(text="tea", k=1001), "k"),
            (pb.RecommendRequest(text="tea", k=2**31 - 1), "k"),
            (pb.RecommendRequest(text=""), "text"),
            (pb.RecommendRequest(text=" \t\n"), "text"),
            (pb.RecommendRequest(text="a\0b"), "text"),
            (pb.RecommendRequest(text="ä" * 4097), "text"),
            (pb.RecommendRequest(text="tea", exclude_item_ids=["x"] * 10_001), "exclude_item_ids"),
            (pb.RecommendRequest(text="tea", exclude_item_ids=["x", ""]), "exclude_item_ids[1]"),
            (pb.RecommendRequest(text="tea", item_mask={"paths": ["titel"]}), "item_mask"),
            (pb.RecommendRequest(text="tea", item_mask={"paths": ["attributes.price"]}), "item_mask"),
            (pb.RecommendRequest(text="tea", item_attributes=["price", "nonsense"]), "item_attributes[1]"),
            (pb.RecommendRequest(text="tea", history_encoding=17), "history_encoding"),
            (pb.RecommendRequest(events=[event_pb2.Event(item_id="x")]), "events[0].kind"),
            (pb.RecommendRequest(events=[event_pb2.Event(item_id="x", kind=99)]), "events[0].kind"),
            (pb.RecommendRequest(events=[event_pb2.Event(kind=1)]), "events[0].item_id"),
            (pb.RecommendRequest(text="tea", user_id=""), "user_id"),
            (
                pb.RecommendRequest(text="tea", conditions=[filter_pb2.AttributeCondition(attribute="price")]),
                "conditions[0]",
            ),
            (
                pb.RecommendRequest(
                    text="tea",
                    conditions=[
                        filter_pb2.AttributeCondition(attribute="price", range=filter_pb2.NumberRange(min=float("nan")))
                    ],
                ),
                "conditions[0].range",
            ),
            (
                pb.RecommendRequest(
                    text="tea", conditions=[filter_pb2.AttributeCondition(attribute="wheels", bool_equals=True)]
                ),
                "conditions[0].attribute",
            ),
            (
                pb.RecommendRequest(
                    text="tea", conditions=[filter_pb2.AttributeCondition(attribute="price", bool_equals=True)]
                ),
                "conditions[0]",
            ),
        ],
    )
    def test_field_out_of_range(self, stub: RecommenderServiceStub, request_, field: str) -> None:
        assert refused(stub.Recommend, request_) == (*INVALID, [field])

    def test_every_bad_field_is_named_at_once(self, stub: RecommenderServiceStub) -> None:
        request = pb.RecommendRequest(text=" ", k=0, history_encoding=9)
        assert refused(stub.Recommend, request) == (*INVALID, ["text", "k", "history_encoding"])

    @pytest.mark.parametrize(
        "request_",
        [
            pb.RecommendRequest(),
            pb.RecommendRequest(user_id="anna", k=5),
            pb.RecommendRequest(item_ids=["no-such-item"]),
            pb.RecommendRequest(events=[event_pb2.Event(item_id="goods-phone-a", kind="EVENT_KIND_DISLIKE")]),
        ],
    )
    def test_who_is_not_known_is_never_refused(self, stub: RecommenderServiceStub, request_) -> None:
        reply = stub.Recommend(request_)
        assert len(reply.items) == (request_.k or 10)
        disliked = bool(request_.events)
        assert (pb.DEGRADATION_REASON_COLD_START in {one.reason for one in reply.degradations}) != disliked

    def test_events_that_cannot_be_kept(self, stub: RecommenderServiceStub, channel: grpc.Channel) -> None:
        bad = (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_FIELD")
        request = pb.RecommendRequest(text="tea", user_id="u", event_token="t")
        assert refused(stub.Recommend, request) == (*bad, ["event_token"])
        events = event_pb2_grpc.EventServiceStub(channel)
        assert refused(events.RecordEvents, event_pb2.RecordEventsRequest()) == (*bad, ["caller"])
        one = event_pb2.Event(item_id="goods-phone-a", kind="EVENT_KIND_VIEW")
        many = event_pb2.RecordEventsRequest(user_id="u", events=[one] * 10_000)
        assert refused(events.RecordEvents, many) == (*bad, ["events"])
        past, future = event_pb2.Event(), event_pb2.Event()
        for event, seconds in ((past, 86_400), (future, int(time.time()) + 3_600)):
            event.CopyFrom(one)
            event.time.seconds = seconds
        request = event_pb2.RecordEventsRequest(user_id="u", events=[one, past, future])
        assert refused(events.RecordEvents, request) == (*bad, ["events[1].time", "events[2].time"])

    def test_bytes_that_are_no_message(self, channel: grpc.Channel) -> None:
        call = channel.unary_unary("/shortlist.v1.RecommenderService/Recommend")
        code, reason, _ = refused(call, b"\xff\xff\xff not a message")
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_MALFORMED_MESSAGE")

    def test_text_that_is_no_utf8(self, channel: grpc.Channel) -> None:
        call = channel.unary_unary("/shortlist.v1.RecommenderService/Recommend")
        assert refused(call, b"\x1a\x02\xff\xfe")[0] is grpc.StatusCode.INVALID_ARGUMENT

    @pytest.mark.parametrize("timeout_s", [-1, 0, 0.000001])
    def test_deadline_already_past(self, stub: RecommenderServiceStub, timeout_s: float) -> None:
        code, *_ = refused(stub.Recommend, pb.RecommendRequest(text="tea"), timeout=timeout_s)
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED

    def test_batch_sizes(self, stub: RecommenderServiceStub) -> None:
        assert refused(stub.BatchRecommend, pb.BatchRecommendRequest()) == (*INVALID, ["requests"])
        many = pb.BatchRecommendRequest(requests=[pb.RecommendRequest(text="tea")] * 257)
        assert refused(stub.BatchRecommend, many) == (*INVALID, ["requests"])

    def test_embed_texts(self, channel: grpc.Channel) -> None:
        stub = EmbeddingServiceStub(channel)
        assert refused(stub.Embed, embedding_pb2.EmbedRequest()) == (*INVALID, ["texts"])
        request = embedding_pb2.EmbedRequest(texts=["a", " ", "c\0"])
        assert refused(stub.Embed, request) == (*INVALID, ["texts[1]", "texts[2]"])


def test_a_class_of_importance_that_does_not_exist(stub) -> None:
    code, reason, fields = refused(
        stub.Recommend, pb.RecommendRequest(text="tea"), metadata=(("x-criticality", "vip"),)
    )
    assert (code, reason) == INVALID and fields == ["metadata x-criticality"]
