"""Files of interactions of which every refusal is collected, and readers that stop at the first."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from datafiles.options import DEFAULT_OPTIONS, file_options
from datafiles.refusals import Refusals
from domain.errors import InteractionFileError
from training.interactions.table import read_interactions

START = 1_656_105_611


def _rows(count=60):
    return [[f"u{n % 7}", f"i{n % 9}", str(START + n), str(n % 5 + 1), "click"] for n in range(count)]


def _read(path, options=DEFAULT_OPTIONS):
    refusals = Refusals()
    read = read_interactions(path, options, refusals)
    with pytest.raises(InteractionFileError):
        read_interactions(path, options)  # what trains stops at the first
    return read, refusals.all()


def _written(tmp_path, rows, header="user_id,item_id,timestamp,rating,kind"):
    path = tmp_path / "events.csv"
    path.write_text(header + "\n" + "".join(",".join(row) + "\n" for row in rows))
    return path


# Column, what stands there, and what is said of it.
KINDS = {
    "empty user": (0, "", '"user_id" is empty'),
    "empty item": (1, " ", '"item_id" is empty'),
    "word": (0, "NaN", '"user_id" is NaN, a word for a missing value, in 2 records'),
    "milliseconds": (2, str(START * 1000), "2 records are in one unit and 58 in another"),
    "date": (2, "20240105", "is 20240105, a date, but 1656105611 on line 2 is seconds since 1970: 2 records are dates"),
    "iso": (2, "2022-06-24T21:20:11Z", '"timestamp" must be seconds since 1970 or ISO 8601'),
    "no time": (2, "yesterday", 'found "1656105611" and "yesterday"'),
    "empty time": (2, "", '"timestamp" is empty'),
    "no year": (2, "9" * 22, "in no unit of seconds"),
    "dated": (2, "24.06.2022", 'but "24.06.2022" elsewhere'),
    "no number": (3, "abc", '"rating" must be a number, found "abc"'),
    "endless": (3, "inf", '"rating" is inf; give a finite number'),
    "kind": (4, "sold", '"kind" must be one of'),
}


@pytest.mark.parametrize("kind", KINDS)
def test_reading_goes_on_behind_each_kind(tmp_path, kind):
    column, cell, reason = KINDS[kind]
    rows = _rows()
    rows[10][column] = rows[34][column] = cell
    read, refused = _read(_written(tmp_path, rows))
    assert len(read) == 58 and len(refused) == 1
    assert (refused[0].places, refused[0].count) == ([12, 36], 2) and reason in refused[0].reason


def test_a_file_with_all_kinds_names_each(tmp_path):
    rows = _rows()
    for place, (column, cell, _) in enumerate(KINDS.values()):
        rows[2 * place + 1][column] = cell
    rows[2 * place + 3].append("one too many")
    read, refused = _read(_written(tmp_path, rows))
    assert len(read) == 60 - len(KINDS) - 1
    places = {at: refusal.reason for refusal in refused for at in refusal.places}
    assert set(places) == {2 * place + 3 for place in range(len(KINDS) + 1)}
    assert "6 columns, but the header has 5" in places[2 * len(KINDS) + 3]
    for place, (_, _, reason) in enumerate(KINDS.values()):
        if "2 records" not in reason:
            assert reason in places[2 * place + 3], reason


def test_a_record_is_named_for_each_of_its_columns(tmp_path):
    rows = _rows()
    rows[10] = ["", "NaN", "yesterday", "abc", "sold"]
    read, refused = _read(_written(tmp_path, rows))
    assert len(read) == 59 and len(refused) == 5
    assert all(refusal.places == [12] for refusal in refused)


def test_lines_are_right_behind_rows_that_were_left_out(tmp_path):
    rows = _rows()
    rows[3], rows[7], rows[8] = ["u1"], ["a", "b", "c", "d", "e", "f"], ['"u', 'b",i1', str(START), "1", "click"]
    rows[12][3] = "abc"
    path = tmp_path / "events.csv.gz"
    text = "user_id,item_id,timestamp,rating,kind\n" + "".join(",".join(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.replace('"u,b"', '"u\nb"').encode()))
    _, refused = _read(path)
    # The id on lines 10 and 11 has a line end in it.
    assert {refusal.reason.partition(",")[0]: refusal.places for refusal in refused} == {
        "1 columns": [5, 9],
        '"rating" must be a number': [15],
    }


def test_a_column_without_a_single_good_record_is_left_out(tmp_path):
    rows = [[*row[:4], "sold"] for row in _rows()]
    rows[5][0] = ""
    read, refused = _read(_written(tmp_path, rows))
    assert len(read) == 59 and read.kind is None
    assert [refusal.count for refusal in refused] == [60, 1]
    undecided = [[*row[:2], f"0{n % 9 + 1}/02/2022", *row[3:]] for n, row in enumerate(_rows())]
    read, refused = _read(_written(tmp_path, undecided))
    assert len(read) == 60 and "--time-unit dmy" in refused[0].reason and refused[0].count == 60
    assert not any("no timestamp" in note for note in read.notes)


def test_dates_in_numbers(tmp_path):
    rows = [[*row[:2], f"{n % 28 + 1}.02.2022", *row[3:]] for n, row in enumerate(_rows())]
    rows[10][2] = rows[11][2] = "31.02.2022"
    rows[20][2] = "2022-02-03"
    _, refused = _read(_written(tmp_path, rows))
    assert [(refusal.places, refusal.count) for refusal in refused] == [([12, 13], 2), ([22], 1)]
    _, refused = _read(_written(tmp_path, rows[:10] + rows[20:]), file_options(time_unit="dmy"))
    assert [refusal.places for refusal in refused] == [[12]]


def test_objects_go_on_too(tmp_path):
    lines = [json.dumps({"user_id": f"u{n % 5}", "item_id": f"i{n % 7}", "rating": n % 5 + 1}) for n in range(30)]
    lines[3], lines[4], lines[5] = '{"user_id": "u1", ', "7", '{"user_id": ["a"], "item_id": "i1"}'
    lines[6], lines[7] = '{"user_id": "\\ud800", "item_id": "i1"}', '{"user_id": null, "item_id": "i1", "rating": 2}'
    lines[8] = '{"user_id": "u1", "item_id": "i1", "rating": "abc"}'
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(lines) + "\n")
    read, refused = _read(path)
    assert [refusal.places for refusal in refused] == [[4], [5], [6], [7], [8], [9]]
    assert len(read) == 24


def test_parquet_goes_on_too(tmp_path):
    path = tmp_path / "events.parquet"
    users = [1.0, 2.0, 1.5, float("nan"), None, 2.0**60, 1.0, 3.0]
    pa_parquet.write_table(pa.table({"user_id": users, "item_id": [1, 2, 3, 4, 5, 6, 7, 8], "text": [[1]] * 8}), path)
    read, refused = _read(path)
    assert len(read) == 4 and read.text is None
    assert {tuple(refusal.places): refusal.count for refusal in refused} == {(4, 5): 2, (3,): 1, (6,): 1, (1, 2, 3): 8}


def test_nothing_remains(tmp_path):
    path = _written(tmp_path, [["", "i1", str(START), "1", "click"], ["u1", "", str(START), "2", "click"]])
    refusals = Refusals()
    with pytest.raises(InteractionFileError, match="no interactions; every record is refused"):
        read_interactions(path, refusals=refusals)
    assert [refusal.places for refusal in refusals.all()] == [[2], [3]]
    path.write_text("user_id,item_id\na,b,c\n")
    with pytest.raises(InteractionFileError, match="every record is refused"):
        read_interactions(path, refusals=Refusals())
