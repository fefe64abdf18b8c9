"""Bulk streams of both clients against a gateway over a real socket."""

import grpc
import pytest

import shortlist
from shortlist import AsyncClient, Client, Embedding, EntryError, RecommendRequest, Shortlist, VectorFormat
from shortlist.replies import read_embedding_entry, read_stream_entry
from shortlist.v1 import embedding_pb2, recommender_pb2
from tests.support.fakes import Refusal


@pytest.fixture
def client(make_client, gateway):
    return make_client(gateway.address, deadline_s=5.0, retry=None)


def test_every_request_has_an_outcome_in_order(client, gateway):
    texts = [*(f"t{number}" for number in range(600)), "refuse", "last"]
    outcomes = list(client.recommend_stream((RecommendRequest(text, k=1) for text in texts), request_id="q-1"))
    assert len(outcomes) == 602
    assert [type(one) for one in outcomes[599:]] == [Shortlist, EntryError, Shortlist]
    assert outcomes[600].reason == shortlist.ErrorReason.INVALID_FIELD
    assert [one.request.text for one in gateway.requests] == texts
    assert dict(gateway.metadata[0])["x-request-id"] == "q-1"


def test_texts_become_vectors(client, gateway):
    outcomes = list(client.embed_stream(["a", "bb"], role="QUERY", vector_format=VectorFormat.INT8))
    assert [(type(one), one.token_count, list(one.vector)) for one in outcomes] == [
        (Embedding, 1, [1.0, 0.0]),
        (Embedding, 2, [1.0, 0.0]),
    ]
    assert gateway.requests[1] == embedding_pb2.EmbedStreamRequest(
        text="bb", role="TEXT_ROLE_QUERY", vector_format="VECTOR_FORMAT_INT8"
    )


def test_an_outcome_of_a_newer_gateway_is_an_error_not_a_success():
    for read, entry in (
        (read_stream_entry, recommender_pb2.RecommendStreamResponse()),
        (read_embedding_entry, embedding_pb2.EmbedStreamResponse()),
    ):
        assert read(entry).code == "UNKNOWN"


def test_a_stream_has_no_deadline_unless_one_is_given(client, gateway):
    list(client.embed_stream(["a"]))
    assert gateway.time_left_s[-1] is None or gateway.time_left_s[-1] > 10**6
    list(client.embed_stream(["a"], deadline_s=7))
    assert 0 < gateway.time_left_s[-1] <= 7.1


def test_what_the_callers_own_iterator_raises_reaches_the_caller(client):
    def broken():
        yield "a"
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"):
        list(client.embed_stream(broken()))
    with pytest.raises(ValueError, match="not both"):
        list(client.recommend_stream([RecommendRequest("a", user_id="u", session_id="s")]))
    with pytest.raises(TypeError, match="sequence of strings"):
        list(client.embed_stream("abc"))


def test_a_failed_stream_says_so_like_any_call(client, gateway):
    gateway.plan = [None, Refusal(grpc.StatusCode.UNAVAILABLE, "stopping", reason="ERROR_REASON_NO_RELEASE")]
    with pytest.raises(shortlist.Unavailable) as caught:
        list(client.embed_stream(["a", "b", "c"]))
    # grpc.aio now and then loses the status of a stream that ends while it writes.
    assert caught.value.reason in (shortlist.ErrorReason.NO_RELEASE, shortlist.ErrorReason.UNSPECIFIED)


def test_outcomes_come_while_more_is_sent(gateway):
    """The next text is made from the outcome before."""
    with Client(gateway.address) as client:
        seen = []

        def texts():
            yield "a"
            while len(seen) < 1:
                pass
            yield seen[0]

        for outcome in client.embed_stream(texts()):
            seen.append("x" * outcome.token_count)
    assert seen == ["x", "x"]


async def test_an_async_iterator_may_give_the_entries(gateway):
    async def texts():
        for text in ("a", "bb"):
            yield text

    async with AsyncClient(gateway.address) as client:
        counts = [one.token_count async for one in client.embed_stream(texts())]
    assert counts == [1, 2]


def test_leaving_a_stream_ends_it(gateway):
    with Client(gateway.address) as client:
        for _ in client.embed_stream(str(number) for number in range(10**9)):
            break
        assert client.embed(["a"]).vectors
