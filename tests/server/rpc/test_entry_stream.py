"""Bulk streams around a tiny servicer, over a real grpc.aio server."""

import asyncio
import contextlib
import random
import time
from types import SimpleNamespace

import grpc
import grpc.aio
import pytest

from domain.errors import FieldViolation, InvalidRequest, Overloaded
from server.rpc.call import current_call
from server.rpc.entry_stream import StreamLimits, current_stream
from server.rpc.interceptor import CallInterceptor, DeadlineLimits
from server.rpc.reply import entry_error
from server.security.api_keys import new_key
from server.security.authentication import Authenticator
from server.security.scopes import Scope
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1 import recommender_pb2_grpc
from tests.support.fakes_server import NotedCalls

NOTHING_CAME = "no entry came for 0.3 s; open another stream when there is more"
METHOD = "/shortlist.v1.RecommenderService/RecommendStream"


class Entries(recommender_pb2_grpc.RecommenderServiceServicer):
    """Answers each entry by `answer`, and notes how many it began and how many were under way at once."""

    def __init__(self, answer):
        self._answer = answer
        self.begun = self.under_way = self.most_under_way = 0

    def RecommendStream(self, requests, context):
        return current_stream.get().replies(requests, self._entry, self._error)

    async def _entry(self, entry):
        self.begun += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            text = await self._answer(entry.request.text)
        finally:
            self.under_way -= 1
        return pb.RecommendStreamResponse(response=pb.RecommendResponse(release_id=text))

    @staticmethod
    def _error(status):
        return pb.RecommendStreamResponse(error=entry_error(status))


@contextlib.asynccontextmanager
async def serving(answer, window=8, idle_s=5.0, entry_s=5.0, authenticator=None):
    limits = DeadlineLimits(1.0, 20.0, StreamLimits(window, idle_s, entry_s))
    interceptor = CallInterceptor(limits, 1_000, 100_000, NotedCalls(), authenticator=authenticator)
    server = grpc.aio.server(interceptors=[interceptor])
    servicer = Entries(answer)
    recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel, servicer, interceptor
    await server.stop(0)


def opened(channel, requests=None, **how):
    return recommender_pb2_grpc.RecommenderServiceStub(channel).RecommendStream(requests, **how)


def entry(text):
    return pb.RecommendStreamRequest(request=pb.RecommendRequest(text=text))


async def end_of(call):
    """The code and message of a stream that fails next."""
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call.read()
    return ended.value.code(), ended.value.details()


async def same(text):
    return text


async def now_and_then(text):
    await asyncio.sleep(random.choice((0, 0, 0.003)))
    return text


async def test_more_than_a_batch_holds_is_answered_in_order_within_the_window():
    async with serving(now_and_then) as (channel, servicer, _):
        replies = [one async for one in opened(channel, (entry(str(number)) for number in range(700)))]
    assert [(one.index, one.response.release_id) for one in replies] == [(n, str(n)) for n in range(700)]
    assert 1 < servicer.most_under_way <= 8


async def test_an_entrys_error_is_its_own():
    async def answer(text):
        if text == "bad":
            raise InvalidRequest(FieldViolation("k", "must be smaller"))
        if text == "fault":
            raise RuntimeError("a secret")
        if text == "large":
            return "x" * 200_000
        return text

    async with serving(answer) as (channel, _, _):
        texts = ["a", "bad", "fault", "large", "b"]
        replies = [one async for one in opened(channel, (entry(text) for text in texts))]
    assert [one.WhichOneof("outcome") for one in replies] == ["response", "error", "error", "error", "response"]
    assert [one.error.reason for one in replies[1:4]] == [
        pb.ERROR_REASON_INVALID_FIELD,
        pb.ERROR_REASON_INTERNAL,
        pb.ERROR_REASON_REPLY_TOO_LARGE,
    ]
    assert replies[1].error.field_violations[0].field == "k"
    assert "secret" not in str(replies)


async def test_a_stream_does_not_outlive_its_key():
    key, kept = new_key("a", frozenset({Scope.READ}), days=1, quota=None)
    known = {kept.sha256: kept}
    keys = SimpleNamespace(get=lambda: known)
    async with serving(same, authenticator=Authenticator(keys)) as (channel, _, _):
        call = opened(channel, metadata=(("authorization", f"Bearer {key}"),))
        await call.write(entry("a"))
        assert (await call.read()).response.release_id == "a"
        known.clear()
        await call.write(entry("b"))
        assert (await call.read()).error.reason == pb.ERROR_REASON_UNAUTHENTICATED
        call.cancel()


async def test_a_caller_who_takes_no_replies_is_held_back():
    """Its messages are not read: memory is bounded by the window and the buffers of the connection."""
    async with serving(lambda text: same("y" * 50_000)) as (channel, servicer, _):
        sent = 0

        async def endless():
            nonlocal sent
            for _ in range(5_000):
                sent += 1
                yield entry("x" * 10_000)

        call = opened(channel, endless())
        assert (await call.read()).index == 0
        await asyncio.sleep(1.0)
        begun, far = servicer.begun, sent
        await asyncio.sleep(0.5)
        assert (servicer.begun, sent) == (begun, far)
        assert begun < 300 and far < 2_000
        call.cancel()


async def test_overload_makes_entries_wait_instead_of_failing():
    refused = []

    async def answer(text):
        if len(refused) < 3:
            refused.append(text)
            raise Overloaded("full", retry_after_s=0.05)
        return text

    async with serving(answer, window=1) as (channel, _, _):
        replies = [one async for one in opened(channel, (entry(text) for text in "ab"))]
    assert [one.response.release_id for one in replies] == ["a", "b"]
    assert refused == ["a", "a", "a"]


async def test_an_entry_has_a_time_of_its_own():
    async def answer(text):
        assert current_call.get().deadline.remaining_s() <= 0.2
        await asyncio.sleep(10 if text == "slow" else 0)
        return text

    async with serving(answer, entry_s=0.2) as (channel, _, _):
        replies = [one async for one in opened(channel, (entry(text) for text in ("slow", "b")))]
    assert replies[0].error.reason == pb.ERROR_REASON_DEADLINE_EXCEEDED
    assert replies[1].response.release_id == "b"


@pytest.mark.parametrize("sent", [0, 3])
async def test_a_stream_that_brings_nothing_is_ended(sent):
    async with serving(same, idle_s=0.3) as (channel, _, _):
        call = opened(channel)
        for number in range(sent):
            await call.write(entry(str(number)))
            assert (await call.read()).index == number
        started_s = time.monotonic()
        assert await end_of(call) == (grpc.StatusCode.DEADLINE_EXCEEDED, NOTHING_CAME)
        assert 0.2 < time.monotonic() - started_s < 2


async def test_the_streams_own_deadline_ends_it():
    async with serving(lambda text: asyncio.sleep(30)) as (channel, servicer, _):
        call = opened(channel, timeout=0.3)
        await call.write(entry("a"))
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        async with asyncio.timeout(3):
            while servicer.under_way:
                await asyncio.sleep(0.01)


async def test_bytes_that_are_no_message_end_the_stream():
    async with serving(same) as (channel, _, _):
        call = channel.stream_stream(METHOD)(iter([b"\xff\xff"]))
        assert (await end_of(call))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_empty_stream_is_answered_by_none():
    async with serving(same) as (channel, _, _):
        call = opened(channel, iter(()))
        assert [one async for one in call] == []
        assert await call.code() is grpc.StatusCode.OK
        assert dict(await call.trailing_metadata())["x-request-id"]


async def test_a_gateway_that_stops_answers_what_it_took():
    gate = asyncio.Event()

    async def answer(text):
        await gate.wait()
        return text

    async with serving(answer) as (channel, servicer, interceptor):
        call = opened(channel)
        for number in range(3):
            await call.write(entry(str(number)))
        while servicer.begun < 3:
            await asyncio.sleep(0.01)
        draining = asyncio.create_task(interceptor.drain(5.0))
        await asyncio.sleep(0.05)
        gate.set()
        assert [(await call.read()).index for _ in range(3)] == [0, 1, 2]
        assert (await end_of(call))[0] is grpc.StatusCode.UNAVAILABLE
        await asyncio.wait_for(draining, 3)


async def test_a_caller_who_leaves_ends_the_work():
    async with serving(lambda text: asyncio.sleep(30)) as (channel, servicer, _):
        call = opened(channel)
        await call.write(entry("a"))
        while servicer.begun < 1:
            await asyncio.sleep(0.01)
        call.cancel()
        async with asyncio.timeout(3):
            while servicer.under_way:
                await asyncio.sleep(0.01)
