from shortlist.v1 import filter_pb2 as _filter_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TextInterpretation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TEXT_INTERPRETATION_UNSPECIFIED: _ClassVar[TextInterpretation]
    TEXT_INTERPRETATION_PREFER: _ClassVar[TextInterpretation]
    TEXT_INTERPRETATION_ENFORCE: _ClassVar[TextInterpretation]
    TEXT_INTERPRETATION_OFF: _ClassVar[TextInterpretation]
TEXT_INTERPRETATION_UNSPECIFIED: TextInterpretation
TEXT_INTERPRETATION_PREFER: TextInterpretation
TEXT_INTERPRETATION_ENFORCE: TextInterpretation
TEXT_INTERPRETATION_OFF: TextInterpretation

class Interpretation(_message.Message):
    __slots__ = ("conditions", "orders", "excluded_terms", "search_text")
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_TERMS_FIELD_NUMBER: _ClassVar[int]
    SEARCH_TEXT_FIELD_NUMBER: _ClassVar[int]
    conditions: _containers.RepeatedCompositeFieldContainer[InterpretedCondition]
    orders: _containers.RepeatedCompositeFieldContainer[InterpretedOrder]
    excluded_terms: _containers.RepeatedScalarFieldContainer[str]
    search_text: str
    def __init__(self, conditions: _Optional[_Iterable[_Union[InterpretedCondition, _Mapping]]] = ..., orders: _Optional[_Iterable[_Union[InterpretedOrder, _Mapping]]] = ..., excluded_terms: _Optional[_Iterable[str]] = ..., search_text: _Optional[str] = ...) -> None: ...

class InterpretedCondition(_message.Message):
    __slots__ = ("condition", "phrase")
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    PHRASE_FIELD_NUMBER: _ClassVar[int]
    condition: _filter_pb2.AttributeCondition
    phrase: str
    def __init__(self, condition: _Optional[_Union[_filter_pb2.AttributeCondition, _Mapping]] = ..., phrase: _Optional[str] = ...) -> None: ...

class InterpretedOrder(_message.Message):
    __slots__ = ("attribute", "descending", "phrase")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    DESCENDING_FIELD_NUMBER: _ClassVar[int]
    PHRASE_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    descending: bool
    phrase: str
    def __init__(self, attribute: _Optional[str] = ..., descending: _Optional[bool] = ..., phrase: _Optional[str] = ...) -> None: ...
