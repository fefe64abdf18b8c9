"""The arrival of a call, for admission: read from its headers and the size of its message, before that is parsed."""

import grpc

from server.admission.admission import Arrival
from server.admission.level import CRITICALITY_KEY, Criticality
from server.rpc.call import Call

_SINGLE = ("/shortlist.v1.RecommenderService/Recommend", "/shortlist.v1.RecommenderService/RecommendStream")
# Methods whose calls ask the encoder and the indexes. Others, such as events, take no place from them and are not
# refused for their sake: they have quotas alone.
_LIMITED = (
    *(f"/shortlist.v1.{name}Service/" for name in ("Recommender", "Embedding", "Ranker")),
    "/shortlist.v1.CatalogService/UpsertItems",
)
_LONG_LIVED = "/shortlist.v1.CatalogService/UpsertItemStream"
# A request of a batch, a text or a candidate has about as many bytes; as many of them are under way at once at most.
_BYTES_PER_UNIT = 256
_MOST_UNITS = 32
_BULK = Criticality.SHEDDABLE.value


def arrival_of(call: Call, message_bytes: int, context: grpc.aio.ServicerContext) -> Arrival:
    """Returns the arrival of a call.

    Raises:
        InvalidRequest: its metadata name a class of importance that does not exist.
    """
    single = call.method in _SINGLE
    # Streams are bulk: by default they give way to single calls.
    criticality = _metadata(context, CRITICALITY_KEY)
    if criticality is None and call.method.endswith("Stream"):
        criticality = _BULK
    return Arrival(
        caller=host_of(context.peer()) if call.identity is None else call.identity.name,
        criticality=Criticality.parse(criticality),
        remaining_s=call.deadline.remaining_s(),
        units=1 if single else _units(call.method, message_bytes),
        by_words=single,
        measured=single,
        quota=None if call.identity is None else call.identity.quota,
    )


def _units(method: str, message_bytes: int) -> int:
    if not method.startswith(_LIMITED) or method == _LONG_LIVED:
        return 0
    return min(_MOST_UNITS, 1 + message_bytes // _BYTES_PER_UNIT)


def host_of(peer: str) -> str:
    """Returns the host of gRPC's name of a peer, without its port: `ipv4:10.0.0.7:5061` is `ipv4:10.0.0.7`."""
    return peer if peer.startswith("unix:") else peer.rpartition(":")[0] or peer


def _metadata(context: grpc.aio.ServicerContext, wanted: str) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == wanted:
            return value if isinstance(value, str) else ""
    return None
