"""The interceptor around a tiny servicer, over a real grpc.aio server."""

import asyncio
import contextlib
import re

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from domain.errors import NoRelease
from server.rpc.call import current_call
from server.rpc.interceptor import CallInterceptor, DeadlineLimits
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub, add_RecommenderServiceServicer_to_server
from tests.support.fakes_server import NotedCalls, ToldServicer

METHOD = "/shortlist.v1.RecommenderService/Recommend"
LIMITS = DeadlineLimits(default_s=10.0, longest_s=20.0)
LIMIT_BYTES = 2_000
REQUEST = pb.RecommendRequest(text="tea")


class Intercepted:
    """A server on a port of its own, and a channel to it.

    Attributes:
        channel: to it.
        stub: over the channel.
        calls: the calls that its observer received.
        server: to stop it early.
        interceptor: the interceptor.
    """

    def __init__(self, answer, limits, before):
        self.calls = NotedCalls()
        self.interceptor = CallInterceptor(limits, 1_000, LIMIT_BYTES, self.calls)
        self.server = grpc.aio.server(
            interceptors=[*before, self.interceptor],
            options=(("grpc.max_send_message_length", LIMIT_BYTES),),
        )
        add_RecommenderServiceServicer_to_server(ToldServicer(answer), self.server)
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}")
        self.stub = RecommenderServiceStub(self.channel)

    async def refused(self, **how):
        """Makes a call that must fail; returns its code, message, ErrorInfo and everything that was sent with it."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.stub.Recommend(REQUEST, **how)
        return told(caught.value)


def told(error):
    """Returns code, message, ErrorInfo and all trailing metadata as one text."""
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    info = error_details_pb2.ErrorInfo()
    if status.details:
        assert (status.code, status.message) == (error.code().value[0], error.details())
        assert status.details[0].Unpack(info)
    return error.code(), error.details(), info, repr(trailers)


@contextlib.asynccontextmanager
async def intercepted(answer, limits=LIMITS, before=()):
    serving = Intercepted(answer, limits, before)
    await serving.server.start()
    try:
        yield serving
    finally:
        await serving.channel.close()
        await serving.server.stop(None)


async def full(request):
    """Answers with the request id, as the real handlers do."""
    return pb.RecommendResponse(request_id=current_call.get().request_id)


def raising(error):
    async def answer(request):
        raise error

    return answer


class Stuck:
    """A handler that never answers; `began` and `ended` say how far it came."""

    def __init__(self):
        self.began = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, request):
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


async def test_a_reply_too_large_is_refused_with_a_reason():
    async def large(request):
        return pb.RecommendResponse(items=[{"id": "x" * 100}] * 30)

    async with intercepted(large) as serving:
        code, message, info, _ = await serving.refused()
        size = (await large(REQUEST)).ByteSize()
        assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_REPLY_TOO_LARGE")
        assert f"{size:,}" in message
        assert f"{LIMIT_BYTES:,}" in message
        assert "ask for fewer items, entries or details" in message
        assert await serving.calls.next() == (METHOD, "INVALID_ARGUMENT")


@pytest.mark.parametrize(("extra", "answered"), [(0, True), (1, False)])
async def test_the_limit_itself_is_allowed(extra, answered):
    async def exact(request):
        reply = pb.RecommendResponse(release_id="x" * 1_000)
        reply.release_id += "x" * (LIMIT_BYTES - reply.ByteSize() + extra)
        assert reply.ByteSize() == LIMIT_BYTES + extra
        return reply

    async with intercepted(exact) as serving:
        if answered:
            assert (await serving.stub.Recommend(REQUEST)).ByteSize() == LIMIT_BYTES
        else:
            assert (await serving.refused())[0] == grpc.StatusCode.INVALID_ARGUMENT


async def test_an_internal_errors_text_never_reaches_the_caller():
    async with intercepted(raising(RuntimeError("secret-path"))) as serving:
        code, message, info, trailers = await serving.refused(metadata=(("x-request-id", "find-me"),))
        assert (code, info.reason) == (grpc.StatusCode.INTERNAL, "ERROR_REASON_INTERNAL")
        assert info.metadata["request_id"] == "find-me"
        assert "secret" not in message + trailers
        assert await serving.calls.next() == (METHOD, "INTERNAL")


async def test_a_domain_error_keeps_its_text():
    async with intercepted(raising(NoRelease("no release is live yet"))) as serving:
        code, message, info, _ = await serving.refused()
        assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_NO_RELEASE")
        assert message == "no release is live yet"


async def test_bytes_that_are_no_message():
    async with intercepted(full) as serving:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await serving.channel.unary_unary(METHOD)(b"\xff\xff\xff")
        code, _, info, _ = told(caught.value)
        assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_MALFORMED_MESSAGE")
        assert await serving.calls.next() == (METHOD, "INVALID_ARGUMENT")


class LateContext:
    """A call's context whose deadline has passed. A real one cannot be had reliably: grpc ends such calls itself."""

    def __init__(self, context):
        self._context = context

    def __getattr__(self, name):
        return getattr(self._context, name)

    def time_remaining(self):
        return -0.1


class LateArrival(grpc.aio.ServerInterceptor):
    """Comes before the interceptor and hands it a LateContext."""

    async def intercept_service(self, continuation, details):
        handler = await continuation(details)

        async def serve(raw, context):
            return await handler.stream_unary(raw, LateContext(context))

        return grpc.stream_unary_rpc_method_handler(serve, None, handler.response_serializer)


class TestDeadline:
    async def test_one_that_is_past_never_reaches_the_handler(self):
        stuck = Stuck()
        async with intercepted(stuck, before=[LateArrival()]) as serving:
            code, message, info, _ = await serving.refused()
            assert (code, info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "ERROR_REASON_DEADLINE_EXCEEDED")
            assert "had passed when the call arrived" in message
            assert not stuck.began.is_set()
            assert await serving.calls.next() == (METHOD, "DEADLINE_EXCEEDED")

    @pytest.mark.parametrize(
        ("limits", "how"),
        [
            (DeadlineLimits(default_s=0.05, longest_s=20.0), {}),
            (DeadlineLimits(default_s=0.05, longest_s=0.05), {"timeout": 20}),
        ],
        ids=["default", "cut"],
    )
    async def test_a_handler_that_overruns_is_ended(self, limits, how):
        stuck = Stuck()
        async with intercepted(stuck, limits) as serving:
            code, message, info, _ = await serving.refused(**how)
            assert (code, info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "ERROR_REASON_DEADLINE_EXCEEDED")
            assert "give it more time" in message
            assert stuck.ended.is_set()
            assert await serving.calls.next() == (METHOD, "DEADLINE_EXCEEDED")

    async def test_the_callers_own_is_handed_down(self):
        async def seconds_left(request):
            return pb.RecommendResponse(unknown_token_share=current_call.get().deadline.remaining_s())

        async with intercepted(seconds_left) as serving:
            for timeout, expected in ((5, 5), (None, 10), (60, 20)):
                reply = await serving.stub.Recommend(REQUEST, timeout=timeout)
                assert reply.unknown_token_share == pytest.approx(expected, abs=1)


async def test_a_caller_who_leaves_ends_the_handler():
    stuck = Stuck()
    async with intercepted(stuck) as serving:
        call = serving.stub.Recommend(REQUEST)
        await asyncio.wait_for(stuck.began.wait(), 10)
        call.cancel()
        await asyncio.wait_for(stuck.ended.wait(), 10)
        assert await serving.calls.next() == (METHOD, "CANCELLED")


async def test_a_stopping_server_answers_unavailable():
    stuck = Stuck()
    async with intercepted(stuck) as serving:
        refusal = asyncio.create_task(serving.refused())
        await asyncio.wait_for(stuck.began.wait(), 10)
        await serving.server.stop(0.05)
        code, *_ = await asyncio.wait_for(refusal, 10)
        assert code == grpc.StatusCode.UNAVAILABLE
        assert stuck.ended.is_set()
        assert await serving.calls.next() == (METHOD, "CANCELLED")


class TestTurningAway:
    async def test_new_calls_are_turned_away_and_those_under_way_are_answered(self):
        began, may_go_on = asyncio.Event(), asyncio.Event()

        async def held(request):
            began.set()
            await may_go_on.wait()
            return pb.RecommendResponse(release_id="answered")

        async with intercepted(held) as serving:
            first = asyncio.ensure_future(serving.stub.Recommend(REQUEST))
            await asyncio.wait_for(began.wait(), 10)
            draining = asyncio.create_task(serving.interceptor.drain(10))
            await asyncio.sleep(0)
            code, message, *_ = await serving.refused()
            assert (code, message) == (grpc.StatusCode.UNAVAILABLE, "the gateway is stopping; try another replica")
            assert await serving.calls.next() == (METHOD, "UNAVAILABLE")
            assert not draining.done()
            may_go_on.set()
            assert (await asyncio.wait_for(first, 10)).release_id == "answered"
            await asyncio.wait_for(draining, 10)

    async def test_a_call_that_never_ends_is_not_waited_for_any_longer_than_said(self):
        stuck = Stuck()
        async with intercepted(stuck) as serving:
            call = asyncio.ensure_future(serving.stub.Recommend(REQUEST))
            await asyncio.wait_for(stuck.began.wait(), 10)
            await asyncio.wait_for(serving.interceptor.drain(0.2), 10)
            assert not stuck.ended.is_set()
            call.cancel()


class TestRequestId:
    async def test_the_callers_is_echoed(self):
        async with intercepted(full) as serving:
            call = serving.stub.Recommend(REQUEST, metadata=(("x-request-id", "find-me-42"),))
            assert (await call).request_id == "find-me-42"
            assert dict(await call.trailing_metadata())["x-request-id"] == "find-me-42"

    @pytest.mark.parametrize("unloggable", ["", "two words", "x" * 129], ids=["empty", "space", "long"])
    async def test_an_unloggable_one_is_replaced(self, unloggable):
        async with intercepted(full) as serving:
            reply = await serving.stub.Recommend(REQUEST, metadata=(("x-request-id", unloggable),))
            assert re.fullmatch(r"[0-9a-f]{32}", reply.request_id)
