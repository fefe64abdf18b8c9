import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from shortlist.v1 import filter_pb2 as _filter_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ArrangementRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ARRANGEMENT_RULE_UNSPECIFIED: _ClassVar[ArrangementRule]
    ARRANGEMENT_RULE_PIN: _ClassVar[ArrangementRule]
    ARRANGEMENT_RULE_BOOST: _ClassVar[ArrangementRule]
    ARRANGEMENT_RULE_CAP: _ClassVar[ArrangementRule]
    ARRANGEMENT_RULE_DIVERSITY: _ClassVar[ArrangementRule]
    ARRANGEMENT_RULE_NEW: _ClassVar[ArrangementRule]
    ARRANGEMENT_RULE_EXPLORATION: _ClassVar[ArrangementRule]
    ARRANGEMENT_RULE_NOVELTY: _ClassVar[ArrangementRule]
ARRANGEMENT_RULE_UNSPECIFIED: ArrangementRule
ARRANGEMENT_RULE_PIN: ArrangementRule
ARRANGEMENT_RULE_BOOST: ArrangementRule
ARRANGEMENT_RULE_CAP: ArrangementRule
ARRANGEMENT_RULE_DIVERSITY: ArrangementRule
ARRANGEMENT_RULE_NEW: ArrangementRule
ARRANGEMENT_RULE_EXPLORATION: ArrangementRule
ARRANGEMENT_RULE_NOVELTY: ArrangementRule

class Arrangement(_message.Message):
    __slots__ = ("diversity", "caps", "pins", "boosts", "new_share", "new_within", "exploration", "seed", "novelty")
    DIVERSITY_FIELD_NUMBER: _ClassVar[int]
    CAPS_FIELD_NUMBER: _ClassVar[int]
    PINS_FIELD_NUMBER: _ClassVar[int]
    BOOSTS_FIELD_NUMBER: _ClassVar[int]
    NEW_SHARE_FIELD_NUMBER: _ClassVar[int]
    NEW_WITHIN_FIELD_NUMBER: _ClassVar[int]
    EXPLORATION_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    NOVELTY_FIELD_NUMBER: _ClassVar[int]
    diversity: float
    caps: _containers.RepeatedCompositeFieldContainer[Cap]
    pins: _containers.RepeatedCompositeFieldContainer[Pin]
    boosts: _containers.RepeatedCompositeFieldContainer[Boost]
    new_share: float
    new_within: _duration_pb2.Duration
    exploration: float
    seed: int
    novelty: float
    def __init__(self, diversity: _Optional[float] = ..., caps: _Optional[_Iterable[_Union[Cap, _Mapping]]] = ..., pins: _Optional[_Iterable[_Union[Pin, _Mapping]]] = ..., boosts: _Optional[_Iterable[_Union[Boost, _Mapping]]] = ..., new_share: _Optional[float] = ..., new_within: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., exploration: _Optional[float] = ..., seed: _Optional[int] = ..., novelty: _Optional[float] = ...) -> None: ...

class Cap(_message.Message):
    __slots__ = ("attribute", "most", "within")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    WITHIN_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    most: int
    within: int
    def __init__(self, attribute: _Optional[str] = ..., most: _Optional[int] = ..., within: _Optional[int] = ...) -> None: ...

class Pin(_message.Message):
    __slots__ = ("item_id", "place")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    place: int
    def __init__(self, item_id: _Optional[str] = ..., place: _Optional[int] = ...) -> None: ...

class Boost(_message.Message):
    __slots__ = ("condition", "items", "strength")
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    condition: _filter_pb2.AttributeCondition
    items: BoostedItems
    strength: float
    def __init__(self, condition: _Optional[_Union[_filter_pb2.AttributeCondition, _Mapping]] = ..., items: _Optional[_Union[BoostedItems, _Mapping]] = ..., strength: _Optional[float] = ...) -> None: ...

class BoostedItems(_message.Message):
    __slots__ = ("item_ids",)
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, item_ids: _Optional[_Iterable[str]] = ...) -> None: ...
