import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.item import AttributeType, Item, attribute_type, item_from_json, item_to_json

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
ATTRIBUTE = st.one_of(
    TEXT,
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(TEXT, max_size=3).map(tuple),
)
ITEM = st.builds(
    Item,
    id=TEXT.filter(lambda text: 1 <= len(text.encode()) <= 256),
    title=TEXT.filter(str.strip),
    text=TEXT,
    available=st.booleans(),
    attributes=st.dictionaries(TEXT.filter(lambda name: name not in ("id", "title", "text", "available")), ATTRIBUTE),
)


@settings(deadline=None, max_examples=150)
@given(ITEM)
def test_an_item_survives_json(item):
    assert item_from_json(json.loads(json.dumps(item_to_json(item)))) == item


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("x", AttributeType.STRING),
        (1, AttributeType.NUMBER),
        (1.5, AttributeType.NUMBER),
        (True, AttributeType.BOOLEAN),
        (("a",), AttributeType.STRING_LIST),
        ((), AttributeType.STRING_LIST),
    ],
)
def test_each_value_has_one_type(value, kind):
    assert attribute_type(value) is kind


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"title": "x"}, '"id" is missing'),
        ({"id": None, "title": "x"}, '"id" is missing'),
        ({"id": "", "title": "x"}, '"id" must have 1 to 256 bytes, has 0'),
        ({"id": "é" * 129, "title": "x"}, '"id" must have 1 to 256 bytes, has 258'),
        ({"id": True, "title": "x"}, '"id" must be a string, found a boolean'),
        ({"id": 1.5, "title": "x"}, '"id" must be a string, found a number'),
        ({"id": "a\0", "title": "x"}, '"id": text must not hold NUL'),
        ({"id": "a\ud800", "title": "x"}, '"id": text holds a lone surrogate'),
        ({"id": "a"}, 'item "a" has neither title nor text'),
        ({"id": "a", "title": " ", "text": "\n"}, 'item "a" has neither title nor text'),
        ({"id": "a", "title": 3}, '"title" must be a string, found a number'),
        ({"id": "a", "title": "x", "text": ["y"]}, '"text" must be a string, found a list'),
        ({"id": "a", "title": "x\0"}, '"title": text must not hold NUL'),
        ({"id": "a", "text": "\udfff"}, '"text": text holds a lone surrogate'),
        ({"id": "a", "title": "x", "available": "yes"}, '"available" must be true or false, found a string'),
        ({"id": "a", "title": "x", "available": 1}, '"available" must be true or false, found a number'),
        ({"id": "a", "title": "x", "size": {"w": 1}}, 'attribute "size": expected .* found an object'),
        ({"id": "a", "title": "x", "tags": ["a", 1]}, 'attribute "tags": a list must hold strings only'),
        ({"id": "a", "title": "x", "tags": ["a\0"]}, 'attribute "tags": text must not hold NUL'),
        ({"id": "a", "title": "x", "price": math.nan}, 'attribute "price": a number must be finite'),
        ({"id": "a", "title": "x", "price": math.inf}, 'attribute "price": a number must be finite'),
        ({"id": "a", "title": "x", "price": 10**400}, 'attribute "price": a number must be finite'),
        ({"id": "a", "title": "x", "na\0me": 1}, "text must not hold NUL"),
    ],
)
def test_a_bad_column_is_refused_by_name(columns, message):
    with pytest.raises(ValueError, match=message):
        item_from_json(columns)


def test_an_id_may_be_an_integer_and_null_means_absent():
    item = item_from_json({"id": 7, "title": None, "text": "x", "available": None, "brand": None})
    assert item == Item("7", "", "x", available=True, attributes={})


def test_false_makes_an_item_unavailable():
    assert not item_from_json({"id": "a", "title": "x", "available": False}).available
