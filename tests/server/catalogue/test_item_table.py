import json

import pytest

from domain.catalogue_values import CatalogueValues, NumberRange
from domain.condition import AnyNumber, AnyOf, Condition, Equals, Exists, GeoRadius, Range, TimeRange
from domain.errors import InvalidRequest, ReleaseRejected
from domain.item import AttributeType, Item, item_to_json
from domain.timestamp import parse_timestamp
from server.catalogue.item_table import ItemTable

SOONER, LATER = parse_timestamp("2026-01-31T10:30:00+01:00"), parse_timestamp("2026-01-31T09:30:00.5Z")
ITEMS = (
    Item(
        "tea",
        "Tea 茶",
        "Green.",
        True,
        {
            "brand": "Pell",
            "price": 4,
            "new": True,
            "tags": ("leaf", "green"),
            "seen": LATER,
        },
    ),
    Item(
        "pot",
        "Pot",
        "",
        False,
        {"brand": "Oak", "price": 20.5, "new": False, "tags": (), "seen": SOONER},
    ),
    Item("cup", "", "A cup.", True, {"brand": "Pell", "price": -1.0, "tags": ("green",)}),
    Item("mat", "Mat", "", True, {}),
)
TYPES = {
    "brand": AttributeType.STRING,
    "price": AttributeType.NUMBER,
    "new": AttributeType.BOOLEAN,
    "tags": AttributeType.STRING_LIST,
    "never": AttributeType.NUMBER,
    "seen": AttributeType.TIMESTAMP,
}
# When the tea and the pot were seen; the tea half a second later.
SEEN_S = 1_769_851_800
HALF = 500_000_000
FITTING = "is a number; range, number_equals, any_number and geo_radius fit it"
LONGITUDE = ".geo_radius.longitude_attribute"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "items.jsonl"
    text = "".join(json.dumps(item_to_json(item), ensure_ascii=False) + "\n" for item in ITEMS)
    path.write_text(text, encoding="utf-8")
    return ItemTable(path, TYPES)


def any_of(*values):
    return AnyOf(frozenset(values))


@pytest.mark.parametrize(
    ("attribute", "test", "met"),
    [
        ("brand", any_of("Pell"), {"tea", "cup"}),
        ("brand", any_of("Pell", "Oak", "None"), {"tea", "pot", "cup"}),
        ("brand", any_of("pell"), set()),
        ("brand", AnyOf(frozenset({"pELL", "x"}), ignore_case=True), {"tea", "cup"}),
        ("tags", AnyOf(frozenset({"GREEN"}), ignore_case=True), {"tea", "cup"}),
        ("price", AnyNumber(frozenset({4.0})), {"tea"}),
        ("price", AnyNumber(frozenset({4.0, -1.0, 7.0})), {"tea", "cup"}),
        ("price", Exists(), {"tea", "pot", "cup"}),
        ("tags", Exists(), {"tea", "pot", "cup"}),
        ("brand", Exists(False), {"mat"}),
        ("new", Exists(False), {"cup", "mat"}),
        ("never", Exists(), set()),
        ("seen", Exists(), {"tea", "pot"}),
        ("tags", any_of("green"), {"tea", "cup"}),
        ("tags", any_of("leaf", "unknown"), {"tea"}),
        ("price", Range(4, None), {"tea", "pot"}),
        ("price", Range(None, 4), {"tea", "cup"}),
        ("price", Range(4, 4), {"tea"}),
        ("price", Range(4.001, 20.499), set()),
        ("price", Range(float("-inf"), float("inf")), {"tea", "pot", "cup"}),
        ("new", Equals(True), {"tea"}),
        ("new", Equals(False), {"pot"}),
        ("never", Range(0, None), set()),
        ("seen", TimeRange((SEEN_S, 0), None), {"tea", "pot"}),
        ("seen", TimeRange((SEEN_S, 1), None), {"tea"}),
        ("seen", TimeRange(None, (SEEN_S, HALF - 1)), {"pot"}),
        ("seen", TimeRange((SEEN_S, HALF), (SEEN_S, HALF)), {"tea"}),
        ("seen", TimeRange((SEEN_S - 1, 999_999_999), (SEEN_S + 1, 0)), {"tea", "pot"}),
        ("seen", TimeRange((SEEN_S + 1, 0), None), set()),
    ],
)
def test_a_condition_blocks_what_does_not_meet_it_and_negated_what_does(table, attribute, test, met):
    ids = {item.id for item in ITEMS}
    for negate, kept in ((False, met), (True, ids - met)):
        blocked = table.blocked_by([Condition(attribute, test, negate)])
        assert {table.ids[row] for row in range(len(table)) if not blocked[row]} == kept


def test_all_conditions_must_hold(table):
    blocked = table.blocked_by(
        [Condition("brand", any_of("Pell")), Condition("price", Range(0, None)), Condition("new", Equals(False), True)]
    )
    assert blocked.tolist() == [False, True, True, True]
    assert table.blocked_by([]).tolist() == [False] * 4


@pytest.mark.parametrize(
    ("condition", "field", "words"),
    [
        (Condition("colour", any_of("red")), "conditions[1].attribute", 'no item has an attribute "colour"'),
        (Condition("brand", Range(1, 2)), "conditions[1]", "is a string; any_of fits it"),
        (Condition("tags", Equals(True)), "conditions[1]", "is a string_list; any_of fits it"),
        (Condition("price", any_of("4")), "conditions[1]", FITTING),
        (Condition("price", Equals(True)), "conditions[1]", FITTING),
        (Condition("seen", Range(0, 1)), "conditions[1]", "is a timestamp; time_range fits it"),
        (
            Condition("price", TimeRange((0, 0), None)),
            "conditions[1]",
            FITTING,
        ),
        (Condition("new", Range(0, 1)), "conditions[1]", "is a boolean; bool_equals fits it"),
        (Condition("brand", GeoRadius("price", 0, 0, 1)), "conditions[1]", "is a string; any_of fits it"),
        (Condition("price", GeoRadius("brand", 0, 0, 1)), f"conditions[1]{LONGITUDE}", "is a string; any_of fits it"),
        (Condition("price", GeoRadius("lon", 0, 0, 1)), f"conditions[1]{LONGITUDE}", 'no item has an attribute "lon"'),
        (Condition("price", GeoRadius("price", 0, 0, 1)), f"conditions[1]{LONGITUDE}", "another attribute"),
    ],
)
def test_a_condition_that_does_not_fit_is_refused_by_place(table, condition, field, words):
    with pytest.raises(InvalidRequest) as refusal:
        table.blocked_by([Condition("brand", any_of("Pell")), condition])
    (violation,) = refusal.value.violations
    assert violation.field == field
    assert words in violation.description


def test_every_condition_that_does_not_fit_is_named(table):
    with pytest.raises(InvalidRequest) as refusal:
        table.blocked_by([Condition("brend", any_of("Pell")), Condition("price", Equals(True))])
    found = {violation.field: violation.description for violation in refusal.value.violations}
    assert set(found) == {"conditions[0].attribute", "conditions[1]"}
    assert found["conditions[0].attribute"].endswith('did you mean "brand"?')
    with pytest.raises(InvalidRequest) as refusal:
        table.blocked_by([Condition("lat", GeoRadius("tags", 0, 0, 1))])
    fields = [violation.field for violation in refusal.value.violations]
    assert fields == ["conditions[0].attribute", f"conditions[0]{LONGITUDE}"]


def test_items_come_back_whole_and_ids_have_rows(table):
    assert tuple(table.item(row) for row in range(len(table))) == ITEMS
    assert table.ids == [item.id for item in ITEMS]
    assert table.unavailable.tolist() == [False, True, False, False]
    assert (table.row_of("cup"), table.row_of("none")) == (2, None)
    assert table.rows_of(["mat", "none", "tea"]) == [3, 0]


def test_values_are_counted_numbers_have_an_extent_and_titles_are_kept(table):
    assert table.values() == CatalogueValues(
        types=TYPES,
        counts={"brand": {"Pell": 2, "Oak": 1}, "tags": {"leaf": 1, "green": 2}},
        ranges={"price": NumberRange(-1.0, 20.5, False), "seen": NumberRange(SEEN_S, SEEN_S, True)},
        titles=("Tea 茶", "Pot", "Mat"),
    )


@pytest.mark.parametrize("line", ['{"id": "x"}', "{", "[]", '{"id": "x", "title": "\\ud800"}', "\udcff"])
def test_a_line_that_is_no_item_is_refused_by_number(tmp_path, line):
    path = tmp_path / "items.jsonl"
    path.write_bytes(('{"id": "a", "title": "b"}\n' + line + "\n").encode("utf-8", "surrogateescape"))
    with pytest.raises(ReleaseRejected, match=r"items\.jsonl, line 2: .*; build the release again"):
        ItemTable(path, {})


def test_an_empty_file_and_an_attribute_that_the_manifest_lacks_are_refused(tmp_path):
    path = tmp_path / "items.jsonl"
    path.touch()
    with pytest.raises(ReleaseRejected, match="no items"):
        ItemTable(path, {})
    path.write_text('{"id": "a", "title": "b", "price": 3}\n', encoding="utf-8")
    for types in ({}, {"price": AttributeType.STRING}, {"price": AttributeType.TIMESTAMP}):
        with pytest.raises(ReleaseRejected, match="price"):
            ItemTable(path, types)
