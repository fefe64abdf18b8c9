"""What the real gateway answers and refuses, over a real channel."""

import json
import time
import urllib.request
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from shortlist import AnyOf, Client, DegradationReason, EntryError, Equals, Event, EventKind, Range, RecommendRequest
from shortlist.v1 import embedding_pb2, event_pb2, event_pb2_grpc, filter_pb2
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.embedding_pb2_grpc import EmbeddingServiceStub
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.running import ROOT, RunningGateway, until

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]

ITEMS = [json.loads(line) for line in (ROOT / "sample" / "items.jsonl").read_text().splitlines()]
AVAILABLE = {item["id"] for item in ITEMS if item.get("available", True)}


@pytest.fixture(scope="module")
def channel(gateway: RunningGateway) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(gateway.address) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> RecommenderServiceStub:
    return RecommenderServiceStub(channel)


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


INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_FIELD")


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
            (pb.RecommendRequest(text="tea", item_mask={"paths": ["attributes.nonsense"]}), "item_mask"),
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
                    text="tea", conditions=[filter_pb2.AttributeCondition(attribute="wheels", equals=True)]
                ),
                "conditions[0].attribute",
            ),
            (
                pb.RecommendRequest(
                    text="tea", conditions=[filter_pb2.AttributeCondition(attribute="price", equals=True)]
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
    def test_nothing_to_go_on(self, stub: RecommenderServiceStub, request_) -> None:
        code, reason, fields = refused(stub.Recommend, request_)
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_NOTHING_TO_GO_ON")
        assert len(fields) == 1

    def test_what_is_not_served_yet_says_so(self, stub: RecommenderServiceStub, channel: grpc.Channel) -> None:
        unimplemented = (grpc.StatusCode.UNIMPLEMENTED, "ERROR_REASON_NOT_SERVED")
        request = pb.RecommendRequest(text="tea", event_token="t")
        assert refused(stub.Recommend, request) == (*unimplemented, ["event_token"])
        events = event_pb2_grpc.EventServiceStub(channel)
        assert refused(events.RecordEvents, event_pb2.RecordEventsRequest())[:2] == unimplemented

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


class TestAnswered:
    @pytest.mark.parametrize("text", ["tea", "☕", "🎉🎉🎉", "кофе", "コーヒー", "café", "قهوة", "a" * 8192, "茶 tea"])
    def test_any_language(self, client: Client, text: str) -> None:
        reply = client.recommend(text)
        assert len(reply.items) + reply.shortfall_count == 10
        assert {item.id for item in reply.items} <= AVAILABLE

    @pytest.mark.parametrize("text", ["горячий кофе с молоком", "コーヒー豆", "قهوة عربية", "안녕하세요", "茶"])
    def test_what_the_encoder_cannot_read_is_never_ranked_by_meaning(self, client: Client, text: str) -> None:
        reply = client.recommend(text)
        assert [one.reason for one in reply.degradations] == [DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED]
        assert {one.source.name for item in reply.items for one in item.provenance} <= {"LEXICAL"}

    @pytest.mark.parametrize("text", ["un café tranquille", "ein leiser Film über das Meer", "naïve"])
    def test_latin_script_is_read(self, client: Client, text: str) -> None:
        assert client.recommend(text).degradations == ()

    def test_long_text_is_cut_and_says_so(self, client: Client) -> None:
        reply = client.recommend("green tea and quiet mornings " * 250)
        assert [one.reason for one in reply.degradations] == [DegradationReason.TEXT_TRUNCATED]

    def test_unknown_items_among_known_ones_are_named(self, client: Client) -> None:
        reply = client.recommend(item_ids=["nope-1", "goods-phone-a", "nope-2"], events=[Event("no-3", EventKind.VIEW)])
        assert reply.unknown_item_ids == ("no-3", "nope-1", "nope-2")
        assert len(reply.items) == 10

    def test_item_the_catalogue_lacks_is_told_by_its_title(self, client: Client) -> None:
        reply = client.recommend(events=[Event("x", EventKind.BUY, item_title="espresso machine with milk frother")])
        assert reply.unknown_item_ids == ()
        assert any("coffee" in item.id for item in reply.items[:3])

    def test_excluded_and_unavailable_never_appear(self, client: Client) -> None:
        everything = client.recommend("something nice", k=1000)
        assert {item.id for item in everything.items} == AVAILABLE
        assert everything.shortfall_count == 1000 - len(AVAILABLE)
        gone = [item.id for item in everything.items[:20]]
        rest = client.recommend("something nice", k=1000, exclude_item_ids=gone)
        assert [item.id for item in rest.items] == [item.id for item in everything.items[20:]]

    def test_ten_thousand_exclusions(self, client: Client) -> None:
        exclude = [f"{number:0255d}" for number in range(9_999)] + ["goods-linen-shirt"]
        reply = client.recommend("good quality at a fair price", exclude_item_ids=exclude)
        assert reply.items[0].id == "goods-canvas-sneakers"

    def test_conditions(self, client: Client) -> None:
        items = {item["id"]: item for item in ITEMS}
        conditions = [AnyOf("category", ["goods"]), Range("price", max=20.0), AnyOf("tags", ["coffee"], negate=True)]
        reply = client.recommend("a gift", conditions=conditions, k=1000)
        expected = {
            item["id"]
            for item in ITEMS
            if item["category"] == "goods"
            and item.get("price", 1e9) <= 20
            and "coffee" not in item.get("tags", [])
            and item["id"] in AVAILABLE
        }
        assert {item.id for item in reply.items} == expected
        assert expected and all(items[item_id]["price"] <= 20 for item_id in expected)

    def test_condition_of_the_wrong_type_names_the_fitting_one(self, client: Client) -> None:
        with pytest.raises(Exception, match="range fits it"):
            client.recommend("a gift", conditions=[Equals("price", value=True)])

    def test_item_details_by_mask(self, client: Client) -> None:
        wanted = client.recommend("linen shirt", k=1, item_mask=["title", "attributes.link"]).items[0].item
        assert wanted.title == "Linen Shirt"
        assert wanted.text == ""
        assert wanted.attributes == {"link": "https://shop.example/items/goods-linen-shirt"}
        everything = client.recommend("linen shirt", k=1, item_mask=["*"]).items[0].item
        source = next(item for item in ITEMS if item["id"] == "goods-linen-shirt")
        assert everything.attributes["tags"] == tuple(source["tags"])
        assert everything.attributes["price"] == source["price"]
        assert client.recommend("linen shirt", k=1).items[0].item is None

    def test_text_and_history_together_name_both_sources(self, client: Client) -> None:
        reply = client.recommend("coffee", item_ids=["goods-coffee-hazelnut"], explain=True)
        assert len(reply.items[0].provenance) == 2
        assert reply.items[0].explanation.because_of_item_id == "goods-coffee-hazelnut"
        scores = [item.score for item in reply.items]
        assert scores == sorted(scores, reverse=True)

    def test_disliked_item_stays_away_even_when_seen_ones_may_come(self, client: Client) -> None:
        events = [Event("goods-coffee-hazelnut", EventKind.DISLIKE)]
        reply = client.recommend("hazelnut coffee", events=events, include_seen=True, k=300)
        assert "goods-coffee-hazelnut" not in {item.id for item in reply.items}

    def test_no_deadline(self, stub: RecommenderServiceStub) -> None:
        assert len(stub.Recommend(pb.RecommendRequest(text="tea"), timeout=None).items) == 10

    def test_stage_times_add_up(self, client: Client) -> None:
        times = client.recommend("tea", explain=True).stage_times
        parts = times.parse_ms + times.represent_ms + times.recall_ms + times.rank_ms + times.explain_ms
        assert 0 < times.triton_ms <= times.represent_ms
        assert parts <= times.total_ms

    def test_request_id_is_the_callers(self, client: Client, gateway: RunningGateway) -> None:
        assert client.recommend("tea", request_id="find-me-42").request_id == "find-me-42"
        assert "find-me-42" in gateway.text()

    def test_what_people_write_is_not_logged(self, client: Client, gateway: RunningGateway) -> None:
        client.recommend("a zanzibarian quokka", user_id="user-canary-77")
        assert "quokka" not in gateway.text()
        assert "user-canary-77" not in gateway.text()

    def test_batch_errors_per_entry(self, client: Client) -> None:
        good, bad, also_good = client.batch_recommend(
            [RecommendRequest("tea"), RecommendRequest("tea", k=0), RecommendRequest(item_ids=["goods-phone-a"])]
        )
        assert len(good.items) == len(also_good.items) == 10
        assert isinstance(bad, EntryError)
        assert [one.field for one in bad.violations] == ["k"]
        assert [item.id for item in good.items] == [item.id for item in client.recommend("tea").items]


class TestEmbed:
    def test_a_text_has_one_vector_whatever_its_company(self, gateway: RunningGateway) -> None:
        texts = ["tea", "a long walk " * 40, "coffee beans", "质量好"] * 20
        with Client(gateway.address, deadline_s=30.0) as client:
            together = client.embed(texts)
            alone = [np.array(client.embed([text]).embeddings[0].vector) for text in texts[:4]]
        vectors = np.array([one.vector for one in together.embeddings])
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-4)
        for place in range(4):
            assert np.abs(vectors[place::4] - alone[place]).max() < 1e-4
        assert together.embeddings[0].token_count == 3
        assert [one.truncated for one in together.embeddings[:4]] == [False, False, False, False]


class TestStandardServices:
    def test_health_per_service(self, channel: grpc.Channel) -> None:
        health = health_pb2_grpc.HealthStub(channel)
        services = ("", *(f"shortlist.v1.{name}Service" for name in ("Recommender", "Embedding", "Event")))

        def status() -> list[int]:
            requests = [health_pb2.HealthCheckRequest(service=service) for service in services]
            return [health.Check(request, timeout=5).status for request in requests]

        # An encoder that is busy with the test above may be late for its watch, and is reported until the next look.
        until(lambda: status() == [1, 1, 1, 2], 10, "all serve but events")

    def test_reflection_describes_the_contract(self, channel: grpc.Channel) -> None:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "shortlist.v1.RecommenderService" in database.get_services()
        file = database.FindFileContainingSymbol("shortlist.v1.RecommendRequest")
        assert file.package == "shortlist.v1"

    def test_metrics_have_stages_and_no_personal_labels(self, client: Client, gateway: RunningGateway) -> None:
        client.recommend("tea", user_id="user-label-5")
        with urllib.request.urlopen(f"http://{gateway.metrics_address}/metrics", timeout=5) as page:
            text = page.read().decode()
        for stage in ("represent", "queue", "triton", "recall", "rank"):
            assert f'shortlist_stage_seconds_count{{stage="{stage}"}}' in text
        assert 'shortlist_calls_total{code="OK",method="Recommend"}' in text
        assert f'shortlist_release_info{{release_id="{gateway.release_id}"}} 1.0' in text
        assert "shortlist_event_loop_lag_seconds_count" in text
        assert "user-label-5" not in text


class TestSpeed:
    def test_the_gateways_own_share_is_small(self, client: Client) -> None:
        own = []
        for number in range(60):
            times = client.recommend(f"a film about {number} friends").stage_times
            own.append(times.total_ms - times.triton_ms)
        # The figure to reach is 3 ms at the median, measured by `make bench-main`; here only that nothing is broken, on
        # cores that another worker's tests use too.
        assert sorted(own)[15] < 15

    def test_a_cancelled_call_does_not_hold_up_others(self, client: Client, stub: RecommenderServiceStub) -> None:
        calls = [stub.Recommend.future(pb.RecommendRequest(text=f"tea {n}"), timeout=5) for n in range(50)]
        for call in calls[::2]:
            call.cancel()
        started = time.monotonic()
        assert all(len(call.result().items) == 10 for call in calls[1::2])
        assert time.monotonic() - started < 5
