import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttributeCondition(_message.Message):
    __slots__ = ("attribute", "any_of", "range", "bool_equals", "time_range", "number_equals", "any_number", "exists", "geo_radius", "negate")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    BOOL_EQUALS_FIELD_NUMBER: _ClassVar[int]
    TIME_RANGE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_EQUALS_FIELD_NUMBER: _ClassVar[int]
    ANY_NUMBER_FIELD_NUMBER: _ClassVar[int]
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    GEO_RADIUS_FIELD_NUMBER: _ClassVar[int]
    NEGATE_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    any_of: StringSet
    range: NumberRange
    bool_equals: bool
    time_range: TimeRange
    number_equals: float
    any_number: NumberSet
    exists: bool
    geo_radius: GeoRadius
    negate: bool
    def __init__(self, attribute: _Optional[str] = ..., any_of: _Optional[_Union[StringSet, _Mapping]] = ..., range: _Optional[_Union[NumberRange, _Mapping]] = ..., bool_equals: _Optional[bool] = ..., time_range: _Optional[_Union[TimeRange, _Mapping]] = ..., number_equals: _Optional[float] = ..., any_number: _Optional[_Union[NumberSet, _Mapping]] = ..., exists: _Optional[bool] = ..., geo_radius: _Optional[_Union[GeoRadius, _Mapping]] = ..., negate: _Optional[bool] = ...) -> None: ...

class ConditionGroup(_message.Message):
    __slots__ = ("conditions",)
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    conditions: _containers.RepeatedCompositeFieldContainer[AttributeCondition]
    def __init__(self, conditions: _Optional[_Iterable[_Union[AttributeCondition, _Mapping]]] = ...) -> None: ...

class StringSet(_message.Message):
    __slots__ = ("values", "ignore_case")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    IGNORE_CASE_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    ignore_case: bool
    def __init__(self, values: _Optional[_Iterable[str]] = ..., ignore_case: _Optional[bool] = ...) -> None: ...

class NumberSet(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class GeoRadius(_message.Message):
    __slots__ = ("longitude_attribute", "latitude", "longitude", "radius_km")
    LONGITUDE_ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    RADIUS_KM_FIELD_NUMBER: _ClassVar[int]
    longitude_attribute: str
    latitude: float
    longitude: float
    radius_km: float
    def __init__(self, longitude_attribute: _Optional[str] = ..., latitude: _Optional[float] = ..., longitude: _Optional[float] = ..., radius_km: _Optional[float] = ...) -> None: ...

class NumberRange(_message.Message):
    __slots__ = ("min", "max")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    min: float
    max: float
    def __init__(self, min: _Optional[float] = ..., max: _Optional[float] = ...) -> None: ...

class TimeRange(_message.Message):
    __slots__ = ("min", "max")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    min: _timestamp_pb2.Timestamp
    max: _timestamp_pb2.Timestamp
    def __init__(self, min: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., max: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
