"""Items from parquet: every type, every refusal, and the same items as from .jsonl and .csv."""

import json
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from datafiles.items import check_items, read_items
from domain.errors import ItemFileError
from domain.item import AttributeType, item_to_json

IDS = pa.array(["a", "b", "c"])
TITLES = pa.array(["x", "y", "z"])


def written(folder, columns, **options):
    path = folder / "items.parquet"
    pa_parquet.write_table(pa.table(columns), path, **options)
    return path


def attribute(folder, array):
    """An attribute's type, and its values as items.jsonl will hold them."""
    catalogue = read_items(written(folder, {"id": IDS, "title": TITLES, "one": array}))
    return catalogue.attribute_types.get("one"), [item_to_json(item).get("one") for item in catalogue.items]


MOMENT = datetime(2026, 1, 31, 9, 30, 0, 123_456)


@pytest.mark.parametrize(
    ("array", "kind", "values"),
    [
        (pa.array(["u", None, "w"]), AttributeType.STRING, ["u", None, "w"]),
        (pa.array(["u", "u", "w"], pa.large_string()), AttributeType.STRING, ["u", "u", "w"]),
        (pa.array(["u", None, "u"]).dictionary_encode(), AttributeType.STRING, ["u", None, "u"]),
        (pa.array([1, None, 10**15 - 1]), AttributeType.NUMBER, [1, None, 10**15 - 1]),
        (pa.array([1, None, 2**53 + 1]), AttributeType.STRING, ["1", None, str(2**53 + 1)]),
        (pa.array([2**63, 1, None], pa.uint64()), AttributeType.STRING, [str(2**63), "1", None]),
        (pa.array([1.0, float("nan"), 2.0]), AttributeType.NUMBER, [1.0, None, 2.0]),
        (pa.array([b"x", None, "é".encode()]), AttributeType.STRING, ["x", None, "é"]),
        (pa.array([b"x", b"y", b"z"], pa.large_binary()).dictionary_encode(), AttributeType.STRING, ["x", "y", "z"]),
        (pa.array([b"x", b"y", b"z"], pa.binary(1)), AttributeType.STRING, ["x", "y", "z"]),
        (pa.array([["p", None], [], None]), AttributeType.STRING_LIST, [["p"], [], None]),
        (pa.array([[], None, []], pa.list_(pa.null())), None, [None] * 3),
        (pa.array([[], None, []], pa.list_(pa.list_(pa.null()))), None, [None] * 3),
        (pa.array([[b"p"], [], None], pa.list_(pa.binary())), AttributeType.STRING_LIST, [["p"], [], None]),
        (
            pa.ListArray.from_arrays([0, 1, 1, 3], pa.array(["p", "q", "p"]).dictionary_encode()),
            AttributeType.STRING_LIST,
            [["p"], [], ["q", "p"]],
        ),
        (pa.array([0, 255, 7], pa.uint8()), AttributeType.NUMBER, [0, 255, 7]),
        (pa.array([0.1, None, -2.5]), AttributeType.NUMBER, [0.1, None, -2.5]),
        (pa.array([0.5, 1.0, 2.0], pa.float32()), AttributeType.NUMBER, [0.5, 1.0, 2.0]),
        (pa.array([Decimal("1.25"), None, Decimal("3.50")]), AttributeType.NUMBER, [1.25, None, 3.5]),
        (pa.array([True, None, False]), AttributeType.BOOLEAN, [True, None, False]),
        (pa.array([["p", "q"], [], None]), AttributeType.STRING_LIST, [["p", "q"], [], None]),
        (pa.array([None, None, None]), None, [None] * 3),
        (pa.array([None, None, None], pa.float64()), None, [None] * 3),
        (
            pa.array([MOMENT, None, MOMENT], pa.timestamp("us", "Europe/Berlin")),
            AttributeType.TIMESTAMP,
            ["2026-01-31T09:30:00.123456Z", None, "2026-01-31T09:30:00.123456Z"],
        ),
        (
            pa.array([1, -1, 10**9], pa.timestamp("ns")),
            AttributeType.TIMESTAMP,
            ["1970-01-01T00:00:00.000000001Z", "1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:01Z"],
        ),
        (
            pa.array([date(2026, 1, 31), None, date(1969, 12, 31)]),
            AttributeType.TIMESTAMP,
            ["2026-01-31T00:00:00Z", None, "1969-12-31T00:00:00Z"],
        ),
        (
            pa.array(["2026-01-31T09:30:00+01:00", None, "2026-01-31T09:30:00Z"]),
            AttributeType.TIMESTAMP,
            ["2026-01-31T09:30:00+01:00", None, "2026-01-31T09:30:00Z"],
        ),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_every_type_comes_through(tmp_path, array, kind, values):
    assert attribute(tmp_path, array) == (kind, values)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (
            pa.array([{"w": 1}] * 3),
            "is a struct<w: int64>, expected a string, number, boolean, list of str",
        ),
        (pa.array([[1], [2], [3]]), "is a list<.*int64>, expected"),
        (pa.array([[["x"]]] * 3), "is a list<.*list<.*, expected"),
        (pa.array([b"x", b"\xff", b"z"]), 'rows 1 to 3: column "one": .*UTF'),
        (pa.array([[b"x"], [b"\xff"], [b"z"]]), 'rows 1 to 3: column "one": .*utf-8'),
        (pa.array([1, 2, 3], pa.duration("s")), "is a duration.s., expected"),
        (pa.array([[("k", 1)]] * 3, pa.map_(pa.string(), pa.int64())), "is a map<"),
        (pa.array([1.0, float("inf"), 2.0]), 'row 2: attribute "one": a number must be finite'),
        (pa.array(["u", "v\0", "w"]), 'row 2: attribute "one": text must not hold NUL'),
        (pa.array([0, 0, 2**52], pa.timestamp("ms")), 'rows 1 to 3: column "one": a timestamp must lie in the years 1'),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_value_that_is_no_attribute_is_refused(tmp_path, array, words):
    with pytest.raises(ItemFileError, match=words):
        attribute(tmp_path, array)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"nr": IDS, "title": TITLES}, r'expected the columns "id" .*; columns found: nr .string., title .string.'),
        ({"id": IDS, "label": TITLES}, r'one of "title" and "text" .*; columns found: id .string., label .string.'),
        ({"id": pa.array([1.0, 2.5, 3.0]), "title": TITLES}, 'row 2: "id" is the number 2.5; expected a whole number'),
        ({"id": pa.array([1.0, 2.0**60, 3.0]), "title": TITLES}, 'row 2: "id" is .* has lost its last digits'),
        ({"id": IDS, "title": pa.array([1, 2, 3])}, '"title" is a int64, expected a string'),
        (
            {"id": IDS, "title": TITLES, "available": pa.array([1, 0, 2])},
            'row 3: "available" must be true or false, found a number',
        ),
        ({"id": pa.array(["a", None, "c"]), "title": TITLES}, 'row 2: "id" is missing'),
        ({"id": pa.array(["a", "b", "a"]), "title": TITLES}, 'row 3: id "a" stands on row 1 already'),
        ({"id": IDS, "title": pa.array(["x", None, "z"])}, 'row 2: item "b" has neither title nor text'),
        ({"id": IDS[:0], "title": TITLES[:0]}, "no items; the file is empty"),
        ({"user_id": IDS, "item_id": IDS}, r"columns found: user_id .string., item_id .string."),
    ],
)
def test_another_schema_is_refused_with_what_was_found(tmp_path, columns, words):
    with pytest.raises(ItemFileError, match=words):
        read_items(written(tmp_path, columns))


def test_two_columns_of_one_name_are_refused(tmp_path):
    table = pa.Table.from_arrays([IDS, TITLES, TITLES], names=["id", "title", "title"])
    pa_parquet.write_table(table, tmp_path / "items.parquet")
    with pytest.raises(ItemFileError, match="every column needs a name of its own"):
        read_items(tmp_path / "items.parquet")


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_a_file_cut_off_is_refused(tmp_path, kept):
    path = written(tmp_path, {"id": pa.array(map(str, range(5_000))), "title": pa.array(["x"] * 5_000)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(ItemFileError, match="damaged, cut off or of another kind"):
        read_items(path)


def test_a_damaged_page_is_refused(tmp_path):
    titles = pa.array([f"title {n} {n * 7919 % 1009}" for n in range(5_000)])
    path = written(tmp_path, {"id": pa.array(map(str, range(5_000))), "title": titles}, write_page_checksum=True)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(ItemFileError, match="damaged, cut off or of another kind"):
        read_items(path)


def test_missing_and_other_files_are_refused(tmp_path):
    with pytest.raises(ItemFileError, match=r"cannot be read: .*No such file"):
        read_items(tmp_path / "none.parquet")
    (tmp_path / "items.parquet").write_text('{"id": "a", "title": "x"}\n')
    with pytest.raises(ItemFileError, match="damaged, cut off or of another kind"):
        read_items(tmp_path / "items.parquet")


def test_the_three_kinds_of_file_give_the_same_items(tmp_path):
    rows = [
        {"id": str(n), "title": f"title {n}", "price": n / 4, "new": n % 2 == 0, "tags": ["p", "q"][: n % 3],
         "seen": f"2026-01-{n % 28 + 1:02}T00:00:00Z", "code": f"0{n}"}
        for n in range(10_000)
    ]  # fmt: skip
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [
        f"{r['id']},{r['title']},{r['price']},{r['new']},{'|'.join(r['tags'])},{r['seen']},{r['code']}" for r in rows
    ]
    (tmp_path / "items.csv").write_text("id,title,price,new,tags[],seen,code\n" + "\n".join(lines) + "\n")
    # Several batches and several row groups.
    pa_parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "items.parquet", row_group_size=1_234)
    from_jsonl, *others = [read_items(tmp_path / f"items.{kind}") for kind in ("jsonl", "csv", "parquet")]
    assert from_jsonl.attribute_types["seen"] is AttributeType.TIMESTAMP
    assert [
        (other.items, other.attribute_types) == (from_jsonl.items, from_jsonl.attribute_types) for other in others
    ] == [
        True,
        True,
    ]


def test_an_id_that_stands_twice_is_found_across_batches(tmp_path):
    ids = [f"item-{n}" for n in range(20_000)]
    ids[19_999] = ids[3]
    path = written(tmp_path, {"id": pa.array(ids), "title": pa.array(["x"] * 20_000)}, row_group_size=5_000)
    with pytest.raises(ItemFileError, match='row 20000: id "item-3" stands on row 4 already'):
        read_items(path)


def test_a_file_that_was_changed_after_the_check_is_refused(tmp_path):
    path = written(tmp_path, {"id": IDS, "title": TITLES})
    checked = check_items(path)
    assert [item.id for item in checked.items()] == ["a", "b", "c"]
    written(tmp_path, {"id": IDS[:2], "title": TITLES[:2]})
    with pytest.raises(ItemFileError, match="was changed after it was checked"):
        list(checked.items())
