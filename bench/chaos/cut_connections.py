"""Clients that die in the middle of a call: their connections end without a word of HTTP/2."""

import asyncio
import contextlib

import grpc

from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub


class CutConnections:
    """A relay in front of a gateway that drops connections, as a kernel does for a process that was killed."""

    def __init__(self, address: str) -> None:
        """Takes the gateway's HOST:PORT."""
        self._host, _, self._port = address.rpartition(":")
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._relays: set[asyncio.Task[None]] = set()
        # One at a time, so that the connections that are open are those of the call that is cut.
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> "CutConnections":
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._cut()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def call(self, request: pb.RecommendRequest, seconds: float) -> None:
        """Sends a call over a connection of its own and cuts that so many seconds later."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
        async with self._lock, grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            call = RecommenderServiceStub(channel).Recommend(request, timeout=2)
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError, TimeoutError):
                await asyncio.wait_for(call.wait_for_connection(), 2)
                await asyncio.sleep(seconds)
            self._cut()
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
                await call

    def _cut(self) -> None:
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)
        self._writers.append(writer)
        with contextlib.suppress(OSError):
            behind_reader, behind = await asyncio.open_connection(self._host, int(self._port))
            self._writers.append(behind)
            await asyncio.gather(_pump(reader, behind), _pump(behind_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await reader.read(65_536):
            writer.write(content)
            await writer.drain()
    writer.close()
