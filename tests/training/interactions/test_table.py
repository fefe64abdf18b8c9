import gzip
import json
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.errors import InteractionFileError
from training.interactions import columns
from training.interactions.table import KINDS, read_interactions


def _written(tmp_path, text, name="i.csv"):
    path = tmp_path / name
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def test_a_csv_file_becomes_distinct_ids_and_arrays(tmp_path):
    path = _written(
        tmp_path, "user_id,item_id,rating,timestamp,shop\nb,10,4.5,30,x\na,9,3,20,y\nb,9,5,10,z\n", "i.csv.gz"
    )
    found = read_interactions(path)
    assert (found.user_ids, found.item_ids) == (("a", "b"), ("10", "9"))
    assert found.user.tolist() == [1, 0, 1]
    assert found.item.tolist() == [0, 1, 1]
    assert found.rating.tolist() == [4.5, 3, 5]
    assert found.time_s.tolist() == found.order.tolist() == [30, 20, 10]
    assert found.kind is None and found.text is None and found.weight is None
    assert found.notes[0] == "ignored columns: shop"
    assert "small number" in found.notes[1]


def test_a_file_that_was_packed_to_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "_LEAST_UNPACKED_BYTES", 1 << 20)
    path = _written(tmp_path, "user_id,item_id\n" + "u,1\n" * 500_000, "i.csv.gz")
    with pytest.raises(InteractionFileError, match="unpacks to more than 100 times its size"):
        read_interactions(path)
    monkeypatch.undo()
    assert len(read_interactions(path).user) > 0


def test_every_format_says_the_same(tmp_path):
    csv = 'user_id,item_id,kind,timestamp,text\nu,1,like,2024-05-06T07:08:09,\nv,2,buy,2024-05-06T07:08:10,"so\n so"\n'
    rows = [
        {"user_id": "u", "item_id": 1, "kind": "like", "timestamp": "2024-05-06T07:08:09"},
        {"user_id": "v", "item_id": "2", "kind": "buy", "timestamp": "2024-05-06T07:08:10", "text": "so\n so"},
    ]
    table = pa.table(
        {
            "user_id": ["u", "v"],
            "item_id": [1, 2],
            "kind": pa.array(["like", "buy"]).dictionary_encode(),
            "timestamp": pa.array([1714979289, 1714979290], pa.timestamp("s")),
            "text": [None, "so\n so"],
        }
    )
    pq.write_table(table, tmp_path / "i.parquet")
    paths = [
        _written(tmp_path, csv),
        _written(tmp_path, "\n\n".join(json.dumps(row) for row in rows), "i.jsonl"),
        _written(
            tmp_path, "\n".join(json.dumps({**row, "item_id": int(row["item_id"])}) for row in rows), "j.jsonl.gz"
        ),
        tmp_path / "i.parquet",
    ]
    for path in paths:
        found = read_interactions(path)
        assert (found.user_ids, found.item_ids) == (("u", "v"), ("1", "2")), path
        assert found.time_s.tolist() == [1714979289, 1714979290], path
        assert [KINDS[place] for place in found.kind] == ["like", "buy"], path
        assert found.text.tolist() == ["", "so\n so"], path


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        (["2024-05-06T07:08:09Z", "2024-05-06T09:08:10+02:00"], [1714979289, 1714979290]),
        (["2024-05-06T07:08:09.250Z", "2024-05-06 07:08:10"], [1714979289.25, 1714979290]),
        (["1714979289", "1714979290.5"], [1714979289, 1714979290.5]),
        (["1714979289000", "1714979290500"], [1714979289, 1714979290.5]),
        (["2024-05-06", "2024-05-07"], [1714953600, 1715040000]),
    ],
)
def test_times_are_seconds_since_1970(tmp_path, times, seconds):
    path = _written(tmp_path, "user_id,item_id,timestamp\n" + "".join(f"u,{i},{t}\n" for i, t in enumerate(times)))
    assert read_interactions(path).time_s.tolist() == seconds


def test_order_is_by_position_else_by_the_file(tmp_path):
    path = _written(tmp_path, "user_id,item_id,position\nu,1,7\nu,2,3\n")
    assert read_interactions(path).order.tolist() == [7, 3]
    assert read_interactions(path).time_s is None
    path = _written(tmp_path, "\n\nuser_id,item_id\nu,1\n\nu,2\n")
    assert read_interactions(path).order.tolist() == [0, 1]
    assert "order of the file" in read_interactions(path).notes[0]


def test_a_rating_may_be_absent_only_where_a_kind_says_what_happened(tmp_path):
    found = read_interactions(_written(tmp_path, "user_id,item_id,rating,kind\nu,1,,view\nu,2,4,like\n"))
    assert np.isnan(found.rating[0]) and found.rating[1] == 4
    with pytest.raises(InteractionFileError, match='line 2: "rating" is empty'):
        read_interactions(_written(tmp_path, "user_id,item_id,rating\nu,1,\nu,2,4\n"))


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "i.csv", "the file is empty"),
        ("\n \n", "i.jsonl", "the file is empty"),
        ("user_id,item_id\n", "i.csv", "no records"),
        (
            "who,what,rating\n1,2,3\n",
            "i.csv",
            'the column "user_id" and "item_id" is missing.*found: who, what',
        ),
        ('{"who": "a", "item_id": "b"}\n', "i.jsonl", 'the column "user_id" is missing'),
        ("who;what\n1;2\n", "i.csv", "is missing.*found: who, what"),
        ("user_id,item_id,item_id\n1,2,3\n", "i.csv", "twice: item_id"),
        ("user_id,item_id\n1,2\n1,2,3\n", "i.csv", "line 3: 3 columns, but the header has 2"),
        ('user_id,item_id,text\n1,2,"a\nb"\n1,,c\n', "i.csv", 'line 4: "item_id" is empty'),
        ("user_id,item_id\n \t,2\n", "i.csv", 'line 2: "user_id" is empty'),
        ("user_id,item_id,rating\n1,2,3\n1,3,good\n", "i.csv", 'line 3: "rating" must be a number, found "good"'),
        ("user_id,item_id,rating\n1,2,3\n1,3,nan\n", "i.csv", 'line 3: "rating" is nan'),
        ("user_id,item_id,weight\n1,2,inf\n", "i.csv", 'line 2: "weight" is inf'),
        ('{"user_id": "a", "item_id": "b", "rating": NaN}\n', "i.jsonl", 'line 1: "rating" is nan'),
        (
            '{"user_id": "a", "item_id": "b", "rating": [4]}\n',
            "i.jsonl",
            'line 1: "rating" must be a string or a number',
        ),
        ('{"user_id": "a", "item_id": "b"}\n\n{"user_id": "a", \n', "i.jsonl", "line 3: broken JSON"),
        ('{"user_id": "a", "item_id": "b"}\n\n{"user_id": "a"}\n', "i.jsonl", 'line 3: "item_id" is empty'),
        ('{"user_id": "\\ud800", "item_id": "b"}\n', "i.jsonl", "line 1.*surrogate"),
        ("[1, 2]\n", "i.jsonl", "line 1: expected one JSON object a line"),
        (
            "user_id,item_id,kind\n1,2,buy\n1,3,purchase\n",
            "i.csv",
            'line 3: "kind" must be one of view, click.*"purchase"',
        ),
        (
            "user_id,item_id,timestamp\n1,2,2024-01-01\n1,3,yesterday\n",
            "i.csv",
            'line 3: "timestamp" must be.*"yesterday"',
        ),
        ("user_id,item_id,timestamp\n1,2,5\n1,3,\n", "i.csv", 'line 3: "timestamp" is empty'),
        (b"user_id,item_id\n1,2\n1,\xff\n", "i.csv", "line 3: not valid UTF-8"),
        ("user_id,item_id\n", "i.txt", "unknown kind of file"),
        (b"PAR1 nonsense", "i.parquet", "damaged or of another kind"),
    ],
)
def test_bad_files_are_refused_by_line(tmp_path, text, name, message):
    with pytest.raises(InteractionFileError, match=message):
        read_interactions(_written(tmp_path, text, name))


def test_a_cut_gzip_file_is_refused(tmp_path):
    path = _written(tmp_path, "user_id,item_id\n" + "".join(f"u{i},{i}\n" for i in range(999)), "i.csv.gz")
    for size in (0, 5, 200, path.stat().st_size - 3):
        cut = tmp_path / "cut.csv.gz"
        cut.write_bytes(path.read_bytes()[:size])
        with pytest.raises(InteractionFileError):
            read_interactions(cut)
    damaged = bytearray(path.read_bytes())
    damaged[300] ^= 255
    cut.write_bytes(damaged)
    with pytest.raises(InteractionFileError, match="damaged"):
        read_interactions(cut)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path / "none.parquet"):
        with pytest.raises(InteractionFileError, match="cannot be read"):
            read_interactions(path)


def test_taking_rows_drops_ids_that_no_longer_occur(tmp_path):
    found = read_interactions(_written(tmp_path, "user_id,item_id,rating\na,x,1\nb,y,2\na,z,3\n"))
    kept = found.take(found.rating > 1)
    assert (kept.user_ids, kept.item_ids) == (("a", "b"), ("y", "z"))
    assert (kept.user.tolist(), kept.item.tolist(), kept.rating.tolist()) == ([1, 0], [0, 1], [2, 3])


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"user_id": ["a"], "items": [1]},
            r'"item_id" is missing; .*; found: user_id .string., items .int64.',
        ),
        (
            {"user_id": [{"a": 1}], "item_id": ["x"]},
            '"user_id" must be a string or a whole number, found the type st',
        ),
        ({"user_id": ["a"], "item_id": ["x"], "rating": [[1]]}, '"rating" must be a number, found the type list'),
        (
            {"user_id": ["a"], "item_id": ["x"], "timestamp": pa.array([1], pa.duration("s"))},
            '"timestamp" must be a number, found the type duration',
        ),
    ],
)
def test_parquet_of_another_schema_is_refused(tmp_path, columns, words):
    pq.write_table(pa.table(columns), tmp_path / "i.parquet")
    with pytest.raises(InteractionFileError, match=words):
        read_interactions(tmp_path / "i.parquet")


def test_parquet_with_string_views_and_dates_is_read(tmp_path):
    users = pa.array(["a", "b"]).cast(pa.string_view())
    days = pa.array([date(1970, 1, 2), date(1970, 1, 1)])
    pq.write_table(pa.table({"user_id": users, "item_id": ["x", "y"], "timestamp": days}), tmp_path / "i.parquet")
    found = read_interactions(tmp_path / "i.parquet")
    assert (found.user_ids, found.time_s.tolist()) == (("a", "b"), [86_400.0, 0.0])


def test_a_damaged_parquet_page_is_refused(tmp_path):
    users = [f"user {n} {n * 7919 % 1009}" for n in range(5_000)]
    path = tmp_path / "i.parquet"
    pq.write_table(pa.table({"user_id": users, "item_id": ["x"] * 5_000}), path, write_page_checksum=True)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InteractionFileError, match="damaged or of another kind: could not verify page integrity"):
        read_interactions(path)
