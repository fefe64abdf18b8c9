import datetime

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
    __slots__ = ("recorded_count", "event_token")
    RECORDED_COUNT_FIELD_NUMBER: _ClassVar[int]
    EVENT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    recorded_count: int
    event_token: str
    def __init__(self, recorded_count: _Optional[int] = ..., event_token: _Optional[str] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("item_id", "kind", "time", "comment", "item_title")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    ITEM_TITLE_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    kind: EventKind
    time: _timestamp_pb2.Timestamp
    comment: str
    item_title: str
    def __init__(self, item_id: _Optional[str] = ..., kind: _Optional[_Union[EventKind, str]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., comment: _Optional[str] = ..., item_title: _Optional[str] = ...) -> None: ...
