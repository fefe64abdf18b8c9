import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from shortlist.v1 import item_pb2 as _item_pb2
from shortlist.v1 import recommender_pb2 as _recommender_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChangeOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_OUTCOME_UNSPECIFIED: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_APPLIED: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_UNCHANGED: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_REFUSED: _ClassVar[ChangeOutcome]
CHANGE_OUTCOME_UNSPECIFIED: ChangeOutcome
CHANGE_OUTCOME_APPLIED: ChangeOutcome
CHANGE_OUTCOME_UNCHANGED: ChangeOutcome
CHANGE_OUTCOME_REFUSED: ChangeOutcome

class UpsertItemsRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ItemUpsert]
    def __init__(self, items: _Optional[_Iterable[_Union[ItemUpsert, _Mapping]]] = ...) -> None: ...

class ItemUpsert(_message.Message):
    __slots__ = ("item", "version", "item_ttl")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ITEM_TTL_FIELD_NUMBER: _ClassVar[int]
    item: _item_pb2.Item
    version: int
    item_ttl: _duration_pb2.Duration
    def __init__(self, item: _Optional[_Union[_item_pb2.Item, _Mapping]] = ..., version: _Optional[int] = ..., item_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class UpsertItemsResponse(_message.Message):
    __slots__ = ("results", "release_id")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ChangeResult]
    release_id: str
    def __init__(self, results: _Optional[_Iterable[_Union[ChangeResult, _Mapping]]] = ..., release_id: _Optional[str] = ...) -> None: ...

class UpsertItemStreamResponse(_message.Message):
    __slots__ = ("applied_count", "unchanged_count", "refused_count", "refused")
    APPLIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REFUSED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    applied_count: int
    unchanged_count: int
    refused_count: int
    refused: _containers.RepeatedCompositeFieldContainer[ChangeResult]
    def __init__(self, applied_count: _Optional[int] = ..., unchanged_count: _Optional[int] = ..., refused_count: _Optional[int] = ..., refused: _Optional[_Iterable[_Union[ChangeResult, _Mapping]]] = ...) -> None: ...

class ChangeResult(_message.Message):
    __slots__ = ("item_id", "outcome", "version", "error")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    outcome: ChangeOutcome
    version: int
    error: _recommender_pb2.EntryError
    def __init__(self, item_id: _Optional[str] = ..., outcome: _Optional[_Union[ChangeOutcome, str]] = ..., version: _Optional[int] = ..., error: _Optional[_Union[_recommender_pb2.EntryError, _Mapping]] = ...) -> None: ...

class DeleteItemsRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ItemDeletion]
    def __init__(self, items: _Optional[_Iterable[_Union[ItemDeletion, _Mapping]]] = ...) -> None: ...

class ItemDeletion(_message.Message):
    __slots__ = ("item_id", "version")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    version: int
    def __init__(self, item_id: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class DeleteItemsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ChangeResult]
    def __init__(self, results: _Optional[_Iterable[_Union[ChangeResult, _Mapping]]] = ...) -> None: ...

class GetItemRequest(_message.Message):
    __slots__ = ("item_id",)
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    def __init__(self, item_id: _Optional[str] = ...) -> None: ...

class GetItemResponse(_message.Message):
    __slots__ = ("item", "version", "release_id")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RELEASE_ID_FIELD_NUMBER: _ClassVar[int]
    item: _item_pb2.Item
    version: int
    release_id: str
    def __init__(self, item: _Optional[_Union[_item_pb2.Item, _Mapping]] = ..., version: _Optional[int] = ..., release_id: _Optional[str] = ...) -> None: ...

class ListItemsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "changed_only")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CHANGED_ONLY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    changed_only: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., changed_only: _Optional[bool] = ...) -> None: ...

class ListItemsResponse(_message.Message):
    __slots__ = ("items", "next_page_token", "total_count")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[GetItemResponse]
    next_page_token: str
    total_count: int
    def __init__(self, items: _Optional[_Iterable[_Union[GetItemResponse, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_count: _Optional[int] = ...) -> None: ...

class SetAvailabilityRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ItemAvailability]
    def __init__(self, items: _Optional[_Iterable[_Union[ItemAvailability, _Mapping]]] = ...) -> None: ...

class ItemAvailability(_message.Message):
    __slots__ = ("item_id", "available", "version")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    available: bool
    version: int
    def __init__(self, item_id: _Optional[str] = ..., available: _Optional[bool] = ..., version: _Optional[int] = ...) -> None: ...

class SetAvailabilityResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ChangeResult]
    def __init__(self, results: _Optional[_Iterable[_Union[ChangeResult, _Mapping]]] = ...) -> None: ...

class SetAttributesRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ItemAttributes]
    def __init__(self, items: _Optional[_Iterable[_Union[ItemAttributes, _Mapping]]] = ...) -> None: ...

class ItemAttributes(_message.Message):
    __slots__ = ("item_id", "attributes", "removed", "version")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _item_pb2.AttributeValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_item_pb2.AttributeValue, _Mapping]] = ...) -> None: ...
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    attributes: _containers.MessageMap[str, _item_pb2.AttributeValue]
    removed: _containers.RepeatedScalarFieldContainer[str]
    version: int
    def __init__(self, item_id: _Optional[str] = ..., attributes: _Optional[_Mapping[str, _item_pb2.AttributeValue]] = ..., removed: _Optional[_Iterable[str]] = ..., version: _Optional[int] = ...) -> None: ...

class SetAttributesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ChangeResult]
    def __init__(self, results: _Optional[_Iterable[_Union[ChangeResult, _Mapping]]] = ...) -> None: ...
