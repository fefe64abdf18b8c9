"""Deployments of the contract, over gRPC. Without the client's retries, which would hide errors and add load."""

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import grpc

from shortlist import Tls
from shortlist.channel import open_async_channel
from shortlist.v1 import embedding_pb2, ranker_pb2, recommender_pb2
from slo.calls import Call, CallKind
from slo.target import DEADLINE_EXCEEDED, OK, Connection, Reply

# Deadlines are sent in whole milliseconds.
_CLOCKS_S = 0.01
_REASONS = {number: name for name, number in recommender_pb2.DegradationReason.items()}


@dataclass(frozen=True, slots=True)
class GrpcTarget:
    """Deployment at an address.

    Attributes:
        address: host:port.
        tls: encryption; None for none.
        channel_count: connections of each generator process; calls take turns over them.
    """

    address: str
    tls: Tls | None = None
    channel_count: int = 4

    @property
    def name(self) -> str:
        """The address."""
        return self.address

    async def connect(self, calls: tuple[Call, ...]) -> Connection:
        """Opens the channels; they connect with the first call."""
        return _GrpcConnection(self, calls)


class _GrpcConnection:
    def __init__(self, target: GrpcTarget, calls: tuple[Call, ...]) -> None:
        # Channels of equal options would share one connection.
        own = (("grpc.use_local_subchannel_pool", 1),)
        self._channels = [
            open_async_channel(target.address, target.tls, extra_options=own) for _ in range(target.channel_count)
        ]
        self._messages = [call.message for call in calls]
        self._kinds = [call.kind for call in calls]
        self._turns = {kind: itertools.cycle([_rpc(channel, kind) for channel in self._channels]) for kind in CallKind}

    async def send(self, call_index: int, timeout_s: float) -> Reply:
        rpc = next(self._turns[self._kinds[call_index]])
        ends_s = time.monotonic() + timeout_s
        try:
            reply: Reply = await rpc(self._messages[call_index], timeout=timeout_s)
        except grpc.RpcError as error:
            # A server that notices the deadline first cancels the call.
            late = error.code() == grpc.StatusCode.CANCELLED and time.monotonic() >= ends_s - _CLOCKS_S
            return Reply(DEADLINE_EXCEEDED if late else error.code().name)
        return reply

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()


def _rpc(channel: grpc.aio.Channel, kind: CallKind) -> Callable[..., grpc.aio.UnaryUnaryCall]:
    """Makes the function that sends a serialised request; the reply is read by gRPC's deserialiser hook."""
    method, read = _METHODS[kind]
    rpc: Callable[..., grpc.aio.UnaryUnaryCall] = channel.unary_unary(method, response_deserializer=read)
    return rpc


def _read_recommend(raw: bytes) -> Reply:
    message = recommender_pb2.RecommendResponse.FromString(raw)
    return Reply(OK, _reasons(message.degradations), tuple(item.id for item in message.items))


def _read_batch(raw: bytes) -> Reply:
    """Reads a batch: its first refused entry decides the code, since every entry is a caller of its own."""
    reasons: dict[str, None] = {}
    for entry in recommender_pb2.BatchRecommendResponse.FromString(raw).entries:
        if not entry.HasField("response"):
            return Reply(_CODES.get(entry.error.code, "UNKNOWN"))
        reasons |= dict.fromkeys(_reasons(entry.response.degradations))
    return Reply(OK, tuple(reasons))


def _read_rank(raw: bytes) -> Reply:
    message = ranker_pb2.RankResponse.FromString(raw)
    return Reply(OK, _reasons(message.degradations), tuple(result.id for result in message.results))


def _read_embed(raw: bytes) -> Reply:
    embedding_pb2.EmbedResponse.FromString(raw)
    return Reply(OK)


def _reasons(degradations: Iterable[recommender_pb2.Degradation]) -> tuple[str, ...]:
    return tuple(_REASONS.get(one.reason, f"UNKNOWN_{one.reason}") for one in degradations)


_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
_METHODS: dict[CallKind, tuple[str, Callable[[bytes], Reply]]] = {
    CallKind.TEXT: ("/shortlist.v1.RecommenderService/Recommend", _read_recommend),
    CallKind.HISTORY: ("/shortlist.v1.RecommenderService/Recommend", _read_recommend),
    CallKind.BATCH: ("/shortlist.v1.RecommenderService/BatchRecommend", _read_batch),
    CallKind.EMBED: ("/shortlist.v1.EmbeddingService/Embed", _read_embed),
    CallKind.RANK: ("/shortlist.v1.RankerService/Rank", _read_rank),
}
