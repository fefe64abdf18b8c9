"""Item files of which every refusal is collected, and readers that stop at the first."""

import json
from pathlib import Path

import pytest

from datafiles.items import check_items, read_items
from datafiles.options import DEFAULT_OPTIONS, file_options
from datafiles.refusals import MOST_KINDS, Refusals
from domain.errors import ItemFileError


def _checked(path: Path, text: str, options=DEFAULT_OPTIONS):
    path.write_text(text, encoding="utf-8")
    refusals = Refusals()
    file = check_items(path, options=options, refusals=refusals)
    with pytest.raises(ItemFileError):
        read_items(path, options)  # what builds stops at the first
    return file, {tuple(refusal.places): (refusal.count, refusal.reason) for refusal in refusals.all()}


CSV_KINDS = {
    "cells": ("6,C,1,true,x", "5 columns, but the header has 4"),
    "title": ("7,,1,true", "neither title nor text"),
    "no id": (",C,1,true", '"id" is missing'),
    "word": ("NaN,C,1,true", '"id" is NaN, a word for a missing value; correct it, --missing NaN'),
    "available": ("8,C,1,perhaps", '"available" must be true or false, found "perhaps"'),
    "number": ("9,C,abc,true", "--column price:number"),
    "repeated": ("1,C,1,true", 'id "1" stands on line 2 already'),
}


@pytest.mark.parametrize("kind", CSV_KINDS)
def test_reading_goes_on_behind_each_kind(tmp_path, kind):
    row, reason = CSV_KINDS[kind]
    rows = f"id,title,price,available\n1,A,1,true\n{row}\n4,D,2,true\n{row}\n5,E,3,false\n"
    file, found = _checked(tmp_path / "items.csv", rows, file_options(types=["price:number"]))
    count, said = found[(3, 5)]
    assert count == 2 and reason in said
    assert {"1", "4", "5"} <= set(file.ids())
    assert file.refused and file.item_count >= 3


def test_a_file_with_all_kinds_names_each(tmp_path):
    rows = "id,title,price,available\n1,A,1,true\n" + "".join(f"{row}\n" for row, _ in CSV_KINDS.values())
    _, found = _checked(tmp_path / "items.csv", rows, file_options(types=["price:number"]))
    assert len(found) == len(CSV_KINDS)
    for _, reason in CSV_KINDS.values():
        assert any(reason in said for _, said in found.values()), reason


def test_two_cells_of_one_row_are_both_named(tmp_path):
    path, refusals = tmp_path / "items.csv", Refusals()
    path.write_text("id,title,price,available\n1,A,abc,perhaps\n2,B,3,true\n")
    check_items(path, options=file_options(types=["price:number"]), refusals=refusals)
    assert [refusal.places for refusal in refusals.all()] == [[2], [2]]


SEVERAL = (
    ({"id": "2", "title": "x", "size": {"w": 1}, "tags": ["a", 7], "price": "cheap"}, ("size", "tags", "price")),
    ({"id": "2", "title": "x", "price": "cheap", "colour": 7}, ("price", "colour")),
    ({"id": "2", "title": 7, "available": "perhaps", "size": {"w": 1}}, ("title", "available", "size")),
)


@pytest.mark.parametrize(("row", "names"), SEVERAL)
def test_all_wrong_values_of_an_object_are_named(tmp_path, row, names):
    path, refusals = tmp_path / "items.jsonl", Refusals()
    rows = [{"id": "1", "title": "A", "price": 1, "colour": "red"}, row, {"id": "3", "title": "C", "price": 3}]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    file = check_items(path, refusals=refusals)
    reasons = [refusal.reason for refusal in refusals.all()]
    assert [refusal.places for refusal in refusals.all()] == [[2]] * len(names)
    assert all(any(f'"{name}"' in reason for reason in reasons) for name in names)
    assert file.item_count == 2
    with pytest.raises(ItemFileError) as caught:
        read_items(path)
    assert all(f'"{name}"' in str(caught.value) for name in names)
    assert str(caught.value).count("line 2: ") == 1


def test_types_of_a_refused_row_count_for_no_other(tmp_path):
    path, refusals = tmp_path / "items.jsonl", Refusals()
    rows = [{"id": "1", "title": "A", "size": {}, "price": "cheap"}, {"id": "2", "title": "B", "price": 3}]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    assert check_items(path, refusals=refusals).attribute_types == {"price": "number"}
    assert [refusal.places for refusal in refusals.all()] == [[1]]


def test_all_values_of_the_wrong_type_are_named_where_reading_stops(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text('{"id": "1", "title": "A", "price": "abc", "size": "def"}\n{"id": "2", "title": "B", "price": 3}\n')
    with pytest.raises(ItemFileError, match=r'line 1: attribute "price" must be .*; attribute "size" must be'):
        read_items(path, file_options(types=["price:number", "size:number"]))


JSON_KINDS = {
    "broken": ('{"id": "3", "title": ', "broken JSON"),
    "no object": ("7", "expected one JSON object a line"),
    "key twice": ('{"id": "3", "id": "4", "title": "x"}', "a key stands twice"),
    "object": ('{"id": "3", "title": "x", "size": {"w": 1}}', 'attribute "size": expected a string'),
    "type": (
        '{"id": "3", "title": "x", "price": "cheap"}',
        'attribute "price" is a string here but a number on line 1',
    ),
    "broken id": ('{"id": 1.5, "title": "x"}', '"id" is the number 1.5'),
}


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_reading_of_objects_goes_on_behind_each_kind(tmp_path, kind):
    row, reason = JSON_KINDS[kind]
    good = [json.dumps({"id": f"i{n}", "title": "x", "price": n}) for n in range(2)]
    file, found = _checked(
        tmp_path / "items.jsonl", "\n".join((good[0], row, row.replace('"3"', '"9"'), good[1])) + "\n"
    )
    assert found[(2, 3)][0] == 2 and reason in found[(2, 3)][1]
    assert {"i0", "i1"} <= set(file.ids()) and file.item_count == 2


def test_a_broken_object_of_an_array_leaves_the_others(tmp_path):
    text = '[{"id": "a", "title": "A"},\n{"id": "b", "title": },\n{"id": "c", "title": "C"}]\n'
    file, found = _checked(tmp_path / "items.json", text)
    assert file.ids() == ["a", "c"] and list(found) == [(2,)]


def test_several_units_are_counted(tmp_path):
    rows = "id,title,weight\n" + "".join(f"{n},x,{n} {'kg' if n < 5 else 'lb'}\n" for n in range(1, 9))
    _, found = _checked(tmp_path / "items.csv", rows, file_options(types=["weight:number"]))
    assert [count for count, reason in found.values() if "several units" in reason] == [8]


def test_what_ends_a_file_comes_beside_what_was_found_before(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text('id,title\n1,A,B\n2,"never closed\n')
    refusals = Refusals()
    with pytest.raises(ItemFileError, match="line 3: broken CSV"):
        check_items(path, refusals=refusals)
    assert [refusal.places for refusal in refusals.all()] == [[2]]
    path.write_text("id,title\n1,A,B\n")
    with pytest.raises(ItemFileError, match="no items; every row is refused"):
        check_items(path, refusals=Refusals())


def test_memory_is_that_of_the_kinds():
    refusals = Refusals()
    for place in range(1, 5_001):
        refusals.add(place, f'"price" must be a number, found "{place}"')
        refusals.add(place, f'attribute "{chr(97 + place % 100)}" is odd')
    assert len(refusals.all()) == MOST_KINDS
    first = refusals.all()[0]
    assert (first.count, first.places, first.found) == (5_000, [1, 2, 3], ["1", "2", "3"])
    sentences = refusals.sentences(Path("x.csv"))
    others = '; line 2 has "2"; line 3 has "3"'
    assert sentences[0] == (
        'x.csv, line 1, line 2, line 3 and 4,997 more: "price" must be a number, found "1"' + others
    )
    counted = sum(fact["count"] for fact in refusals.facts(Path("x.csv")))
    assert counted == 10_000 and "more refusals for other reasons" in sentences[-1]
