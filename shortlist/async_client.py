"""The client for an event loop; its methods are those of `client`."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from typing_extensions import Self, Unpack

from shortlist.call import Call, Caller, Calls
from shortlist.catalog_calls import AsyncCatalogCalls
from shortlist.channel import ANY_HEALTH, Tls, open_async_channel
from shortlist.condition_messages import several
from shortlist.enums import HealthStatus, TextRole, VectorFormat
from shortlist.event_calls import AsyncEventCalls
from shortlist.health import HealthStub
from shortlist.messages import (
    batch_message,
    embed_message,
    embed_stream_message,
    health_message,
    rank_message,
    recommend_message,
    recommend_stream_message,
)
from shortlist.replies import (
    read_batch,
    read_embedding_entry,
    read_embeddings,
    read_health,
    read_ranking,
    read_shortlist,
    read_stream_entry,
)
from shortlist.requests import Event, RecommendFields, RecommendRequest
from shortlist.results import Embedding, Embeddings, EntryError, Shortlist, TextRanking
from shortlist.retry import DEFAULT_RETRY, Retry
from shortlist.streams import async_stream
from shortlist.v1.catalog_pb2_grpc import CatalogServiceStub
from shortlist.v1.embedding_pb2_grpc import EmbeddingServiceStub
from shortlist.v1.event_pb2_grpc import EventServiceStub
from shortlist.v1.ranker_pb2_grpc import RankerServiceStub
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub

_Reply = TypeVar("_Reply")
_Result = TypeVar("_Result")


class AsyncClient(AsyncEventCalls, AsyncCatalogCalls):
    """Calls a Shortlist gateway from one event loop. Make one for the whole program and share it between tasks.

    Make it inside the running loop, as gRPC binds to it; it connects with the first call. Close it, or use it in an
    `async with` statement.
    """

    def __init__(  # noqa: PLR0913 -- each is a setting of the caller's
        self,
        address: str,
        *,
        tls: Tls | None = None,
        deadline_s: float = 1.0,
        retry: Retry | None = DEFAULT_RETRY,
        criticality: str | None = None,
        token: str | Callable[[], str] | None = None,
    ) -> None:
        """Makes a client. The arguments are those of Client.

        Raises:
            RuntimeError: no event loop runs.
            ValueError: the deadline is not above 0, or there is no such criticality.
        """
        asyncio.get_running_loop()
        self._calls = Calls(deadline_s, retry, Caller(criticality, token))
        self._channel = open_async_channel(address, tls)
        self._recommender = RecommenderServiceStub(self._channel)
        self._embedder = EmbeddingServiceStub(self._channel)
        self._ranker = RankerServiceStub(self._channel)
        self._health_channel = open_async_channel(address, tls, extra_options=ANY_HEALTH)
        self._health = HealthStub(self._health_channel)
        self._events = EventServiceStub(self._channel)
        self._catalog = CatalogServiceStub(self._channel)

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
        vector_format: VectorFormat | None = None,
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> Embeddings:
        """Encodes texts, as Client.embed."""
        call = self._calls.begin(deadline_s, request_id)
        message = embed_message(texts, role, vector_format)
        reader = partial(read_embeddings, sent_count=len(message.texts))
        return await self._send(self._embedder.Embed, message, reader, call)

    def recommend_stream(
        self,
        requests: Iterable[RecommendRequest] | AsyncIterable[RecommendRequest],
        *,
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> AsyncIterator[Shortlist | EntryError]:
        """Yields the best items for each of any number of callers, as Client.recommend_stream."""
        call = self._calls.begin_stream(deadline_s, request_id)
        rpc = self._recommender.RecommendStream
        return async_stream(rpc, requests, recommend_stream_message, read_stream_entry, call)

    def embed_stream(
        self,
        texts: Iterable[str] | AsyncIterable[str],
        *,
        role: TextRole | None = None,
        vector_format: VectorFormat | None = None,
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> AsyncIterator[Embedding | EntryError]:
        """Yields the vector of each of any number of texts, as Client.embed_stream."""
        call = self._calls.begin_stream(deadline_s, request_id)
        build = partial(embed_stream_message, role=role, vector_format=vector_format)
        return async_stream(self._embedder.EmbedStream, several("texts", texts), build, read_embedding_entry, call)

    async def health(self, service: str = "", *, deadline_s: float | None = None) -> HealthStatus:
        """Asks whether a service takes calls, as Client.health."""
        call = self._calls.begin(deadline_s, None)
        return await self._send(self._health.Check, health_message(service), read_health, call)

    async def close(self) -> None:
        """Ends the calls under way and disconnects. Safe to repeat."""
        self._calls.close()
        await self._channel.close()
        await self._health_channel.close()

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
