from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StatePart(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATE_PART_UNSPECIFIED: _ClassVar[StatePart]
    STATE_PART_BEGIN: _ClassVar[StatePart]
    STATE_PART_MIDDLE: _ClassVar[StatePart]
    STATE_PART_END: _ClassVar[StatePart]
STATE_PART_UNSPECIFIED: StatePart
STATE_PART_BEGIN: StatePart
STATE_PART_MIDDLE: StatePart
STATE_PART_END: StatePart

class FollowChangesRequest(_message.Message):
    __slots__ = ("catalogue_id", "after_sequence")
    CATALOGUE_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    catalogue_id: str
    after_sequence: int
    def __init__(self, catalogue_id: _Optional[str] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class FollowChangesResponse(_message.Message):
    __slots__ = ("catalogue_id", "writer_sequence", "state_part", "changes")
    CATALOGUE_ID_FIELD_NUMBER: _ClassVar[int]
    WRITER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STATE_PART_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    catalogue_id: str
    writer_sequence: int
    state_part: StatePart
    changes: _containers.RepeatedCompositeFieldContainer[ReplicatedChange]
    def __init__(self, catalogue_id: _Optional[str] = ..., writer_sequence: _Optional[int] = ..., state_part: _Optional[_Union[StatePart, str]] = ..., changes: _Optional[_Iterable[_Union[ReplicatedChange, _Mapping]]] = ...) -> None: ...

class ReplicatedChange(_message.Message):
    __slots__ = ("sequence", "record")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    record: bytes
    def __init__(self, sequence: _Optional[int] = ..., record: _Optional[bytes] = ...) -> None: ...
