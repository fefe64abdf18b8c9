"""Both clients against a gateway over a real socket: what is sent, and what comes back."""

import datetime
import pickle
import threading

import grpc
import pytest

import shortlist
from shortlist import (
    AnyNumber,
    AnyOf,
    Client,
    EntryError,
    Equals,
    Event,
    EventKind,
    Exists,
    GeoRadius,
    HealthStatus,
    HistoryEncoding,
    Provenance,
    Range,
    RankedText,
    RecallSource,
    RecommendRequest,
    Shortlist,
    TextRanking,
    TimeRange,
    Tls,
)
from shortlist.v1 import embedding_pb2, event_pb2, ranker_pb2, recommender_pb2
from tests.support.fakes import FakeGateway, Refusal


def test_every_argument_reaches_the_gateway(client, gateway):
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    client.recommend(
        "a heist",
        user_id="u1",
        events=[Event("a", EventKind.BUY, time=when, comment="good", item_title="A")],
        item_ids=("b",),
        history_encoding=HistoryEncoding.TEXT,
        exclude_item_ids=["c"],
        conditions=[
            AnyOf("genre", ["crime"]),
            Range("year", min=0.0, negate=True),
            Equals("in_stock", value=False),
            TimeRange("seen", min=when, max=when.astimezone(datetime.timezone(datetime.timedelta(hours=2)))),
            AnyOf("genre", ("Noir",), ignore_case=True),
            AnyNumber("size", [14.5]),
            AnyNumber("size", [1, 2]),
            Exists("size"),
            Exists("size", value=False),
            GeoRadius("lat", "lon", latitude=0.0, longitude=13.4, radius_km=2.5, negate=True),
        ],
        any_of_groups=[[Equals("in_stock", value=True), Range("year", max=3)], [Exists("year")]],
        k=3,
        explain=True,
        item_mask=["title"],
        item_attributes=["Price (EUR)"],
        include_seen=True,
    )
    expected = recommender_pb2.RecommendRequest(
        user_id="u1",
        text="a heist",
        events=[
            {
                "item_id": "a",
                "kind": event_pb2.EVENT_KIND_BUY,
                "time": {"seconds": int(when.timestamp())},
                "comment": "good",
                "item_title": "A",
            }
        ],
        item_ids=["b"],
        history_encoding=recommender_pb2.HISTORY_ENCODING_TEXT,
        exclude_item_ids=["c"],
        conditions=[
            {"attribute": "genre", "any_of": {"values": ["crime"]}},
            {"attribute": "year", "range": {"min": 0.0}, "negate": True},
            {"attribute": "in_stock", "bool_equals": False},
            {
                "attribute": "seen",
                "time_range": {"min": {"seconds": int(when.timestamp())}, "max": {"seconds": int(when.timestamp())}},
            },
            {"attribute": "genre", "any_of": {"values": ["Noir"], "ignore_case": True}},
            {"attribute": "size", "number_equals": 14.5},
            {"attribute": "size", "any_number": {"values": [1, 2]}},
            {"attribute": "size", "exists": True},
            {"attribute": "size", "exists": False},
            {
                "attribute": "lat",
                "geo_radius": {"longitude_attribute": "lon", "latitude": 0.0, "longitude": 13.4, "radius_km": 2.5},
                "negate": True,
            },
        ],
        any_of_groups=[
            {
                "conditions": [
                    {"attribute": "in_stock", "bool_equals": True},
                    {"attribute": "year", "range": {"max": 3}},
                ]
            },
            {"conditions": [{"attribute": "year", "exists": True}]},
        ],
        k=3,
        explain=True,
        item_mask={"paths": ["title"]},
        item_attributes=["Price (EUR)"],
        include_seen=True,
    )
    assert gateway.requests == [expected]


def test_what_is_not_given_is_not_sent(client, gateway):
    client.recommend(item_ids=["a"])
    assert gateway.requests == [recommender_pb2.RecommendRequest(item_ids=["a"])]
    assert not gateway.requests[0].HasField("text")
    assert not gateway.requests[0].HasField("item_mask")


def test_reply_becomes_a_typed_shortlist(client, gateway):
    gateway.reply = recommender_pb2.RecommendResponse(
        items=[
            {
                "id": "a",
                "rank": 1,
                "score": 2.0,
                "similarity": 0.0,
                "provenance": [{"source": recommender_pb2.RECALL_SOURCE_FRESH, "rank": 4, "score": 0.5}],
                "explanation": {"text": "Because.", "matched_terms": ["x"]},
                "item": {
                    "id": "a",
                    "title": "A",
                    "attributes": {
                        "s": {"string_value": "text"},
                        "n": {"number_value": 2.5},
                        "b": {"bool_value": False},
                        "l": {"string_list_value": {"values": ["p", "q"]}},
                        "t": {"timestamp_value": {"seconds": 60, "nanos": 1_500_999}},
                    },
                },
            },
            {"id": "b", "rank": 2},
        ],
        release_id="r7",
        stage_times={"total_ms": 3.0, "triton_ms": 2.0},
        degradations=[{"reason": recommender_pb2.DEGRADATION_REASON_TEXT_TRUNCATED, "detail": "cut"}],
        shortfall_count=8,
        unknown_token_share=0.25,
        unknown_item_ids=["zzz"],
        request_id="q1",
    )
    result = client.recommend("x")
    first, second = result.items
    assert (first.id, first.rank, first.score, first.similarity) == ("a", 1, 2.0, 0.0)
    assert first.provenance == (Provenance(RecallSource.FRESH, 4, 0.5),)
    assert first.explanation == shortlist.Explanation("Because.", ("x",), None, None)
    moment = datetime.datetime(1970, 1, 1, 0, 1, 0, 1_500, tzinfo=datetime.UTC)
    assert first.item.attributes == {"s": "text", "n": 2.5, "b": False, "l": ("p", "q"), "t": moment}
    assert (second.similarity, second.explanation, second.item) == (None, None, None)
    assert (result.release_id, result.shortfall_count, result.request_id) == ("r7", 8, "q1")
    assert (result.stage_times.total_ms, result.stage_times.triton_ms) == (3.0, 2.0)
    assert result.degradations == (shortlist.Degradation(shortlist.DegradationReason.TEXT_TRUNCATED, "cut"),)
    assert (result.unknown_token_share, result.unknown_item_ids) == (0.25, ("zzz",))
    assert pickle.loads(pickle.dumps(result)) == result


def test_names_of_a_newer_gateway_are_kept(client, gateway):
    reply = recommender_pb2.RecommendResponse(items=[{"id": "a", "rank": 1, "provenance": [{"source": 77}]}])
    reply.degradations.add(reason=99)
    gateway.reply = reply
    result = client.recommend("x")
    assert result.items[0].provenance[0].source == "UNKNOWN_77"
    assert result.degradations[0].reason.name == "UNKNOWN_99"
    assert pickle.loads(pickle.dumps(result)) == result


def test_batch_keeps_order_and_errors_apart(client):
    answers = client.batch_recommend(
        [RecommendRequest("a", k=1), RecommendRequest("refuse"), RecommendRequest("c", k=2)]
    )
    assert [type(answer) for answer in answers] == [Shortlist, EntryError, Shortlist]
    assert [len(answers[0].items), len(answers[2].items)] == [1, 2]
    assert (answers[1].code, answers[1].reason) == ("INVALID_ARGUMENT", "ERROR_REASON_INVALID_FIELD")
    assert answers[1].violations == (shortlist.FieldViolation("k", "must be 1 to 1,000"),)


def test_batch_entry_without_a_known_outcome_is_an_error(client, gateway):
    gateway.reply = recommender_pb2.BatchRecommendResponse(entries=[{}])
    (answer,) = client.batch_recommend([RecommendRequest("a")])
    assert isinstance(answer, EntryError)


def test_rank_sends_every_argument_and_reads_the_reply(client, gateway):
    texts = {"first": "green tea", "second": "black tea", "third": "coffee"}
    ranking = client.rank(
        "a tea",
        texts,
        events=[Event("e", EventKind.BUY, item_title="E")],
        item_ids=("i",),
        k=2,
        personalization=0.0,
        request_id="r-7",
    )
    assert gateway.requests == [
        ranker_pb2.RankRequest(
            query="a tea",
            candidates=[{"id": name, "text": text} for name, text in texts.items()],
            events=[{"item_id": "e", "kind": event_pb2.EVENT_KIND_BUY, "item_title": "E"}],
            item_ids=["i"],
            k=2,
            personalization=0.0,
        )
    ]
    assert gateway.requests[0].HasField("personalization")
    assert ranking == TextRanking(
        results=(
            RankedText(2, "third", 1, 1.0, 0.9, 0.8, 1 / 3, ("a", "tea")),
            RankedText(1, "second", 2, 0.5, 0.45, 0.4, 1 / 3, ("a", "tea")),
        ),
        release_id="r1",
        stage_times=ranking.stage_times,
        degradations=(),
        unknown_item_ids=(),
        request_id="r-7",
    )
    assert ranking.stage_times.total_ms == 2.5


def test_rank_without_ids_or_a_query(client, gateway):
    ranking = client.rank(None, ["a", "b"], item_ids=["i"])
    (request,) = gateway.requests
    assert [request.HasField(name) for name in ("query", "k", "personalization")] == [False] * 3
    assert [(one.index, one.id, one.similarity, one.relevance) for one in ranking.results] == [
        (1, "", 0.9, None),
        (0, "", None, None),
    ]


def test_rank_refuses_a_lone_string_and_names_an_unknown_degradation(client, gateway):
    with pytest.raises(TypeError, match="candidates is a sequence of strings"):
        client.rank("tea", "a kettle")
    gateway.reply = ranker_pb2.RankResponse(degradations=[{"reason": 99, "detail": "new"}], unknown_item_ids=["x"])
    ranking = client.rank("tea", ["a kettle"])
    assert (ranking.degradations[0].reason, ranking.unknown_item_ids) == ("UNKNOWN_99", ("x",))


def test_rank_raises_what_the_gateway_refuses(client, gateway):
    gateway.plan = [
        Refusal(grpc.StatusCode.INVALID_ARGUMENT, "bad", reason="INVALID_FIELD", violations={"candidates": "none"})
    ]
    with pytest.raises(shortlist.InvalidRequest) as refusal:
        client.rank("tea", [])
    assert refusal.value.violations[0].field == "candidates"


def test_embed_gives_a_vector_for_each_text(client):
    embeddings = client.embed(["one", "three"])
    assert [list(vector) for vector in embeddings.vectors] == [[1.0, 0.0], [1.0, 0.0]]
    assert [one.token_count for one in embeddings.embeddings] == [3, 5]
    assert memoryview(embeddings.vectors[0]).format == "f"


def test_a_reply_that_does_not_fit_is_refused(client, gateway):
    gateway.reply = embedding_pb2.EmbedResponse(embeddings=[{"vector": [1.0]}])
    with pytest.raises(shortlist.GatewayFault, match="1 entries to 2") as caught:
        client.embed(["a", "b"])
    assert caught.value.request_id == dict(gateway.metadata[0])["x-request-id"]


def test_request_id_is_sent_and_made_where_none_is_given(client, gateway):
    assert client.recommend("x", request_id="mine-1").request_id == "mine-1"
    made = [client.recommend("x").request_id for _ in range(2)]
    assert all(len(one) == 32 for one in made)
    assert made[0] != made[1]


def test_health_of_the_real_health_service(client, gateway):
    assert client.health() == HealthStatus.SERVING
    gateway.health.set("shortlist.v1.EmbeddingService", 2)
    assert client.health("shortlist.v1.EmbeddingService") == HealthStatus.NOT_SERVING
    with pytest.raises(shortlist.ShortlistCallError) as caught:
        client.health("nobody")
    assert caught.value.code == "NOT_FOUND"


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"user_id": "u", "session_id": "s"}, ValueError),
        ({"item_ids": "abc"}, TypeError),
        ({"item_mask": "title"}, TypeError),
        ({"conditions": [AnyOf("genre", "crime")]}, TypeError),
        ({"k": 2**40}, ValueError),
        ({"events": [Event("a", "BOUGHT")]}, ValueError),
        ({"events": [Event("a", EventKind.BUY, time=datetime.datetime(2026, 1, 1))]}, ValueError),
        ({"conditions": [TimeRange("seen", min=datetime.datetime(2026, 1, 1))]}, ValueError),
        ({"kk": 3}, TypeError),
        ({"deadline_s": 0.0}, ValueError),
        ({"deadline_s": float("nan")}, ValueError),
        ({"request_id": "a\nb"}, ValueError),
        ({"request_id": ""}, ValueError),
    ],
)
def test_what_no_message_can_hold_is_refused_unsent(client, gateway, keywords, error):
    with pytest.raises(error):
        client.recommend("x", **keywords)
    assert gateway.requests == []


def test_the_role_of_texts_to_embed_is_sent(client, gateway):
    for role, sent in ((None, "UNSPECIFIED"), (shortlist.TextRole.QUERY, "QUERY"), ("PASSAGE", "PASSAGE")):
        client.embed(["x"], role=role)
        assert embedding_pb2.TextRole.Name(gateway.requests[-1].role) == f"TEXT_ROLE_{sent}"
    with pytest.raises(ValueError, match="ANSWER"):
        client.embed(["x"], role="ANSWER")


def test_a_lone_text_is_not_embedded_letter_by_letter(client):
    with pytest.raises(TypeError, match="sequence of strings"):
        client.embed("heist")


def test_a_closed_client_says_so(client):
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.recommend("x")


def test_an_async_client_needs_a_running_loop():
    with pytest.raises(RuntimeError, match="no running event loop"):
        shortlist.AsyncClient("127.0.0.1:1")


def test_a_sync_client_is_shared_by_threads(gateway):
    with Client(gateway.address, deadline_s=20.0) as shared:
        answers = []
        threads = [
            threading.Thread(target=lambda k=k: answers.append((k, len(shared.recommend("x", k=k).items))))
            for k in range(1, 17)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == [(k, k) for k in range(1, 17)]


def test_replies_over_four_mebibytes_arrive(client, gateway):
    items = [{"id": f"{rank}", "rank": rank, "item": {"text": "x" * 8000}} for rank in range(1, 1001)]
    gateway.reply = recommender_pb2.RecommendResponse(items=items)
    assert len(client.recommend("x", k=1000, item_mask=["text"]).items) == 1000


def test_tls_with_a_certificate_of_another_name(make_client, self_signed):
    key, certificate = self_signed
    fake = FakeGateway().start(credentials=grpc.ssl_server_credentials([(key, certificate)]))
    try:
        tls = Tls(certificate, server_name="gateway.test")
        assert make_client(fake.address, tls=tls, deadline_s=5.0).recommend("x").release_id == "r1"
        with pytest.raises(shortlist.Unavailable):
            make_client(fake.address, tls=Tls(certificate), deadline_s=5.0).recommend("x")
    finally:
        fake.stop()


def test_tls_files_are_read(tmp_path, self_signed):
    path = tmp_path / "ca.pem"
    path.write_bytes(self_signed[1])
    assert Tls.from_files(path, server_name="n") == Tls(self_signed[1], server_name="n")
    with pytest.raises(ValueError, match="belong together"):
        Tls(private_key=b"k")
    assert "secret" not in repr(Tls(private_key=b"secret", certificate_chain=b"c"))


def test_a_refused_call_leaves_the_client_usable(client, gateway):
    gateway.plan = [Refusal(grpc.StatusCode.INVALID_ARGUMENT)]
    with pytest.raises(shortlist.InvalidRequest):
        client.recommend("x")
    assert client.recommend("x", k=1).items[0].id == "item-1"


def test_criticality_goes_along_with_each_call(make_client, gateway):
    client = make_client(gateway.address, deadline_s=5.0, criticality="sheddable")
    client.recommend("x")
    assert dict(gateway.metadata[-1])["x-criticality"] == "sheddable"
    make_client(gateway.address, deadline_s=5.0).recommend("x")
    assert "x-criticality" not in dict(gateway.metadata[-1])
    with pytest.raises(ValueError, match="critical, default or sheddable"):
        make_client(gateway.address, criticality="vip")
