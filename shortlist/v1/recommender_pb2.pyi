from google.protobuf import field_mask_pb2 as _field_mask_pb2
from shortlist.v1 import arrangement_pb2 as _arrangement_pb2
from shortlist.v1 import event_pb2 as _event_pb2
from shortlist.v1 import filter_pb2 as _filter_pb2
from shortlist.v1 import interpretation_pb2 as _interpretation_pb2
from shortlist.v1 import item_pb2 as _item_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HistoryEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HISTORY_ENCODING_UNSPECIFIED: _ClassVar[HistoryEncoding]
    HISTORY_ENCODING_VECTORS: _ClassVar[HistoryEncoding]
    HISTORY_ENCODING_TEXT: _ClassVar[HistoryEncoding]

class RecallSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECALL_SOURCE_UNSPECIFIED: _ClassVar[RecallSource]
    RECALL_SOURCE_SEMANTIC_TEXT: _ClassVar[RecallSource]
    RECALL_SOURCE_SEMANTIC_HISTORY: _ClassVar[RecallSource]
    RECALL_SOURCE_LEXICAL: _ClassVar[RecallSource]
    RECALL_SOURCE_COLLABORATIVE: _ClassVar[RecallSource]
    RECALL_SOURCE_FRESH: _ClassVar[RecallSource]
    RECALL_SOURCE_POPULAR: _ClassVar[RecallSource]
    RECALL_SOURCE_FILL: _ClassVar[RecallSource]
    RECALL_SOURCE_USER_TOWER: _ClassVar[RecallSource]
    RECALL_SOURCE_NEXT_ITEM: _ClassVar[RecallSource]
    RECALL_SOURCE_TRENDING: _ClassVar[RecallSource]
    RECALL_SOURCE_CATEGORY_POPULAR: _ClassVar[RecallSource]
    RECALL_SOURCE_SIMILAR_USERS: _ClassVar[RecallSource]

class DegradationReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEGRADATION_REASON_UNSPECIFIED: _ClassVar[DegradationReason]
    DEGRADATION_REASON_ENCODER_LANGUAGE_UNSUPPORTED: _ClassVar[DegradationReason]
    DEGRADATION_REASON_ENCODER_UNAVAILABLE: _ClassVar[DegradationReason]
    DEGRADATION_REASON_TEXT_TRUNCATED: _ClassVar[DegradationReason]
    DEGRADATION_REASON_EXPLANATION_SKIPPED: _ClassVar[DegradationReason]
    DEGRADATION_REASON_RANKER_UNAVAILABLE: _ClassVar[DegradationReason]
    DEGRADATION_REASON_USER_TOWER_UNAVAILABLE: _ClassVar[DegradationReason]
    DEGRADATION_REASON_NOTHING_RELEVANT: _ClassVar[DegradationReason]
    DEGRADATION_REASON_COLD_START: _ClassVar[DegradationReason]
    DEGRADATION_REASON_OVERLOADED: _ClassVar[DegradationReason]
    DEGRADATION_REASON_ARRANGEMENT_LIMITED: _ClassVar[DegradationReason]
    DEGRADATION_REASON_USER_HISTORY_UNAVAILABLE: _ClassVar[DegradationReason]

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_INVALID_FIELD: _ClassVar[ErrorReason]
    ERROR_REASON_NOTHING_TO_GO_ON: _ClassVar[ErrorReason]
    ERROR_REASON_MALFORMED_MESSAGE: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_SERVED: _ClassVar[ErrorReason]
    ERROR_REASON_DEADLINE_EXCEEDED: _ClassVar[ErrorReason]
    ERROR_REASON_OVERLOADED: _ClassVar[ErrorReason]
    ERROR_REASON_ENCODER_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_NO_RELEASE: _ClassVar[ErrorReason]
    ERROR_REASON_INTERNAL: _ClassVar[ErrorReason]
    ERROR_REASON_REPLY_TOO_LARGE: _ClassVar[ErrorReason]
    ERROR_REASON_QUOTA_EXCEEDED: _ClassVar[ErrorReason]
    ERROR_REASON_UNAUTHENTICATED: _ClassVar[ErrorReason]
    ERROR_REASON_PERMISSION_DENIED: _ClassVar[ErrorReason]
    ERROR_REASON_UNKNOWN_SCENE: _ClassVar[ErrorReason]
    ERROR_REASON_ITEM_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_STORAGE: _ClassVar[ErrorReason]
    ERROR_REASON_RELEASE_REJECTED: _ClassVar[ErrorReason]
    ERROR_REASON_FOLLOWER: _ClassVar[ErrorReason]
    ERROR_REASON_STORE_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_STORE_FULL: _ClassVar[ErrorReason]
    ERROR_REASON_EVENT_CONFLICT: _ClassVar[ErrorReason]
HISTORY_ENCODING_UNSPECIFIED: HistoryEncoding
HISTORY_ENCODING_VECTORS: HistoryEncoding
HISTORY_ENCODING_TEXT: HistoryEncoding
RECALL_SOURCE_UNSPECIFIED: RecallSource
RECALL_SOURCE_SEMANTIC_TEXT: RecallSource
RECALL_SOURCE_SEMANTIC_HISTORY: RecallSource
RECALL_SOURCE_LEXICAL: RecallSource
RECALL_SOURCE_COLLABORATIVE: RecallSource
RECALL_SOURCE_FRESH: RecallSource
RECALL_SOURCE_POPULAR: RecallSource
RECALL_SOURCE_FILL: RecallSource
RECALL_SOURCE_USER_TOWER: RecallSource
RECALL_SOURCE_NEXT_ITEM: RecallSource
RECALL_SOURCE_TRENDING: RecallSource
RECALL_SOURCE_CATEGORY_POPULAR: RecallSource
RECALL_SOURCE_SIMILAR_USERS: RecallSource
DEGRADATION_REASON_UNSPECIFIED: DegradationReason
DEGRADATION_REASON_ENCODER_LANGUAGE_UNSUPPORTED: DegradationReason
DEGRADATION_REASON_ENCODER_UNAVAILABLE: DegradationReason
DEGRADATION_REASON_TEXT_TRUNCATED: DegradationReason
DEGRADATION_REASON_EXPLANATION_SKIPPED: DegradationReason
DEGRADATION_REASON_RANKER_UNAVAILABLE: DegradationReason
DEGRADATION_REASON_USER_TOWER_UNAVAILABLE: DegradationReason
DEGRADATION_REASON_NOTHING_RELEVANT: DegradationReason
DEGRADATION_REASON_COLD_START: DegradationReason
DEGRADATION_REASON_OVERLOADED: DegradationReason
DEGRADATION_REASON_ARRANGEMENT_LIMITED: DegradationReason
DEGRADATION_REASON_USER_HISTORY_UNAVAILABLE: DegradationReason
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_INVALID_FIELD: ErrorReason
ERROR_REASON_NOTHING_TO_GO_ON: ErrorReason
ERROR_REASON_MALFORMED_MESSAGE: ErrorReason
ERROR_REASON_NOT_SERVED: ErrorReason
ERROR_REASON_DEADLINE_EXCEEDED: ErrorReason
ERROR_REASON_OVERLOADED: ErrorReason
ERROR_REASON_ENCODER_UNAVAILABLE: ErrorReason
ERROR_REASON_NO_RELEASE: ErrorReason
ERROR_REASON_INTERNAL: ErrorReason
ERROR_REASON_REPLY_TOO_LARGE: ErrorReason
ERROR_REASON_QUOTA_EXCEEDED: ErrorReason
ERROR_REASON_UNAUTHENTICATED: ErrorReason
ERROR_REASON_PERMISSION_DENIED: ErrorReason
ERROR_REASON_UNKNOWN_SCENE: ErrorReason
ERROR_REASON_ITEM_NOT_FOUND: ErrorReason
ERROR_REASON_STORAGE: ErrorReason
ERROR_REASON_RELEASE_REJECTED: ErrorReason
ERROR_REASON_FOLLOWER: ErrorReason
ERROR_REASON_STORE_UNAVAILABLE: ErrorReason
ERROR_REASON_STORE_FULL: ErrorReason
ERROR_REASON_EVENT_CONFLICT: ErrorReason

class RecommendRequest(_message.Message):
    __slots__ = ("user_id", "session_id", "text", "events", "item_ids", "history_encoding", "exclude_item_ids", "conditions", "k", "explain", "item_mask", "include_seen", "event_token", "personalization", "interpretation", "preferences", "min_relevance", "candidate_item_ids", "page_token", "language", "exact_spelling", "item_attributes", "any_of_groups", "arrangement", "scene", "profile", "seen_rules", "without_repeats")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_ENCODING_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    ITEM_MASK_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_SEEN_FIELD_NUMBER: _ClassVar[int]
    EVENT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PERSONALIZATION_FIELD_NUMBER: _ClassVar[int]
    INTERPRETATION_FIELD_NUMBER: _ClassVar[int]
    PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    MIN_RELEVANCE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    EXACT_SPELLING_FIELD_NUMBER: _ClassVar[int]
    ITEM_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_GROUPS_FIELD_NUMBER: _ClassVar[int]
    ARRANGEMENT_FIELD_NUMBER: _ClassVar[int]
    SCENE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    SEEN_RULES_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_REPEATS_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    session_id: str
    text: str
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    history_encoding: HistoryEncoding
    exclude_item_ids: _containers.RepeatedScalarFieldContainer[str]
    conditions: _containers.RepeatedCompositeFieldContainer[_filter_pb2.AttributeCondition]
    k: int
    explain: bool
    item_mask: _field_mask_pb2.FieldMask
    include_seen: bool
    event_token: str
    personalization: float
    interpretation: _interpretation_pb2.TextInterpretation
    preferences: _containers.RepeatedCompositeFieldContainer[_filter_pb2.AttributeCondition]
    min_relevance: float
    candidate_item_ids: _containers.RepeatedScalarFieldContainer[str]
    page_token: str
    language: str
    exact_spelling: bool
    item_attributes: _containers.RepeatedScalarFieldContainer[str]
    any_of_groups: _containers.RepeatedCompositeFieldContainer[_filter_pb2.ConditionGroup]
    arrangement: _arrangement_pb2.Arrangement
    scene: str
    profile: str
    seen_rules: _containers.RepeatedCompositeFieldContainer[SeenRule]
    without_repeats: bool
    def __init__(self, user_id: _Optional[str] = ..., session_id: _Optional[str] = ..., text: _Optional[str] = ..., events: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ..., item_ids: _Optional[_Iterable[str]] = ..., history_encoding: _Optional[_Union[HistoryEncoding, str]] = ..., exclude_item_ids: _Optional[_Iterable[str]] = ..., conditions: _Optional[_Iterable[_Union[_filter_pb2.AttributeCondition, _Mapping]]] = ..., k: _Optional[int] = ..., explain: _Optional[bool] = ..., item_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., include_seen: _Optional[bool] = ..., event_token: _Optional[str] = ..., personalization: _Optional[float] = ..., interpretation: _Optional[_Union[_interpretation_pb2.TextInterpretation, str]] = ..., preferences: _Optional[_Iterable[_Union[_filter_pb2.AttributeCondition, _Mapping]]] = ..., min_relevance: _Optional[float] = ..., candidate_item_ids: _Optional[_Iterable[str]] = ..., page_token: _Optional[str] = ..., language: _Optional[str] = ..., exact_spelling: _Optional[bool] = ..., item_attributes: _Optional[_Iterable[str]] = ..., any_of_groups: _Optional[_Iterable[_Union[_filter_pb2.ConditionGroup, _Mapping]]] = ..., arrangement: _Optional[_Union[_arrangement_pb2.Arrangement, _Mapping]] = ..., scene: _Optional[str] = ..., profile: _Optional[str] = ..., seen_rules: _Optional[_Iterable[_Union[SeenRule, _Mapping]]] = ..., without_repeats: _Optional[bool] = ...) -> None: ...

class SeenRule(_message.Message):
    __slots__ = ("kind", "max_age_seconds")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    kind: _event_pb2.EventKind
    max_age_seconds: float
    def __init__(self, kind: _Optional[_Union[_event_pb2.EventKind, str]] = ..., max_age_seconds: _Optional[float] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("items", "release_id", "stage_times", "degradations", "shortfall_count", "unknown_token_share", "unknown_item_ids", "request_id", "interpretation", "corrected_text", "next_page_token", "unplaced_item_ids", "seed", "scene", "bucket")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_TIMES_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    SHORTFALL_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_TOKEN_SHARE_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INTERPRETATION_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_TEXT_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNPLACED_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SCENE_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[RecommendedItem]
    release_id: str
    stage_times: StageTimes
    degradations: _containers.RepeatedCompositeFieldContainer[Degradation]
    shortfall_count: int
    unknown_token_share: float
    unknown_item_ids: _containers.RepeatedScalarFieldContainer[str]
    request_id: str
    interpretation: _interpretation_pb2.Interpretation
    corrected_text: str
    next_page_token: str
    unplaced_item_ids: _containers.RepeatedScalarFieldContainer[str]
    seed: int
    scene: str
    bucket: str
    def __init__(self, items: _Optional[_Iterable[_Union[RecommendedItem, _Mapping]]] = ..., release_id: _Optional[str] = ..., stage_times: _Optional[_Union[StageTimes, _Mapping]] = ..., degradations: _Optional[_Iterable[_Union[Degradation, _Mapping]]] = ..., shortfall_count: _Optional[int] = ..., unknown_token_share: _Optional[float] = ..., unknown_item_ids: _Optional[_Iterable[str]] = ..., request_id: _Optional[str] = ..., interpretation: _Optional[_Union[_interpretation_pb2.Interpretation, _Mapping]] = ..., corrected_text: _Optional[str] = ..., next_page_token: _Optional[str] = ..., unplaced_item_ids: _Optional[_Iterable[str]] = ..., seed: _Optional[int] = ..., scene: _Optional[str] = ..., bucket: _Optional[str] = ...) -> None: ...

class RecommendedItem(_message.Message):
    __slots__ = ("id", "rank", "score", "similarity", "provenance", "explanation", "item", "match_probability", "relevance", "choice_probability", "arranged_by", "ranked_place", "attribution_token")
    ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    MATCH_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    RELEVANCE_FIELD_NUMBER: _ClassVar[int]
    CHOICE_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    ARRANGED_BY_FIELD_NUMBER: _ClassVar[int]
    RANKED_PLACE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    id: str
    rank: int
    score: float
    similarity: float
    provenance: _containers.RepeatedCompositeFieldContainer[Provenance]
    explanation: Explanation
    item: _item_pb2.Item
    match_probability: float
    relevance: float
    choice_probability: float
    arranged_by: _containers.RepeatedScalarFieldContainer[_arrangement_pb2.ArrangementRule]
    ranked_place: int
    attribution_token: str
    def __init__(self, id: _Optional[str] = ..., rank: _Optional[int] = ..., score: _Optional[float] = ..., similarity: _Optional[float] = ..., provenance: _Optional[_Iterable[_Union[Provenance, _Mapping]]] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ..., item: _Optional[_Union[_item_pb2.Item, _Mapping]] = ..., match_probability: _Optional[float] = ..., relevance: _Optional[float] = ..., choice_probability: _Optional[float] = ..., arranged_by: _Optional[_Iterable[_Union[_arrangement_pb2.ArrangementRule, str]]] = ..., ranked_place: _Optional[int] = ..., attribution_token: _Optional[str] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("source", "rank", "score")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    source: RecallSource
    rank: int
    score: float
    def __init__(self, source: _Optional[_Union[RecallSource, str]] = ..., rank: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("text", "matched_terms", "because_of_item_id", "because_of_similarity", "because_of_title", "field_matches")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    MATCHED_TERMS_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_OF_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_OF_SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    BECAUSE_OF_TITLE_FIELD_NUMBER: _ClassVar[int]
    FIELD_MATCHES_FIELD_NUMBER: _ClassVar[int]
    text: str
    matched_terms: _containers.RepeatedScalarFieldContainer[str]
    because_of_item_id: str
    because_of_similarity: float
    because_of_title: str
    field_matches: _containers.RepeatedCompositeFieldContainer[FieldMatch]
    def __init__(self, text: _Optional[str] = ..., matched_terms: _Optional[_Iterable[str]] = ..., because_of_item_id: _Optional[str] = ..., because_of_similarity: _Optional[float] = ..., because_of_title: _Optional[str] = ..., field_matches: _Optional[_Iterable[_Union[FieldMatch, _Mapping]]] = ...) -> None: ...

class FieldMatch(_message.Message):
    __slots__ = ("field", "value", "whole_value")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    WHOLE_VALUE_FIELD_NUMBER: _ClassVar[int]
    field: str
    value: str
    whole_value: bool
    def __init__(self, field: _Optional[str] = ..., value: _Optional[str] = ..., whole_value: _Optional[bool] = ...) -> None: ...

class Degradation(_message.Message):
    __slots__ = ("reason", "detail")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    reason: DegradationReason
    detail: str
    def __init__(self, reason: _Optional[_Union[DegradationReason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class StageTimes(_message.Message):
    __slots__ = ("total_ms", "parse_ms", "represent_ms", "tokenize_ms", "queue_ms", "triton_ms", "recall_ms", "rank_ms", "explain_ms", "rank_triton_ms", "arrange_ms", "user_ms")
    TOTAL_MS_FIELD_NUMBER: _ClassVar[int]
    PARSE_MS_FIELD_NUMBER: _ClassVar[int]
    REPRESENT_MS_FIELD_NUMBER: _ClassVar[int]
    TOKENIZE_MS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_MS_FIELD_NUMBER: _ClassVar[int]
    TRITON_MS_FIELD_NUMBER: _ClassVar[int]
    RECALL_MS_FIELD_NUMBER: _ClassVar[int]
    RANK_MS_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_MS_FIELD_NUMBER: _ClassVar[int]
    RANK_TRITON_MS_FIELD_NUMBER: _ClassVar[int]
    ARRANGE_MS_FIELD_NUMBER: _ClassVar[int]
    USER_MS_FIELD_NUMBER: _ClassVar[int]
    total_ms: float
    parse_ms: float
    represent_ms: float
    tokenize_ms: float
    queue_ms: float
    triton_ms: float
    recall_ms: float
    rank_ms: float
    explain_ms: float
    rank_triton_ms: float
    arrange_ms: float
    user_ms: float
    def __init__(self, total_ms: _Optional[float] = ..., parse_ms: _Optional[float] = ..., represent_ms: _Optional[float] = ..., tokenize_ms: _Optional[float] = ..., queue_ms: _Optional[float] = ..., triton_ms: _Optional[float] = ..., recall_ms: _Optional[float] = ..., rank_ms: _Optional[float] = ..., explain_ms: _Optional[float] = ..., rank_triton_ms: _Optional[float] = ..., arrange_ms: _Optional[float] = ..., user_ms: _Optional[float] = ...) -> None: ...

class BatchRecommendRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[RecommendRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[RecommendRequest, _Mapping]]] = ...) -> None: ...

class BatchRecommendResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[BatchRecommendEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[BatchRecommendEntry, _Mapping]]] = ...) -> None: ...

class BatchRecommendEntry(_message.Message):
    __slots__ = ("response", "error")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    response: RecommendResponse
    error: EntryError
    def __init__(self, response: _Optional[_Union[RecommendResponse, _Mapping]] = ..., error: _Optional[_Union[EntryError, _Mapping]] = ...) -> None: ...

class RecommendStreamRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: RecommendRequest
    def __init__(self, request: _Optional[_Union[RecommendRequest, _Mapping]] = ...) -> None: ...

class RecommendStreamResponse(_message.Message):
    __slots__ = ("index", "response", "error")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    index: int
    response: RecommendResponse
    error: EntryError
    def __init__(self, index: _Optional[int] = ..., response: _Optional[_Union[RecommendResponse, _Mapping]] = ..., error: _Optional[_Union[EntryError, _Mapping]] = ...) -> None: ...

class EntryError(_message.Message):
    __slots__ = ("code", "message", "reason", "field_violations")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIELD_VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    reason: ErrorReason
    field_violations: _containers.RepeatedCompositeFieldContainer[FieldViolation]
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., reason: _Optional[_Union[ErrorReason, str]] = ..., field_violations: _Optional[_Iterable[_Union[FieldViolation, _Mapping]]] = ...) -> None: ...

class FieldViolation(_message.Message):
    __slots__ = ("field", "description")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    field: str
    description: str
    def __init__(self, field: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...
