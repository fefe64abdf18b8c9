"""The client for threads. `async_client` is the same for an event loop; what both do alike stands in `call`."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from typing_extensions import Self, Unpack

from shortlist.call import Call, Caller, Calls
from shortlist.catalog_calls import CatalogCalls
from shortlist.channel import ANY_HEALTH, Tls, open_channel
from shortlist.condition_messages import several
from shortlist.enums import HealthStatus, TextRole, VectorFormat
from shortlist.event_calls import EventCalls
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
from shortlist.streams import stream
from shortlist.v1.catalog_pb2_grpc import CatalogServiceStub
from shortlist.v1.embedding_pb2_grpc import EmbeddingServiceStub
from shortlist.v1.event_pb2_grpc import EventServiceStub
from shortlist.v1.ranker_pb2_grpc import RankerServiceStub
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub

_Reply = TypeVar("_Reply")
_Result = TypeVar("_Result")


class Client(CatalogCalls, EventCalls):
    """Calls a Shortlist gateway. Thread-safe: make one for the whole program and share it.

    Usable at once; it connects with the first call. Close it, or use it in a `with` statement.
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
        """Makes a client.

        Args:
            address: `HOST:PORT`, or any name that gRPC resolves; several addresses behind it share the calls.
            tls: encryption; None talks in the clear.
            deadline_s: how long a call may take that gives no deadline of its own, in seconds.
            retry: how calls that could not reach the gateway are repeated; None never repeats.
            criticality: `critical`, `default` or `sheddable`: under overload the gateway refuses sheddable calls first.
            token: API key or JSON Web Token, or a function that returns the one in force at each call.

        Raises:
            ValueError: the deadline is not above 0, or there is no such criticality.
        """
        self._calls = Calls(deadline_s, retry, Caller(criticality, token))
        self._channel = open_channel(address, tls)
        self._recommender = RecommenderServiceStub(self._channel)
        self._embedder = EmbeddingServiceStub(self._channel)
        self._ranker = RankerServiceStub(self._channel)
        self._catalog = CatalogServiceStub(self._channel)
        self._health_channel = open_channel(address, tls, extra_options=ANY_HEALTH)
        self._health = HealthStub(self._health_channel)
        self._events = EventServiceStub(self._channel)

    def recommend(
        self,
        text: str | None = None,
        *,
        deadline_s: float | None = None,
        request_id: str | None = None,
        **fields: Unpack[RecommendFields],
    ) -> Shortlist:
        """Returns the best items for one caller.

        Args:
            text: what the caller looks for, free text of any language.
            deadline_s: how long the call may take, a repeat included, in seconds; None takes the client's.
            request_id: the id for the gateway's log, 1 to 128 printable ASCII characters; None makes one.
            **fields: `user_id`, `session_id`, `events`, `item_ids`, `history_encoding`, `exclude_item_ids`,
                `conditions`, `any_of_groups`, `k` (10), `explain`, `item_mask`, `item_attributes`, `include_seen`,
                `personalization`, `interpretation`, `preferences`, `min_relevance`, `candidate_item_ids`,
                `page_token`, `language`, `exact_spelling`, `arrangement`, `scene`, `event_token`, `profile`,
                `seen_rules`, `without_repeats`: see RecommendRequest.

        Raises:
            ShortlistCallError: the call failed; the subclass says how.
            ValueError: a value that no message can hold, or both a user and a session.
            TypeError: a field of the wrong type, or one that does not exist.
        """
        call = self._calls.begin(deadline_s, request_id)
        message = recommend_message(RecommendRequest(text, **fields))
        return self._send(self._recommender.Recommend, message, read_shortlist, call)

    def batch_recommend(
        self,
        requests: Sequence[RecommendRequest],
        *,
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> list[Shortlist | EntryError]:
        """Returns the best items for each of many callers, in one call. One's error does not fail the others.

        Args:
            requests: 1 to 256 requests.
            deadline_s: how long the call may take, a repeat included, in seconds; None takes the client's.
            request_id: the id for the gateway's log; None makes one.

        Returns:
            A shortlist or an error for each request, in the same order.

        Raises:
            ShortlistCallError: the call as a whole failed.
            ValueError, TypeError: as `recommend`.
        """
        call = self._calls.begin(deadline_s, request_id)
        message = batch_message(requests)
        reader = partial(read_batch, sent_count=len(message.requests))
        return self._send(self._recommender.BatchRecommend, message, reader, call)

    def rank(  # noqa: PLR0913 -- each is a field of the request
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
        """Ranks texts that are in no catalogue.

        Args:
            query: what the user looks for; None where the history alone ranks.
            candidates: 1 to 1,000 texts, or texts by id.
            events: what the user did.
            item_ids: items of the catalogue that the user likes.
            k: how many to return; None for all.
            personalization: how much the history counts beside a query, 0 to 1; None for the gateway's default.
            deadline_s: how long the call may take, in seconds; None takes the client's.
            request_id: the id for the gateway's log; None makes one.

        Raises:
            ShortlistCallError: the call failed.
            ValueError, TypeError: a value that no message can hold.
        """
        call = self._calls.begin(deadline_s, request_id)
        message = rank_message(
            query, candidates, events=events, item_ids=item_ids, k=k, personalization=personalization
        )
        return self._send(self._ranker.Rank, message, read_ranking, call)

    def embed(
        self,
        texts: Sequence[str],
        *,
        role: TextRole | None = None,
        vector_format: VectorFormat | None = None,
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> Embeddings:
        """Encodes texts with the encoder of the live release.

        Args:
            texts: 1 to 256 texts, each up to 8 KiB.
            role: what they are, for encoders that put a prompt before queries or passages; None puts none.
            vector_format: how vectors are sent: float32 (None), or half or a quarter as many bytes.
            deadline_s: how long the call may take, a repeat included, in seconds; None takes the client's.
            request_id: the id for the gateway's log; None makes one.

        Returns:
            A unit vector for each text, in the same order.

        Raises:
            ShortlistCallError: the call failed.
            TypeError: one string instead of a sequence of strings.
            ValueError: there is no such role or format.
        """
        call = self._calls.begin(deadline_s, request_id)
        message = embed_message(texts, role, vector_format)
        reader = partial(read_embeddings, sent_count=len(message.texts))
        return self._send(self._embedder.Embed, message, reader, call)

    def recommend_stream(
        self,
        requests: Iterable[RecommendRequest],
        *,
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> Iterator[Shortlist | EntryError]:
        """Yields the best items for each of any number of callers, in order, while more are sent.

        Bulk work: there is no limit to their number, memory stays bounded on both sides, and single calls go first.
        One's error does not fail the others.

        Args:
            requests: read as fast as the gateway takes them, in a thread of gRPC.
            deadline_s: how long the whole stream may take, in seconds; None for as long as it needs.
            request_id: the id for the gateway's log; None makes one.

        Raises:
            ShortlistCallError: the stream failed; what has no outcome yet may be sent again.
            ValueError, TypeError: as `recommend`.
        """
        call = self._calls.begin_stream(deadline_s, request_id)
        rpc = self._recommender.RecommendStream
        return stream(rpc, requests, recommend_stream_message, read_stream_entry, call)

    def embed_stream(
        self,
        texts: Iterable[str],
        *,
        role: TextRole | None = None,
        vector_format: VectorFormat | None = None,
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> Iterator[Embedding | EntryError]:
        """Yields the vector of each of any number of texts, in order, while more are sent.

        Bulk work: there is no limit to their number, memory stays bounded on both sides, and single calls go first.
        One's error does not fail the others.

        Args:
            texts: read as fast as the gateway takes them, in a thread of gRPC.
            role: as in `embed`.
            vector_format: as in `embed`.
            deadline_s: how long the whole stream may take, in seconds; None for as long as it needs.
            request_id: the id for the gateway's log; None makes one.

        Raises:
            ShortlistCallError: the stream failed; what has no outcome yet may be sent again.
            ValueError, TypeError: as `embed`.
        """
        call = self._calls.begin_stream(deadline_s, request_id)
        build = partial(embed_stream_message, role=role, vector_format=vector_format)
        return stream(self._embedder.EmbedStream, several("texts", texts), build, read_embedding_entry, call)

    def health(self, service: str = "", *, deadline_s: float | None = None) -> HealthStatus:
        """Asks whether a service takes calls.

        Args:
            service: for example `shortlist.v1.RecommenderService`; empty asks for the whole gateway.
            deadline_s: how long the call may take, a repeat included, in seconds; None takes the client's.

        Raises:
            ShortlistCallError: the call failed; code NOT_FOUND for a service that the gateway does not have.
        """
        call = self._calls.begin(deadline_s, None)
        return self._send(self._health.Check, health_message(service), read_health, call)

    def close(self) -> None:
        """Ends the calls under way and disconnects. Safe to repeat."""
        self._calls.close()
        self._channel.close()
        self._health_channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _send(
        self, rpc: Callable[..., _Reply], message: Message, reader: Callable[[_Reply], _Result], call: Call
    ) -> _Result:
        while True:
            try:
                reply = rpc(message, timeout=call.remaining_s(), metadata=call.metadata)
            except grpc.RpcError as error:
                pause_s = call.pause_before_repeat_s(error)
            else:
                return call.read(reader, reply)
            time.sleep(pause_s)
