from shortlist.v1 import event_pb2 as _event_pb2
from shortlist.v1 import recommender_pb2 as _recommender_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RankRequest(_message.Message):
    __slots__ = ("query", "events", "item_ids", "candidates", "k", "personalization")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    PERSONALIZATION_FIELD_NUMBER: _ClassVar[int]
    query: str
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    candidates: _containers.RepeatedCompositeFieldContainer[RankCandidate]
    k: int
    personalization: float
    def __init__(self, query: _Optional[str] = ..., events: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ..., item_ids: _Optional[_Iterable[str]] = ..., candidates: _Optional[_Iterable[_Union[RankCandidate, _Mapping]]] = ..., k: _Optional[int] = ..., personalization: _Optional[float] = ...) -> None: ...

class RankCandidate(_message.Message):
    __slots__ = ("id", "text")
    ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    id: str
    text: str
    def __init__(self, id: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class RankResponse(_message.Message):
    __slots__ = ("results", "release_id", "stage_times", "degradations", "unknown_item_ids", "request_id")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_TIMES_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[RankedCandidate]
    release_id: str
    stage_times: _recommender_pb2.StageTimes
    degradations: _containers.RepeatedCompositeFieldContainer[_recommender_pb2.Degradation]
    unknown_item_ids: _containers.RepeatedScalarFieldContainer[str]
    request_id: str
    def __init__(self, results: _Optional[_Iterable[_Union[RankedCandidate, _Mapping]]] = ..., release_id: _Optional[str] = ..., stage_times: _Optional[_Union[_recommender_pb2.StageTimes, _Mapping]] = ..., degradations: _Optional[_Iterable[_Union[_recommender_pb2.Degradation, _Mapping]]] = ..., unknown_item_ids: _Optional[_Iterable[str]] = ..., request_id: _Optional[str] = ...) -> None: ...

class RankedCandidate(_message.Message):
    __slots__ = ("index", "id", "rank", "score", "similarity", "relevance", "choice_probability", "matched_terms")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    RELEVANCE_FIELD_NUMBER: _ClassVar[int]
    CHOICE_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    MATCHED_TERMS_FIELD_NUMBER: _ClassVar[int]
    index: int
    id: str
    rank: int
    score: float
    similarity: float
    relevance: float
    choice_probability: float
    matched_terms: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, index: _Optional[int] = ..., id: _Optional[str] = ..., rank: _Optional[int] = ..., score: _Optional[float] = ..., similarity: _Optional[float] = ..., relevance: _Optional[float] = ..., choice_probability: _Optional[float] = ..., matched_terms: _Optional[_Iterable[str]] = ...) -> None: ...
