import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_VIEW: _ClassVar[EventKind]
    EVENT_KIND_CLICK: _ClassVar[EventKind]
    EVENT_KIND_LIKE: _ClassVar[EventKind]
    EVENT_KIND_FAVOURITE: _ClassVar[EventKind]
    EVENT_KIND_CART: _ClassVar[EventKind]
    EVENT_KIND_BUY: _ClassVar[EventKind]
    EVENT_KIND_PLAY: _ClassVar[EventKind]
    EVENT_KIND_FINISH: _ClassVar[EventKind]
    EVENT_KIND_SHARE: _ClassVar[EventKind]
    EVENT_KIND_COMMENT: _ClassVar[EventKind]
    EVENT_KIND_DISLIKE: _ClassVar[EventKind]
    EVENT_KIND_IMPRESSION: _ClassVar[EventKind]
    EVENT_KIND_NOT_HELPFUL: _ClassVar[EventKind]
    EVENT_KIND_SEARCH: _ClassVar[EventKind]
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_VIEW: EventKind
EVENT_KIND_CLICK: EventKind
EVENT_KIND_LIKE: EventKind
EVENT_KIND_FAVOURITE: EventKind
EVENT_KIND_CART: EventKind
EVENT_KIND_BUY: EventKind
EVENT_KIND_PLAY: EventKind
EVENT_KIND_FINISH: EventKind
EVENT_KIND_SHARE: EventKind
EVENT_KIND_COMMENT: EventKind
EVENT_KIND_DISLIKE: EventKind
EVENT_KIND_IMPRESSION: EventKind
EVENT_KIND_NOT_HELPFUL: EventKind
EVENT_KIND_SEARCH: EventKind

class RecordEventsRequest(_message.Message):
    __slots__ = ("user_id", "session_id", "events")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    session_id: str
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, user_id: _Optional[str] = ..., session_id: _Optional[str] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class RecordEventsResponse(_message.Message):
    __slots__ = ("recorded_count", "event_token", "duplicate_count", "durable", "unknown_item_ids", "expired_count")
    RECORDED_COUNT_FIELD_NUMBER: _ClassVar[int]
    EVENT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_COUNT_FIELD_NUMBER: _ClassVar[int]
    DURABLE_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_COUNT_FIELD_NUMBER: _ClassVar[int]
    recorded_count: int
    event_token: str
    duplicate_count: int
    durable: bool
    unknown_item_ids: _containers.RepeatedScalarFieldContainer[str]
    expired_count: int
    def __init__(self, recorded_count: _Optional[int] = ..., event_token: _Optional[str] = ..., duplicate_count: _Optional[int] = ..., durable: _Optional[bool] = ..., unknown_item_ids: _Optional[_Iterable[str]] = ..., expired_count: _Optional[int] = ...) -> None: ...

class RecordEventsStreamResponse(_message.Message):
    __slots__ = ("recorded_count", "duplicate_count", "request_count", "event_token", "durable", "expired_count")
    RECORDED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_COUNT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_COUNT_FIELD_NUMBER: _ClassVar[int]
    EVENT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DURABLE_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_COUNT_FIELD_NUMBER: _ClassVar[int]
    recorded_count: int
    duplicate_count: int
    request_count: int
    event_token: str
    durable: bool
    expired_count: int
    def __init__(self, recorded_count: _Optional[int] = ..., duplicate_count: _Optional[int] = ..., request_count: _Optional[int] = ..., event_token: _Optional[str] = ..., durable: _Optional[bool] = ..., expired_count: _Optional[int] = ...) -> None: ...

class GetUserRequest(_message.Message):
    __slots__ = ("user_id", "session_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    session_id: str
    def __init__(self, user_id: _Optional[str] = ..., session_id: _Optional[str] = ...) -> None: ...

class GetUserResponse(_message.Message):
    __slots__ = ("events", "found", "shown_count", "update_time")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    SHOWN_COUNT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    found: bool
    shown_count: int
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., found: _Optional[bool] = ..., shown_count: _Optional[int] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DeleteUserRequest(_message.Message):
    __slots__ = ("user_id", "session_id")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    session_id: str
    def __init__(self, user_id: _Optional[str] = ..., session_id: _Optional[str] = ...) -> None: ...

class DeleteUserResponse(_message.Message):
    __slots__ = ("found",)
    FOUND_FIELD_NUMBER: _ClassVar[int]
    found: bool
    def __init__(self, found: _Optional[bool] = ...) -> None: ...

class MergeSessionRequest(_message.Message):
    __slots__ = ("session_id", "user_id")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    user_id: str
    def __init__(self, session_id: _Optional[str] = ..., user_id: _Optional[str] = ...) -> None: ...

class MergeSessionResponse(_message.Message):
    __slots__ = ("merged_count", "event_token")
    MERGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    EVENT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    merged_count: int
    event_token: str
    def __init__(self, merged_count: _Optional[int] = ..., event_token: _Optional[str] = ...) -> None: ...

class ElicitRequest(_message.Message):
    __slots__ = ("user_id", "session_id", "events", "exclude_item_ids", "k")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    session_id: str
    events: _containers.RepeatedCompositeFieldContainer[Event]
    exclude_item_ids: _containers.RepeatedScalarFieldContainer[str]
    k: int
    def __init__(self, user_id: _Optional[str] = ..., session_id: _Optional[str] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., exclude_item_ids: _Optional[_Iterable[str]] = ..., k: _Optional[int] = ...) -> None: ...

class ElicitResponse(_message.Message):
    __slots__ = ("items", "release_id")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ElicitedItem]
    release_id: str
    def __init__(self, items: _Optional[_Iterable[_Union[ElicitedItem, _Mapping]]] = ..., release_id: _Optional[str] = ...) -> None: ...

class ElicitedItem(_message.Message):
    __slots__ = ("id", "title", "expected_gain")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_GAIN_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    expected_gain: float
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., expected_gain: _Optional[float] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("item_id", "kind", "time", "comment", "item_title", "event_id", "weight", "text", "request_id", "rank", "dwell_time", "rating", "attribution_token")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    ITEM_TITLE_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    DWELL_TIME_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    kind: EventKind
    time: _timestamp_pb2.Timestamp
    comment: str
    item_title: str
    event_id: str
    weight: float
    text: str
    request_id: str
    rank: int
    dwell_time: _duration_pb2.Duration
    rating: float
    attribution_token: str
    def __init__(self, item_id: _Optional[str] = ..., kind: _Optional[_Union[EventKind, str]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., comment: _Optional[str] = ..., item_title: _Optional[str] = ..., event_id: _Optional[str] = ..., weight: _Optional[float] = ..., text: _Optional[str] = ..., request_id: _Optional[str] = ..., rank: _Optional[int] = ..., dwell_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., rating: _Optional[float] = ..., attribution_token: _Optional[str] = ...) -> None: ...
