from shortlist.v1 import recommender_pb2 as _recommender_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TextRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TEXT_ROLE_UNSPECIFIED: _ClassVar[TextRole]
    TEXT_ROLE_QUERY: _ClassVar[TextRole]
    TEXT_ROLE_PASSAGE: _ClassVar[TextRole]

class VectorFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VECTOR_FORMAT_UNSPECIFIED: _ClassVar[VectorFormat]
    VECTOR_FORMAT_FLOAT32: _ClassVar[VectorFormat]
    VECTOR_FORMAT_FLOAT16: _ClassVar[VectorFormat]
    VECTOR_FORMAT_INT8: _ClassVar[VectorFormat]
TEXT_ROLE_UNSPECIFIED: TextRole
TEXT_ROLE_QUERY: TextRole
TEXT_ROLE_PASSAGE: TextRole
VECTOR_FORMAT_UNSPECIFIED: VectorFormat
VECTOR_FORMAT_FLOAT32: VectorFormat
VECTOR_FORMAT_FLOAT16: VectorFormat
VECTOR_FORMAT_INT8: VectorFormat

class EmbedRequest(_message.Message):
    __slots__ = ("texts", "role", "vector_format")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FORMAT_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    role: TextRole
    vector_format: VectorFormat
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., role: _Optional[_Union[TextRole, str]] = ..., vector_format: _Optional[_Union[VectorFormat, str]] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("embeddings", "release_id", "stage_times", "vector_format")
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_TIMES_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FORMAT_FIELD_NUMBER: _ClassVar[int]
    embeddings: _containers.RepeatedCompositeFieldContainer[Embedding]
    release_id: str
    stage_times: _recommender_pb2.StageTimes
    vector_format: VectorFormat
    def __init__(self, embeddings: _Optional[_Iterable[_Union[Embedding, _Mapping]]] = ..., release_id: _Optional[str] = ..., stage_times: _Optional[_Union[_recommender_pb2.StageTimes, _Mapping]] = ..., vector_format: _Optional[_Union[VectorFormat, str]] = ...) -> None: ...

class EmbedStreamRequest(_message.Message):
    __slots__ = ("text", "role", "vector_format")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FORMAT_FIELD_NUMBER: _ClassVar[int]
    text: str
    role: TextRole
    vector_format: VectorFormat
    def __init__(self, text: _Optional[str] = ..., role: _Optional[_Union[TextRole, str]] = ..., vector_format: _Optional[_Union[VectorFormat, str]] = ...) -> None: ...

class EmbedStreamResponse(_message.Message):
    __slots__ = ("index", "embedding", "error", "release_id", "vector_format")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FORMAT_FIELD_NUMBER: _ClassVar[int]
    index: int
    embedding: Embedding
    error: _recommender_pb2.EntryError
    release_id: str
    vector_format: VectorFormat
    def __init__(self, index: _Optional[int] = ..., embedding: _Optional[_Union[Embedding, _Mapping]] = ..., error: _Optional[_Union[_recommender_pb2.EntryError, _Mapping]] = ..., release_id: _Optional[str] = ..., vector_format: _Optional[_Union[VectorFormat, str]] = ...) -> None: ...

class Embedding(_message.Message):
    __slots__ = ("vector", "token_count", "truncated", "unknown_token_share", "packed_vector", "scale")
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_TOKEN_SHARE_FIELD_NUMBER: _ClassVar[int]
    PACKED_VECTOR_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    vector: _containers.RepeatedScalarFieldContainer[float]
    token_count: int
    truncated: bool
    unknown_token_share: float
    packed_vector: bytes
    scale: float
    def __init__(self, vector: _Optional[_Iterable[float]] = ..., token_count: _Optional[int] = ..., truncated: _Optional[bool] = ..., unknown_token_share: _Optional[float] = ..., packed_vector: _Optional[bytes] = ..., scale: _Optional[float] = ...) -> None: ...
