import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datafiles import text_lines
from datafiles.cells import trimmed
from datafiles.items import read_items
from domain.errors import ItemFileError
from domain.item import AttributeType, Item, item_to_json
from domain.timestamp import Timestamp

GOOD = b'{"id": "a", "title": "x"}\n'


def written(folder, content, name="items.jsonl"):
    path = folder / name
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("name", ["items.jsonl", "items.jsonl.gz", "items.csv.gz"])
def test_a_line_without_an_end_is_never_read_whole(tmp_path, monkeypatch, name):
    monkeypatch.setattr(text_lines, "MOST_LINE_BYTES", 1_000)
    path = written(tmp_path, GOOD + b" " * 2_000 if "json" in name else b"id,title\n" + b"a" * 2_000, name)
    with pytest.raises(ItemFileError, match="line 2: longer than"):
        list(read_items(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + b'{"title": "y"}\n', 'line 2: "id" is missing'),
        (GOOD + b'\n{"id": "b", "title": "x"}\n{"id": "a", "title": "z"}\n', 'line 4: id "a" stands on line 1 already'),
        (b'{"id": 1, "title": "x"}\n{"id": "1", "title": "x"}\n', 'line 2: id "1" stands on line 1 already'),
        (GOOD + b'{"id": "b"}\n', 'line 2: item "b" has neither title nor text'),
        (GOOD + b'{"id": "b", "title": "caf\xe9"}\n', "line 2: not valid UTF-8 .byte 26 of the line."),
        (GOOD * 0 + b"\xff\xfe{\0\n", "line 1: not valid UTF-8"),
        (b"", "no items; the file is empty"),
        (b"\n \r\n", "no items; the file is empty"),
        (b"\xef\xbb\xbf", "no items; the file is empty"),
        (GOOD + b'["b"]\n', "line 2: expected one JSON object a line"),
        (GOOD + b'{"id": "b", "title": "x", "title": "y"}\n', "line 2: broken JSON: a key stands twice"),
        (GOOD + b'{"id": "b", "title": "x", "p": NaN}\n', "line 2: broken JSON: NaN is not valid JSON"),
        (GOOD + b'{"id": "b", "title": "x", "p": -Infinity}\n', "line 2: broken JSON: -Infinity is not valid JSON"),
        (GOOD + b'{"id": "b", "title": "x", "p": 1e999}\n', 'line 2: attribute "p": a number must be finite'),
        (GOOD + b'{"id": "b", "title": "x", "p": {"q": 1}}\n', 'line 2: attribute "p": expected .* found an object'),
        (GOOD + b'{"id": "b", "title": "\\ud800"}\n', 'line 2: "title": text holds a lone surrogate'),
        (GOOD + b'{"id": "b", "title": "a\\u0000"}\n', 'line 2: "title": text must not hold NUL'),
        (GOOD + b"[" * 100_000 + b"\n", "line 2: broken JSON"),
    ],
)
def test_a_bad_line_is_refused_by_number(tmp_path, content, message):
    with pytest.raises(ItemFileError, match=message):
        read_items(written(tmp_path, content))


def test_broken_json_on_line_7_names_that_line_and_no_other(tmp_path):
    rows = [json.dumps({"id": str(n), "title": "x"}) for n in range(1, 10)]
    rows[6] = '{"id": "7", "title": "x"'
    path = written(tmp_path, "\n".join(rows))
    with pytest.raises(ItemFileError, match="line 7: broken JSON") as refusal:
        read_items(path)
    assert str(refusal.value).count("line ") == 1


def test_an_attribute_of_changing_type_names_both_lines(tmp_path):
    rows = [{"id": "a", "title": "x"}, {"id": "b", "title": "x", "p": 1}, {"id": "c", "title": "x", "p": "1"}]
    with pytest.raises(ItemFileError, match='line 3: attribute "p" is a string here but a number on line 2'):
        read_items(written(tmp_path, lines(*rows)))


@pytest.mark.parametrize("second", [2.5, None, 3])
def test_whole_and_broken_numbers_and_null_are_one_type(tmp_path, second):
    path = written(tmp_path, lines({"id": "a", "title": "x", "p": 1}, {"id": "b", "title": "x", "p": second}))
    assert read_items(path).attribute_types == {"p": AttributeType.NUMBER}


@pytest.mark.parametrize("name", ["items.jsonl", "items.jsonl.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_mark_line_ends_and_gzip_change_nothing(tmp_path, name, end, mark):
    text = end.join(
        ['{"id": "a", "title": "茶 😀", "tags": ["x"]}', "", '{"id": "b", "text": "y", "available": false}']
    )
    catalogue = read_items(written(tmp_path, mark + text.encode(), name))
    assert catalogue.items == (Item("a", "茶 😀", "", True, {"tags": ("x",)}), Item("b", "", "y", False, {}))
    assert catalogue.attribute_types == {"tags": AttributeType.STRING_LIST}


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_cut_off_gzip_file_is_refused(tmp_path, kept):
    whole = gzip.compress(b"".join(b'{"id": "%d", "title": "x"}\n' % n for n in range(1000)))
    path = tmp_path / "items.jsonl.gz"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ItemFileError, match="gzip file is damaged or cut off"):
        read_items(path)


def test_a_flipped_byte_in_a_gzip_file_is_refused(tmp_path):
    whole = bytearray(gzip.compress(GOOD))
    whole[-6] ^= 0xFF
    path = tmp_path / "items.jsonl.gz"
    path.write_bytes(whole)
    with pytest.raises(ItemFileError, match="damaged"):
        read_items(path)


def test_a_file_that_is_no_gzip_is_refused(tmp_path):
    path = tmp_path / "items.jsonl.gz"
    path.write_bytes(GOOD)
    with pytest.raises(ItemFileError, match="damaged"):
        read_items(path)


def test_a_missing_file_a_folder_and_an_unknown_kind_are_refused(tmp_path):
    with pytest.raises(ItemFileError, match="cannot be read: No such file"):
        read_items(tmp_path / "none.jsonl")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ItemFileError, match="cannot be read: Is a directory"):
        read_items(tmp_path / "folder.csv")
    with pytest.raises(ItemFileError, match=r"unknown kind of file; give \.csv"):
        read_items(written(tmp_path, GOOD, "items.xlsx"))


NAMES = {
    "s": st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8),
    "n": st.one_of(st.integers(1 - 10**15, 10**15 - 1), st.floats(allow_nan=False, allow_infinity=False)),
    "b": st.booleans(),
    "l": st.lists(st.text("ab\u2028\x85\r\n茶", max_size=3), max_size=2).map(tuple),
}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.fixed_dictionaries({}, optional=NAMES), min_size=1, max_size=6), st.booleans())
def test_what_was_written_is_read(tmp_path_factory, attributes, ascii_only):
    items = tuple(Item(str(n), f"title {n}", "", True, one) for n, one in enumerate(attributes))
    text = "".join(json.dumps(item_to_json(item), ensure_ascii=ascii_only) + "\n" for item in items)
    found = read_items(written(tmp_path_factory.mktemp("items"), text)).items
    assert [item.attributes for item in found] == [
        {name: _without_edges(value) for name, value in item.attributes.items()} for item in items
    ]


def _without_edges(value):
    if isinstance(value, tuple):
        return tuple(trimmed(entry) for entry in value)
    return trimmed(value) if isinstance(value, str) else value


def csv_items(folder, text, name="items.csv"):
    return read_items(written(folder, text, name)).items


def test_csv_columns_get_their_types(tmp_path):
    text = (
        "id,title,available,price,year,code,new,mixed,tags[],none,odd\n"
        '1,"Tea, green",yes,1.50,1999,007,true,1,a | b|,,1.0e3\n'
        "2,Pot,0,-2,2001,8,FALSE,x,,,\n"
        '3,"two\nlines",,,,,,,c,, 5 \n'
    )
    path = written(tmp_path, text, "items.csv")
    catalogue = read_items(path)
    assert catalogue.attribute_types == {
        "price": AttributeType.NUMBER,
        "year": AttributeType.NUMBER,
        "code": AttributeType.STRING,
        "new": AttributeType.BOOLEAN,
        "mixed": AttributeType.STRING,
        "tags": AttributeType.STRING_LIST,
        "odd": AttributeType.NUMBER,
    }
    first, second, third = catalogue.items
    assert first == Item(
        "1",
        "Tea, green",
        "",
        True,
        {"price": 1.5, "year": 1999, "code": "007", "new": True, "mixed": "1", "tags": ("a", "b"), "odd": 1000.0},
    )
    assert second == Item(
        "2", "Pot", "", False, {"price": -2, "year": 2001, "code": "8", "new": False, "mixed": "x", "tags": ()}
    )
    assert third == Item("3", "two\nlines", "", True, {"tags": ("c",), "odd": 5})
    assert isinstance(first.attributes["year"], int)


@pytest.mark.parametrize("name", ["items.csv", "items.csv.gz"])
def test_csv_with_byte_order_mark_and_crlf(tmp_path, name):
    items = csv_items(tmp_path, "\ufeffid,title\r\n1,茶\r\n\r\n2,Pot\r\n", name)
    assert items == (Item("1", "茶", ""), Item("2", "Pot", ""))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no items; the file is empty"),
        ("id,title\n", "no items; the file is empty"),
        ("id,title\n1,a\n2,b,c\n", "line 3: 3 columns, but the header has 2"),
        ("id,title\n1,a\n2\n", "line 3: 1 columns, but the header has 2"),
        ('id,title\n1,"a\nb"\n2\n', "line 4: 1 columns"),
        ('id,title\n1,a\n2,"b\n', "line 3: broken CSV"),
        ('id,title\n1,"a"b\n', "line 2: broken CSV"),
        ("nr,title\n1,a\n", 'line 1: the header needs "id" .*--columns id=nr'),
        ("id,label\n1,a\n", 'line 1: the header needs "id" and one of "title" and "text"'),
        ("id,title,tags,tags[]\n1,a,b,c\n", "line 1: every column needs a name of its own"),
        ("id,title,\n1,a,b\n", "line 1: every column needs a name of its own"),
        ("id,title,available\n1,a,perhaps\n", 'line 2: "available" must be true or false, found "perhaps"'),
        ("id,title\n1,a\n1,b\n", 'line 3: id "1" stands on line 2 already'),
        ("id,title\n,a\n", 'line 2: "id" is missing'),
        ("id,title\n1,\n", "line 2: item .* neither title nor text"),
        ("id,title,p\n1,a,1.0e999\n", 'line 2: attribute "p": a number must be finite'),
        ("id,title\n1,a\0\n", "line 2: .*NUL"),
        (b"id,title\n1,a\n2,\xe9\n", "line 3: not valid UTF-8"),
    ],
)
def test_a_bad_csv_file_is_refused_by_line(tmp_path, content, message):
    with pytest.raises(ItemFileError, match=message):
        csv_items(tmp_path, content)


def test_a_csv_whose_first_line_is_blank_is_not_called_empty(tmp_path):
    assert csv_items(tmp_path, "\nid,title\n1,a\n") == (Item("1", "a", ""),)


def test_a_csv_field_may_be_as_long_as_a_json_one(tmp_path):
    long = "word " * 100_000
    assert csv_items(tmp_path, f"id,text\n1,{long}\n")[0].text == long.strip()


def kinds(folder, *values):
    rows = [{"id": str(n), "title": "x", "seen": value} for n, value in enumerate(values)]
    return read_items(written(folder, lines(*rows))).attribute_types["seen"]


def test_strings_are_timestamps_where_every_one_is(tmp_path):
    moment = "2026-01-31T09:30:00Z"
    assert kinds(tmp_path, moment, None, "2026-01-31 09:30:00.5+01:00") is AttributeType.TIMESTAMP
    assert kinds(tmp_path, moment, "soon") is AttributeType.STRING
    assert kinds(tmp_path, moment, "") is AttributeType.STRING
    assert kinds(tmp_path, "2026-01-31") is AttributeType.STRING
    assert kinds(tmp_path, [moment]) is AttributeType.STRING_LIST


def test_a_timestamp_is_kept_as_it_was_written(tmp_path):
    text = "2026-01-31 09:30:00.50+01:00"
    (item,) = read_items(written(tmp_path, lines({"id": "a", "title": "x", "seen": text}))).items
    assert item.attributes["seen"] == Timestamp(text, 1_769_848_200, 500_000_000)
    assert item_to_json(item)["seen"] == text


def test_a_mixed_column_stays_text_also_where_a_value_is_a_moment(tmp_path):
    rows = [{"id": "a", "title": "x", "seen": "2026-01-31T09:30:00Z"}, {"id": "b", "title": "x", "seen": "soon"}]
    assert [item.attributes["seen"] for item in read_items(written(tmp_path, lines(*rows))).items] == [
        "2026-01-31T09:30:00Z",
        "soon",
    ]
