"""Callers that send nothing, too much or garbage, over a real server: a typed status in time, and no traceback."""

import asyncio
import contextlib
import logging
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from server.rpc.connection import ConnectionLimits
from server.rpc.interceptor import CallInterceptor, DeadlineLimits
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import add_RecommenderServiceServicer_to_server
from tests.support.fakes_server import NotedCalls, ToldServicer

RECOMMEND = "/shortlist.v1.RecommenderService/Recommend"
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
EVERY_METHOD = (RECOMMEND, CHECK, WATCH, REFLECT)
DEFAULT_S = 0.3
LIMITS = ConnectionLimits(
    max_message_bytes=4_000_000,
    max_metadata_bytes=16_384,
    max_connections=4,
    max_streams=5,
    age_s=60,
    age_grace_s=1,
    idle_s=60,
    ping_interval_s=10,
)


@contextlib.asynccontextmanager
async def served(answer, max_calls=1_000):
    """Runs a server with the gateway's interceptor and limits, and yields its address."""
    deadlines = DeadlineLimits(default_s=DEFAULT_S, longest_s=10.0)
    interceptor = CallInterceptor(deadlines, max_calls, 1_000_000, NotedCalls())
    server = grpc.aio.server(interceptors=[interceptor], options=LIMITS.options())
    add_RecommenderServiceServicer_to_server(ToldServicer(answer), server)
    health_pb2_grpc.add_HealthServicer_to_server(health_aio.HealthServicer(), server)
    reflection.enable_server_reflection((reflection.SERVICE_NAME,), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def empty(request):
    return pb.RecommendResponse()


class Silence:
    """A request stream that yields nothing and never ends."""

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.Event().wait()


async def nothing():
    for _ in ():
        yield b""


async def one(message):
    yield message
    await asyncio.Event().wait()


async def code_of(channel, method, messages, **how):
    """Returns the status of a stream of raw messages, and how long it took in seconds."""
    started_s = time.monotonic()
    call = channel.stream_stream(method)(messages, **how)
    with contextlib.suppress(grpc.aio.AioRpcError):
        async for _ in call:
            pass
    return await call.code(), time.monotonic() - started_s


@pytest.mark.parametrize("method", EVERY_METHOD)
async def test_a_call_without_a_message_ends_within_the_default_deadline(method):
    async with served(empty) as address, grpc.aio.insecure_channel(address) as channel:
        code, took_s = await asyncio.wait_for(code_of(channel, method, Silence()), 5)
        assert code == grpc.StatusCode.DEADLINE_EXCEEDED
        assert DEFAULT_S - 0.05 <= took_s < DEFAULT_S + 1


@pytest.mark.parametrize("method", EVERY_METHOD)
async def test_a_call_that_closes_without_a_message_is_told_so(method):
    async with served(empty) as address, grpc.aio.insecure_channel(address) as channel:
        code, _ = await asyncio.wait_for(code_of(channel, method, nothing()), 5)
        assert code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", EVERY_METHOD)
async def test_malformed_bytes_are_an_invalid_argument_without_a_traceback(method, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    async with served(empty) as address, grpc.aio.insecure_channel(address) as channel:
        code, _ = await asyncio.wait_for(code_of(channel, method, one(b"\xff\xff\xff")), 5)
        assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert not [record for record in caplog.records if record.exc_info]
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("method", [CHECK, WATCH, REFLECT])
async def test_the_services_of_others_go_on_working(method):
    async with served(empty) as address, grpc.aio.insecure_channel(address) as channel:
        call = channel.stream_stream(method)(one(b"" if method != REFLECT else b"\x3a\x01*"))
        assert await asyncio.wait_for(call.read(), 5) is not grpc.aio.EOF
        call.cancel()
        unknown = await code_of(channel, CHECK, one(b"\x0a\x02no"))
        assert unknown[0] == grpc.StatusCode.NOT_FOUND


async def test_only_so_many_streams_are_open_on_one_connection():
    open_calls, most = 0, 0
    release = asyncio.Event()

    async def wait(request):
        nonlocal open_calls, most
        if request.k:
            return pb.RecommendResponse()
        open_calls += 1
        most = max(most, open_calls)
        await release.wait()
        open_calls -= 1
        return pb.RecommendResponse()

    async with served(wait) as address, grpc.aio.insecure_channel(address) as channel:
        recommend = channel.unary_unary(RECOMMEND)
        await recommend(pb.RecommendRequest(k=1).SerializeToString())  # or the limit is not known
        calls = [asyncio.ensure_future(recommend(b"", timeout=5)) for _ in range(40)]
        while most < LIMITS.max_streams:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert most == LIMITS.max_streams
        release.set()
        await asyncio.gather(*calls)


async def test_more_calls_than_allowed_are_refused_and_silent_ones_count():
    async with served(empty, max_calls=3) as address, grpc.aio.insecure_channel(address) as channel:
        silent = [asyncio.ensure_future(code_of(channel, RECOMMEND, Silence(), timeout=5)) for _ in range(3)]
        await asyncio.sleep(0.1)
        async with grpc.aio.insecure_channel(address) as other:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await other.unary_unary(RECOMMEND)(b"", timeout=5)
            assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "3 calls at once" in refused.value.details()
            assert await other.unary_unary(CHECK)(b"", timeout=5) is not None  # a probe tells of the process
        for call in silent:
            call.cancel()


async def test_headers_have_a_limit():
    async with served(empty) as address, grpc.aio.insecure_channel(address) as channel:
        recommend = channel.unary_unary(RECOMMEND)
        await recommend(b"", metadata=(("x-note", "a" * 12_000),))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await recommend(b"", metadata=(("x-note", "a" * 200_000),))
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_only_so_many_connections_are_open():
    async with served(empty) as address:
        host, _, port = address.partition(":")
        pairs = [await asyncio.open_connection(host, int(port)) for _ in range(LIMITS.max_connections)]
        await asyncio.sleep(0.2)
        reader, writer = await asyncio.open_connection(host, int(port))
        assert await asyncio.wait_for(reader.read(), 5) == b""  # closed at once
        for _, each in [*pairs, (reader, writer)]:
            each.close()
