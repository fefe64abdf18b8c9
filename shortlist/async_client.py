"""The client for an event loop; its methods are those of `client`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self, TypeVar, Unpack

import grpc
from google.protobuf.message import Message

from shortlist.call import Call, Calls
from shortlist.channel import Tls, open_async_channel
from shortlist.enums import HealthStatus, TextRole
from shortlist.health import HealthStub
from shortlist.messages import batch_message, embed_message, health_message, rank_message, recommend_message
from shortlist.replies import read_batch, read_embeddings, read_health, read_ranking, read_shortlist
from shortlist.requests import Event, RecommendFields, RecommendRequest
from shortlist.results import Embeddings, EntryError, Shortlist, TextRanking
from shortlist.retry import DEFAULT_RETRY, Retry
from shortlist.v1.embedding_pb2_grpc import EmbeddingServiceStub
from shortlist.v1.ranker_pb2_grpc import RankerServiceStub
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub

_Reply = TypeVar("_Reply")
_Result = TypeVar("_Result")


class AsyncClient:
    """Calls a Shortlist gateway from one event loop. Make one for the whole program and share it between tasks.

    Make it inside the running loop, as gRPC binds to it; it connects with the first call. Close it, or use it in an
    `async with` statement.
    """

    def __init__(
        self, address: str, *, tls: Tls | None = None, deadline_s: float = 1.0, retry: Retry | None = DEFAULT_RETRY
    ) -> None:
        """Makes a client. The arguments are those of Client.

        Raises:
            RuntimeError: no event loop runs.
            ValueError: the deadline is not above 0.
        """
        asyncio.get_running_loop()
        self._calls = Calls(deadline_s, retry)
        self._channel = open_async_channel(address, tls)
        self._recommender = RecommenderServiceStub(self._channel)
        self._embedder = EmbeddingServiceStub(self._channel)
        self._ranker = RankerServiceStub(self._channel)
        self._health = HealthStub(self._channel)

    async def recommend(
        self,
        text: str | None = None,
        *,
        deadline_s: float | None = None,
        request_id: str | None = None,
        **fields: Unpack[RecommendFields],
    ) -> Shortlist:
        """Returns the best items for one caller, as Client.recommend."""
        call = self._calls.begin(deadline_s, request_id)
        message = recommend_message(RecommendRequest(text, **fields))
        return await self._send(self._recommender.Recommend, message, read_shortlist, call)

    async def batch_recommend(
        self,
        requests: Sequence[RecommendRequest],
        *,
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> list[Shortlist | EntryError]:
        """Returns the best items for each of many callers, as Client.batch_recommend."""
        call = self._calls.begin(deadline_s, request_id)
        message = batch_message(requests)
        reader = partial(read_batch, sent_count=len(message.requests))
        return await self._send(self._recommender.BatchRecommend, message, reader, call)

    async def rank(  # noqa: PLR0913 -- each is a field of the request
        self,
        query: str | None,
        candidates: Sequence[str] | Mapping[str, str],
        *,
        events: Sequence[Event] = (),
        item_ids: Sequence[str] = (),
        k: int | None = None,
        personalization: float | None = None,
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> TextRanking:
        """Ranks texts that are in no catalogue, as Client.rank."""
        call = self._calls.begin(deadline_s, request_id)
        message = rank_message(
            query, candidates, events=events, item_ids=item_ids, k=k, personalization=personalization
        )
        return await self._send(self._ranker.Rank, message, read_ranking, call)

    async def embed(
        self,
        texts: Sequence[str],
        *,
        role: TextRole | None = None,
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> Embeddings:
        """Encodes texts, as Client.embed."""
        call = self._calls.begin(deadline_s, request_id)
        message = embed_message(texts, role)
        reader = partial(read_embeddings, sent_count=len(message.texts))
        return await self._send(self._embedder.Embed, message, reader, call)

    async def health(self, service: str = "", *, deadline_s: float | None = None) -> HealthStatus:
        """Asks whether a service takes calls, as Client.health."""
        call = self._calls.begin(deadline_s, None)
        return await self._send(self._health.Check, health_message(service), read_health, call)

    async def close(self) -> None:
        """Ends the calls under way and disconnects. Safe to repeat."""
        self._calls.close()
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(
        self, rpc: Callable[..., Awaitable[_Reply]], message: Message, reader: Callable[[_Reply], _Result], call: Call
    ) -> _Result:
        while True:
            try:
                reply = await rpc(message, timeout=call.remaining_s(), metadata=call.metadata)
            except grpc.RpcError as error:
                pause_s = call.pause_before_repeat_s(error)
            else:
                return call.read(reader, reply)
            await asyncio.sleep(pause_s)
