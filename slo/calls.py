"""Calls that a run sends: each is built once, before the run, for gRPC and for HTTP peers alike."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from domain.errors import ConfigurationError
from shortlist import RecommendRequest, TextRole
from shortlist.messages import batch_message, embed_message, rank_message, recommend_message
from shortlist.v1 import embedding_pb2, ranker_pb2, recommender_pb2


class CallKind(enum.StrEnum):
    """Kinds of calls of a mix."""

    TEXT = "text"
    """Recommend by a text."""
    HISTORY = "history"
    """Recommend by what the caller did."""
    EMBED = "embed"
    """Embed one text as a query."""
    RANK = "rank"
    """Rank texts by a query."""
    BATCH = "batch"
    """BatchRecommend of several texts."""


@dataclass(frozen=True, slots=True)
class Call:
    """Call as it is sent.

    Attributes:
        kind: what is asked.
        message: the serialised request of the contract.
        text: the query; empty for a history.
        item_ids: the history's items, oldest first.
        k: how many results are wanted.
        answers: the item ids that a good answer holds; empty where none are known.
    """

    kind: CallKind
    message: bytes
    text: str = ""
    item_ids: tuple[str, ...] = ()
    k: int = 10
    answers: frozenset[str] = frozenset()

    def request(self) -> dict[str, object]:
        """Returns the request in the JSON form of the contract's message."""
        return MessageToDict(_MESSAGES[self.kind].FromString(self.message), preserving_proto_field_name=True)


_MESSAGES: Mapping[CallKind, type[Message]] = {
    CallKind.TEXT: recommender_pb2.RecommendRequest,
    CallKind.HISTORY: recommender_pb2.RecommendRequest,
    CallKind.EMBED: embedding_pb2.EmbedRequest,
    CallKind.RANK: ranker_pb2.RankRequest,
    CallKind.BATCH: recommender_pb2.BatchRecommendRequest,
}


def text_call(text: str, k: int, answers: frozenset[str] = frozenset()) -> Call:
    """Builds a Recommend by a text."""
    message = recommend_message(RecommendRequest(text, k=k))
    return Call(CallKind.TEXT, message.SerializeToString(), text=text, k=k, answers=answers)


def embed_call(text: str) -> Call:
    """Builds an Embed of one text."""
    return Call(CallKind.EMBED, embed_message([text], TextRole.QUERY).SerializeToString(), text=text)


def rank_call(query: str, candidates: Sequence[str], k: int) -> Call:
    """Builds a Rank of candidates by a query."""
    message = rank_message(query, candidates, k=min(k, len(candidates)))
    return Call(CallKind.RANK, message.SerializeToString(), text=query, k=k)


def batch_call(texts: Sequence[str], k: int) -> Call:
    """Builds a BatchRecommend of texts."""
    message = batch_message([RecommendRequest(text, k=k) for text in texts])
    return Call(CallKind.BATCH, message.SerializeToString(), text=texts[0], k=k)


def recorded_call(kind: str, request: Mapping[str, object]) -> Call:
    """Builds a call from its kind and its request in the JSON form of the contract's message.

    Raises:
        ConfigurationError: there is no such kind, or the request does not fit the message; the text says what is
            expected.
    """
    try:
        known = CallKind(kind)
    except ValueError as error:
        raise ConfigurationError(f"the call is one of {', '.join(CallKind)}, not {kind!r}") from error
    message = _MESSAGES[known]()
    try:
        ParseDict(dict(request), message)
    except ParseError as error:
        raise ConfigurationError(f"the request is not a valid {message.DESCRIPTOR.name}: {error}") from error
    if not isinstance(message, recommender_pb2.RecommendRequest):
        return Call(known, message.SerializeToString(), text=_text_of(message))
    ids = (*(event.item_id for event in message.events), *message.item_ids)
    k = message.k if message.HasField("k") else 10
    return Call(known, message.SerializeToString(), text=message.text, item_ids=ids, k=k)


def _text_of(message: Message) -> str:
    match message:
        case ranker_pb2.RankRequest():
            return str(message.query)
        case embedding_pb2.EmbedRequest():
            return str(message.texts[0]) if message.texts else ""
        case recommender_pb2.BatchRecommendRequest():
            return str(message.requests[0].text) if message.requests else ""
    return ""
