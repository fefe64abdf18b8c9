"""Protobuf requests to encode texts to checked domain requests."""

from domain.prompts import TextRole
from domain.recommendation import EmbedQuery
from domain.vector_format import VectorFormat
from server.rpc.check import Check, RequestLimits
from shortlist.v1 import embedding_pb2

_ROLES = {
    embedding_pb2.TEXT_ROLE_UNSPECIFIED: TextRole.PLAIN,
    embedding_pb2.TEXT_ROLE_QUERY: TextRole.QUERY,
    embedding_pb2.TEXT_ROLE_PASSAGE: TextRole.PASSAGE,
}
_FORMATS = {
    embedding_pb2.VECTOR_FORMAT_UNSPECIFIED: VectorFormat.FLOAT32,
    embedding_pb2.VECTOR_FORMAT_FLOAT32: VectorFormat.FLOAT32,
    embedding_pb2.VECTOR_FORMAT_FLOAT16: VectorFormat.FLOAT16,
    embedding_pb2.VECTOR_FORMAT_INT8: VectorFormat.INT8,
}


def parse_embed(request: embedding_pb2.EmbedRequest, limits: RequestLimits) -> EmbedQuery:
    """Returns the texts to encode, and what they are.

    Raises:
        InvalidRequest: there are none or too many, one is blank, too long or holds NUL, or role or format are
            unknown.
    """
    check = Check()
    check.that(request.texts, "texts", "at least one text")
    if check.count(request.texts, limits.max_embed_texts, "texts"):
        for number, text in enumerate(request.texts):
            check.text(text, limits.max_text_bytes, f"texts[{number}]")
    role = _ROLES.get(request.role)
    check.that(role is not None, "role", "unknown value; see TextRole")
    vector_format = _FORMATS.get(request.vector_format)
    check.that(vector_format is not None, "vector_format", "unknown value; see VectorFormat")
    check.raise_any()
    return EmbedQuery(tuple(request.texts), role or TextRole.PLAIN, vector_format or VectorFormat.FLOAT32)
