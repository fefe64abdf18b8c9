"""A condition on one item, by the rules of a catalogue."""

import json

import pytest

from domain.condition import AnyNumber, AnyOf, Condition, Equals, Exists, Range, TimeRange, meets
from domain.item import AttributeType, Item, item_to_json
from domain.timestamp import parse_timestamp
from server.catalogue.item_table import ItemTable

MOMENT = parse_timestamp("1994-05-01T00:00:00Z")
TYPES = {
    "brand": AttributeType.STRING,
    "tags": AttributeType.STRING_LIST,
    "price": AttributeType.NUMBER,
    "safe": AttributeType.BOOLEAN,
    "made": AttributeType.TIMESTAMP,
}
ITEMS = [
    Item("a", "A", "", attributes={"brand": "Pell", "tags": ("x", "y"), "price": 10, "safe": True, "made": MOMENT}),
    Item("b", "B", "", attributes={"brand": "Oak", "tags": (), "price": 20.5, "safe": False}),
    Item("c", "C", ""),
]


@pytest.mark.parametrize("negate", [False, True])
@pytest.mark.parametrize(
    ("attribute", "test"),
    [
        ("brand", AnyOf(frozenset({"Pell", "Z"}))),
        ("tags", AnyOf(frozenset({"y"}))),
        ("brand", AnyOf(frozenset({"pelL"}), ignore_case=True)),
        ("tags", AnyOf(frozenset({"Y"}), ignore_case=True)),
        ("price", AnyNumber(frozenset({10.0, 11.0}))),
        ("tags", Exists()),
        ("made", Exists(False)),
        ("price", Range(10, 10)),
        ("price", Range(None, 20.5)),
        ("price", Range(10.1, None)),
        ("safe", Equals(True)),
        ("safe", Equals(False)),
        ("made", TimeRange((MOMENT.seconds, 0), (MOMENT.seconds, 0))),
        ("made", TimeRange(None, (MOMENT.seconds, 0))),
        ("made", TimeRange((MOMENT.seconds, 0), None)),
    ],
)
def test_an_item_meets_what_the_catalogue_says_it_meets(tmp_path, attribute, test, negate):
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(item_to_json(item)) + "\n" for item in ITEMS))
    condition = Condition(attribute, test, negate)
    blocked = ItemTable(path, TYPES).blocked_by([condition]).tolist()
    assert [not meets(condition, item.attributes) for item in ITEMS] == blocked
    assert len(set(blocked)) == 2


@pytest.mark.parametrize("test", [TimeRange(None, (MOMENT.seconds - 1, 0)), TimeRange((MOMENT.seconds, 1), None)])
def test_an_instant_outside_meets_nothing(test):
    assert not meets(Condition("made", test), ITEMS[0].attributes)
