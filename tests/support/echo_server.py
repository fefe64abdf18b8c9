"""Real servers that tests put load on: a gRPC recommender whose work is a sleep behind places, and its HTTP twin."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from aiohttp import web

from shortlist.v1 import (
    embedding_pb2,
    embedding_pb2_grpc,
    ranker_pb2,
    ranker_pb2_grpc,
    recommender_pb2,
    recommender_pb2_grpc,
)


@dataclass
class Behaviour:
    """What the server does; tests change it.

    Attributes:
        service_s: time that a call holds one of the places.
        places: calls served at once: the capacity is places / service_s.
        stall: the second and length of a pause in which nothing is answered, in seconds since the first call.
        fail_every: every n-th call is refused.
        degrade_every: every n-th reply is degraded.
        reason: of the degradation.
    """

    service_s: float = 0.0
    places: int = 1_000
    stall: tuple[float, float] | None = None
    fail_every: int = 0
    degrade_every: int = 0
    reason: str = "ENCODER_UNAVAILABLE"


class _Work:
    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._places = asyncio.Semaphore(behaviour.places)
        self._first_s: float | None = None
        self.count = 0

    async def do(self) -> None:
        loop = asyncio.get_running_loop()
        if self._first_s is None:
            self._first_s = loop.time()
        self.count += 1
        if self._behaviour.stall is not None:
            begins_s, length_s = self._behaviour.stall
            into_s = loop.time() - self._first_s - begins_s
            if 0 <= into_s < length_s:
                await asyncio.sleep(length_s - into_s)
        async with self._places:
            if self._behaviour.service_s:
                await asyncio.sleep(self._behaviour.service_s)


class _Recommender(recommender_pb2_grpc.RecommenderServiceServicer):
    def __init__(self, behaviour: Behaviour, work: _Work) -> None:
        self._behaviour, self._work = behaviour, work

    async def Recommend(self, request, context):
        await self._work.do()
        if self._behaviour.fail_every and self._work.count % self._behaviour.fail_every == 0:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        return self._reply(request)

    async def BatchRecommend(self, request, context):
        await self._work.do()
        entries = [
            recommender_pb2.BatchRecommendEntry(error=recommender_pb2.EntryError(code=3))
            if one.text == "refuse"
            else recommender_pb2.BatchRecommendEntry(response=self._reply(one))
            for one in request.requests
        ]
        return recommender_pb2.BatchRecommendResponse(entries=entries)

    def _reply(self, request):
        reply = recommender_pb2.RecommendResponse(release_id="r")
        reply.items.extend(recommender_pb2.RecommendedItem(id=f"i{n}", rank=n) for n in range(1, request.k + 1))
        if self._behaviour.degrade_every and self._work.count % self._behaviour.degrade_every == 0:
            reply.degradations.add(reason=f"DEGRADATION_REASON_{self._behaviour.reason}")
        return reply


class _Embedder(embedding_pb2_grpc.EmbeddingServiceServicer):
    async def Embed(self, request, context):
        return embedding_pb2.EmbedResponse(release_id="r")


class _Ranker(ranker_pb2_grpc.RankerServiceServicer):
    async def Rank(self, request, context):
        return ranker_pb2.RankResponse(release_id="r")


@contextmanager
def grpc_server(behaviour: Behaviour) -> Iterator[str]:
    """Runs the gRPC server in a thread of its own and yields its address."""

    async def start():
        server = grpc.aio.server()
        recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(_Recommender(behaviour, _Work(behaviour)), server)
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(_Embedder(), server)
        ranker_pb2_grpc.add_RankerServiceServicer_to_server(_Ranker(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return f"127.0.0.1:{port}", lambda: server.stop(0)

    with _in_thread(start) as address:
        yield address


@contextmanager
def http_server(behaviour: Behaviour) -> Iterator[str]:
    """Runs the HTTP server likewise and yields its URL; it notes what it was sent in `received`."""
    work: list[_Work] = []

    async def search(request):
        await work[0].do()
        sent = await request.json() if request.can_read_body else dict(request.query)
        http_server.received.append(sent)
        if sent.get("query") == "refuse":
            return web.json_response({"error": "no"}, status=503)
        if sent.get("query") == "garble":
            return web.json_response({"hits": []})
        count = int(sent.get("top", 10))
        return web.json_response({"results": [{"id": f"i{n}"} for n in range(1, count + 1)]})

    async def start():
        work.append(_Work(behaviour))
        app = web.Application()
        app.router.add_route("*", "/search", search)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/search", runner.cleanup

    http_server.received = []
    with _in_thread(start) as url:
        yield url


@contextmanager
def _in_thread(start) -> Iterator[str]:
    ready: Future = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        address, end = await start()
        ready.set_result((address, asyncio.get_running_loop(), stop))
        await stop.wait()
        await end()

    def main() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    address, loop, stop = ready.result(timeout=20)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=20)
