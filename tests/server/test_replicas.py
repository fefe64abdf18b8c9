"""Replicas that restart, start and join: callers notice nothing."""

import asyncio
import contextlib
import socket
from pathlib import Path

import grpc
import pytest

from server.listener import reserved
from server.rpc.connection import ConnectionLimits
from server.rpc.interceptor import CallInterceptor, DeadlineLimits
from shortlist import AsyncClient
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import add_RecommenderServiceServicer_to_server
from tests.support.fakes_server import NotedCalls, ToldServicer
from tests.support.replicas import Caller, Replicas
from tests.support.running import RunningGateway

AGE_S = 0.5


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
def test_restarts_of_two_replicas_under_load_cost_no_call(
    gateway: RunningGateway, releases: Path, model_repository: Path, tmp_path: Path
) -> None:
    folders = {"releases": str(releases), "model_repository": str(model_repository), "state": str(tmp_path)}
    replicas = Replicas(2, triton=gateway.triton_address, **folders)
    callers = [Caller(f"ipv4:{','.join(replicas.addresses)}") for _ in range(2)]
    try:
        for place in (0, 1, 0):
            replicas.restart(place)
    finally:
        for caller in callers:
            caller.close()
        replicas.close()
    assert [caller.errors for caller in callers] == [[], []]
    assert min(caller.outcomes["OK"] for caller in callers) > 20


class TestReservedPort:
    def test_it_refuses_connections_and_nobody_else_gets_it(self) -> None:
        with reserved("127.0.0.1:0") as port:
            with socket.socket() as caller:
                assert caller.connect_ex((port.host, port.port)) != 0
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with pytest.raises(OSError):
                    other.bind((port.host, port.port))

    async def test_a_server_listens_on_it(self) -> None:
        with reserved("127.0.0.1:0") as port:
            server = grpc.aio.server()
            port.listen(server, None)
            await server.start()
            with socket.create_connection((port.host, port.port), timeout=5):
                pass
            await server.stop(None)


@contextlib.asynccontextmanager
async def replica(name):
    """A server that opens its connections anew every half a second; yields its port."""

    async def answer(request):
        return pb.RecommendResponse(release_id=name)

    limits = ConnectionLimits(4_000_000, 16_384, 100, 100, age_s=AGE_S, age_grace_s=5, idle_s=60, ping_interval_s=10)
    interceptor = CallInterceptor(DeadlineLimits(1.0, 10.0), 100, 4_000_000, NotedCalls())
    server = grpc.aio.server(interceptors=[interceptor], options=limits.options())
    add_RecommenderServiceServicer_to_server(ToldServicer(answer), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


class Balancer:
    """A balancer of connections, as a Service with an address of its own: each new one goes to the next port."""

    def __init__(self):
        self.ports = []
        self._turn = 0

    async def __call__(self, reader, writer):
        self._turn += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.ports[self._turn % len(self.ports)])
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    @staticmethod
    async def _pump(source, sink):
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        with contextlib.suppress(OSError):
            sink.close()


async def test_a_third_replica_gets_work_within_the_age_of_connections():
    balancer = Balancer()
    async with contextlib.AsyncExitStack() as stack:
        balancer.ports = [await stack.enter_async_context(replica(name)) for name in ("one", "two")]
        front = await asyncio.start_server(balancer, "127.0.0.1", 0)
        address = f"127.0.0.1:{front.sockets[0].getsockname()[1]}"
        clients = [await stack.enter_async_context(AsyncClient(address, deadline_s=5.0)) for _ in range(2)]
        loop = asyncio.get_running_loop()
        for client in clients:
            await client.recommend("x")
        balancer.ports.append(await stack.enter_async_context(replica("three")))
        joined_s, waiting = loop.time(), set(clients)
        # Three connections each at most until it is the third replica's turn for both.
        while waiting and loop.time() - joined_s < 6 * AGE_S + 5:
            for client in clients:
                if (await client.recommend("x")).release_id == "three":
                    waiting.discard(client)
            await asyncio.sleep(0.02)
        assert not waiting
        front.close()
