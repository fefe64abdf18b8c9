"""Protobuf requests to encode texts to checked domain requests."""

from domain.prompts import TextRole
from domain.recommendation import EmbedQuery
from server.rpc.parse import Check, RequestLimits
from shortlist.v1 import embedding_pb2

_ROLES = {
    embedding_pb2.TEXT_ROLE_UNSPECIFIED: TextRole.PLAIN,
    embedding_pb2.TEXT_ROLE_QUERY: TextRole.QUERY,
    embedding_pb2.TEXT_ROLE_PASSAGE: TextRole.PASSAGE,
}


def parse_embed(request: embedding_pb2.EmbedRequest, limits: RequestLimits) -> EmbedQuery:
    """Returns the texts to encode, and what they are.

    Raises:
        InvalidRequest: there are none or too many, one is blank, too long or holds NUL, or the role is unknown.
    """
    check = Check()
    check.that(request.texts, "texts", "at least one text")
    if check.count(request.texts, limits.max_embed_texts, "texts"):
        for number, text in enumerate(request.texts):
            check.text(text, limits.max_text_bytes, f"texts[{number}]")
    role = _ROLES.get(request.role)
    check.that(role is not None, "role", "unknown value; see TextRole")
    check.raise_any()
    return EmbedQuery(tuple(request.texts), role or TextRole.PLAIN)
