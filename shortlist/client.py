"""The client for threads. `async_client` is the same for an event loop; what both do alike stands in `call`."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self, TypeVar, Unpack

import grpc
from google.protobuf.message import Message

from shortlist.call import Call, Calls
from shortlist.channel import Tls, open_channel
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


class Client:
    """Calls a Shortlist gateway. Thread-safe: make one for the whole program and share it.

    Usable at once; it connects with the first call. Close it, or use it in a `with` statement.
    """

    def __init__(
        self, address: str, *, tls: Tls | None = None, deadline_s: float = 1.0, retry: Retry | None = DEFAULT_RETRY
    ) -> None:
        """Makes a client.

        Args:
            address: `HOST:PORT`, or any name that gRPC resolves; several addresses behind it share the calls.
            tls: encryption; None talks in the clear.
            deadline_s: how long a call may take that gives no deadline of its own, in seconds.
            retry: how calls that could not reach the gateway are repeated; None never repeats.

        Raises:
            ValueError: the deadline is not above 0.
        """
        self._calls = Calls(deadline_s, retry)
        self._channel = open_channel(address, tls)
        self._recommender = RecommenderServiceStub(self._channel)
        self._embedder = EmbeddingServiceStub(self._channel)
        self._ranker = RankerServiceStub(self._channel)
        self._health = HealthStub(self._channel)

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
                `conditions`, `k` (10), `explain`, `item_mask`, `include_seen`, `personalization`, `interpretation`,
                `preferences`, `min_relevance`, `candidate_item_ids`, `page_token`, `language`, `exact_spelling`: see
                RecommendRequest.

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
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> Embeddings:
        """Encodes texts with the encoder of the live release.

        Args:
            texts: 1 to 256 texts, each up to 8 KiB.
            role: what they are, for encoders that put a prompt before queries or passages; None puts none.
            deadline_s: how long the call may take, a repeat included, in seconds; None takes the client's.
            request_id: the id for the gateway's log; None makes one.

        Returns:
            A unit vector for each text, in the same order.

        Raises:
            ShortlistCallError: the call failed.
            TypeError: one string instead of a sequence of strings.
            ValueError: there is no such role.
        """
        call = self._calls.begin(deadline_s, request_id)
        message = embed_message(texts, role)
        reader = partial(read_embeddings, sent_count=len(message.texts))
        return self._send(self._embedder.Embed, message, reader, call)

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
