"""Interaction files as shops write them: units of times, dates, ids in several forms, names, delimiters."""

import gzip
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datafiles.options import file_options
from domain.errors import InteractionFileError
from training.interactions import table
from training.interactions.check import check_interactions, report_lines
from training.interactions.table import read_interactions

SECOND = 1_656_105_611
MOMENT = datetime(2022, 6, 24, 21, 20, 11, tzinfo=UTC)


def written(folder, text, name="i.csv"):
    path = folder / name
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def log(folder, *times, **options):
    rows = "".join(f"u{place % 3},i{place % 4},{time}\n" for place, time in enumerate(times))
    return read_interactions(written(folder, f"user_id,item_id,timestamp\n{rows}"), file_options(**options))


@pytest.mark.parametrize(("factor", "words"), [(1, "seconds"), (10**3, "milli"), (10**6, "micro"), (10**9, "nano")])
def test_the_unit_of_times_is_told_by_their_size_and_said(tmp_path, factor, words):
    found = log(tmp_path, *((SECOND + k) * factor for k in range(6)))
    assert found.time_s == pytest.approx([SECOND + k for k in range(6)], abs=1e-3)
    assert words in found.time_words
    report = dict(report_lines(check_interactions(found)))
    assert report["time"].startswith("2022-06-24T21:20:11") and words in report["time"]
    assert any("--time-unit" in note for note in found.notes) == (factor > 1)


def test_mixed_units_are_refused_with_the_lines_of_both(tmp_path):
    with pytest.raises(InteractionFileError, match=r"line 4: .*1656105613000, milliseconds.*1656105611 on line 2 is s"):
        log(tmp_path, SECOND, SECOND + 1, (SECOND + 2) * 1000, SECOND + 3)
    with pytest.raises(InteractionFileError, match=r'line 3: "timestamp" is 1e\+25: in no unit.*--time-unit'):
        log(tmp_path, SECOND, 10**25)
    with pytest.raises(InteractionFileError, match=r"line 2: .*in no unit"):
        log(tmp_path, 20_000_000_000)


def test_as_many_of_one_unit_as_of_the_other(tmp_path):
    with pytest.raises(InteractionFileError) as refused:
        log(tmp_path, "1656105611", "1656105612000")
    assert "line 2" in str(refused.value)
    assert "1656105611, seconds since 1970, but 1656105612000 on line 3 is milliseconds" in str(refused.value)


def test_the_unit_can_be_overruled(tmp_path):
    assert log(tmp_path, 20_000_000_000, time_unit="ms").time_s[0] == 20_000_000
    assert log(tmp_path, SECOND, time_unit="ms").time_s[0] == SECOND / 1000
    with pytest.raises(InteractionFileError, match=r"line 2: .*must be a date such as 20220624"):
        log(tmp_path, SECOND, time_unit="date")


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ((20220624, 20220701), [1656028800, 1656633600]),
        ((20220624212011, 20220624212012), [SECOND, SECOND + 1]),
    ],
)
def test_dates_as_numbers(tmp_path, times, seconds):
    found = log(tmp_path, *times)
    assert found.time_s.tolist() == seconds
    assert "dates" in found.time_words


def test_small_numbers_are_doubted_aloud(tmp_path):
    assert any("small number" in note for note in log(tmp_path, 1, 2, 3).notes)
    assert any("lie before 1971" in note for note in log(tmp_path, SECOND, 0).notes)


@pytest.mark.parametrize(
    "text",
    [
        "2022-06-24T21:20:11Z", "2022-06-24 21:20:11", "20220624T212011Z", "2022-06-24T23:20:11+02:00",
        "2022-06-24T23:20:11+0200", "2022-06-24 21:20:11 UTC", "2022-06-24T21:20:11.000000", "2022-W25-5T21:20:11",
        "2022-175T21:20:11", "2022175T212011", "2022-06-24T21:20:11,000Z", "2022-06-24T21:20:11.000000001Z",
    ],
)  # fmt: skip
def test_iso_8601_is_read_whole(tmp_path, text):
    assert log(tmp_path, f'"{text}"').time_s == pytest.approx([SECOND], abs=1e-3)
    assert log(tmp_path, f'"{text}"', '"2022-06"').time_s[1] == datetime(2022, 6, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("text", ["2022-000", "2022-366", "2022-999", "0000-123", "9999-999", "2022366T212011"])
def test_a_day_that_its_year_does_not_have_is_refused(tmp_path, text):
    with pytest.raises(InteractionFileError, match=f'line 2: "timestamp" must be .*found "{text}"'):
        log(tmp_path, f'"{text}"')
    assert log(tmp_path, '"2024-366"').time_s == [datetime(2024, 12, 31, tzinfo=UTC).timestamp()]


def test_the_empty_time_is_blamed_and_not_a_good_one(tmp_path):
    for place, times in enumerate((("", "2022-06-24"), ("2022-06-24", ""), ("", SECOND))):
        with pytest.raises(InteractionFileError, match=f'line {3 if place == 1 else 2}: "timestamp" is empty'):
            log(tmp_path, *times)
    with pytest.raises(InteractionFileError, match=r"line 3: .*found \"1656105611\" and \"2022-06-24\""):
        log(tmp_path, "2022-06-24", SECOND, "2022-06-25")
    with pytest.raises(InteractionFileError, match=r"line 3: .*found \"1656105611\" and \"2022-06-24\""):
        log(tmp_path, SECOND, "2022-06-24", SECOND)


def test_each_odd_time_is_looked_at_once(tmp_path, monkeypatch):
    looked, is_number = [], table._is_number
    monkeypatch.setattr(table, "_is_number", lambda text: looked.append(text) or is_number(text))
    found = log(tmp_path, *["2022-06-24", "20220624", "2022-W25-5"] * 50)
    assert set(found.time_s.tolist()) == {SECOND // 86_400 * 86_400}
    assert looked == ["20220624"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_parquet_times_of_every_unit(tmp_path, unit, zone):
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    rest = 123_456_789 if unit == "ns" else 0
    times = pa.array([SECOND * factor + rest, (SECOND + 1) * factor], pa.timestamp(unit, zone))
    pq.write_table(pa.table({"user_id": ["a", "b"], "item_id": ["x", "y"], "timestamp": times}), tmp_path / "i.parquet")
    assert read_interactions(tmp_path / "i.parquet").time_s == pytest.approx([SECOND, SECOND + 1], abs=0.2)


def test_parquet_whole_numbers_above_2_to_the_53rd(tmp_path):
    large = pa.array([SECOND * 10**9 + 1, SECOND * 10**9 + 3])
    ids = pa.array([2**60 + 1, 2**60 + 3])
    pq.write_table(pa.table({"user_id": ids, "item_id": ids, "timestamp": large}), tmp_path / "i.parquet")
    found = read_interactions(tmp_path / "i.parquet")
    assert found.user_ids == (str(2**60 + 1), str(2**60 + 3))
    assert found.time_s == pytest.approx([SECOND, SECOND])


@pytest.mark.parametrize(
    "ids",
    [
        pa.array(["7", "8", "7"]).dictionary_encode(),
        pa.array([b"7", b"8", b"7"]),
        pa.array([b"7", b"8", b"7"], pa.large_binary()),
        pa.array([b"7", b"8", b"7"], pa.binary(1)),
        pa.array(["7", "8", "7"], pa.large_string()),
        pa.array(["7", "8", "7"], pa.string_view()),
        pa.array([7.0, 8.0, 7.0]),
        pa.array([7, 8, 7], pa.uint16()),
    ],
    ids=lambda array: str(array.type),
)
def test_parquet_ids_of_every_type(tmp_path, ids):
    pq.write_table(pa.table({"user_id": ids, "item_id": ids, "rating": pa.nulls(3)}), tmp_path / "i.parquet")
    assert read_interactions(tmp_path / "i.parquet").user_ids == ("7", "8")


def test_parquet_ids_that_are_broken_numbers_are_refused(tmp_path):
    for ids, message in (
        ([7.5, 8.0], "record 1: .*expected a string or a whole number"),
        ([7.0, 2.0**60], "record 2: .*lost its last digits"),
        ([7.0, None], 'record 2: "user_id" is empty'),
        ([7.0, float("nan")], 'record 2: "user_id" is empty'),
    ):
        pq.write_table(pa.table({"user_id": pa.array(ids), "item_id": ["a", "b"]}), tmp_path / "i.parquet")
        with pytest.raises(InteractionFileError, match=message):
            read_interactions(tmp_path / "i.parquet")


@pytest.mark.parametrize("name", ["i.csv", "i.jsonl"])
def test_ids_have_one_form(tmp_path, name):
    pairs = [("7", "a"), ("7.0", " a"), (" 7\u00a0", "a"), ("07", "b"), ("7.5", "b")]
    if name == "i.csv":
        text = "user_id,item_id\n" + "".join(f"{user},{item}\n" for user, item in pairs)
    else:
        text = "".join(json.dumps({"user_id": user, "item_id": item}) + "\n" for user, item in pairs)
    found = read_interactions(written(tmp_path, text, name))
    assert (found.user_ids, found.item_ids) == (("07", "7", "7.5"), ("a", "b"))
    first = 3 if name == "i.csv" else 2
    assert any(
        f'1 ids end with .0 and were read as whole numbers: line {first} ("7.0")' in note for note in found.notes
    )
    assert any(
        f"spaces around 2 cells were removed (user_id, item_id; the first on line {first}" in n for n in found.notes
    )
    kept = read_interactions(written(tmp_path, text, name), file_options(types=["user_id:string"]))
    assert kept.user_ids == ("07", "7", "7.0", "7.5")


def test_numbers_of_json_have_one_form(tmp_path):
    text = '{"user_id": 1, "item_id": 7}\n{"user_id": 1.0, "item_id": 8.0}\n{"user_id": "1", "item_id": "7"}\n'
    found = read_interactions(written(tmp_path, text, "i.jsonl"))
    assert (found.user_ids, found.item_ids) == (("1",), ("7", "8"))


@pytest.mark.parametrize("word", ["NaN", "nan", "NULL", "None", "<NA>", "N/A", "#N/A", "NA"])
def test_words_for_a_missing_value_are_no_ids(tmp_path, word):
    path = written(tmp_path, f"user_id,item_id\n1,7\n{word},7\n2,8\n{word},9\n")
    with pytest.raises(InteractionFileError, match=f'line 3: "user_id" is {word}, a word for a missing .*2 records'):
        read_interactions(path)
    found = read_interactions(path, file_options(missing=[word]))
    assert (found.user_ids, found.item_ids, len(found)) == (("1", "2"), ("7", "8"), 2)
    assert "2 records have no user or no item and were left out" in found.notes[-1]
    assert word in read_interactions(path, file_options(types=["user_id:string"])).user_ids
    with pytest.raises(InteractionFileError, match="no record has both"):
        read_interactions(written(tmp_path, f"user_id,item_id\n{word},7\n"), file_options(missing=[word]))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("i.csv", "userId,movieId,rating,timestamp\n1,7,4.5,{t}\n"),
        ("i.csv", "user_id;item_id;rating;timestamp\n1;7;4,5;{t}\n"),
        ("i.tsv", "reviewerID\tasin\toverall\tunixReviewTime\n1\t7\t4.5\t{t}\n"),
        ("i.inter", 'user_id:token\titem_id:token\trating:float\ttimestamp:float\tnote:token\n1\t7\t4.5\t{t}\t"x\n'),
        ("i.json", '[{"user": "1", "product_id": 7, "stars": 4.5, "time": {t}}]'),
        ("i.json", '[\n {\n  "user": "1",\n  "product_id": 7,\n  "stars": 4.5,\n  "time": {t}\n }\n]'),
        ("i.jsonl", '{"visitorid": "1", "itemid": 7, "score": 4.5, "ts": {t}}\n'),
        ("i.tsv.gz", "user_id\titem_id\trating\ttimestamp\r1\t7\t4.5\t{t}\r"),
    ],
)
def test_usual_names_delimiters_and_kinds_are_recognised(tmp_path, name, text):
    found = read_interactions(written(tmp_path, text.replace("{t}", str(SECOND)), name))
    assert (found.user_ids, found.item_ids) == (("1",), ("7",))
    assert (found.rating.tolist(), found.time_s.tolist()) == ([4.5], [SECOND])


def test_what_was_recognised_is_said(tmp_path):
    notes = read_interactions(written(tmp_path, "userId;movieId\n1;7\n")).notes
    assert notes[0] == "columns: userId as user_id, movieId as item_id (--columns chooses others)"
    assert "separated by a semicolon" in notes[1]


def test_columns_are_named(tmp_path):
    path = written(tmp_path, "who,what,user_id\n1,7,x\n2,8,y\n")
    with pytest.raises(InteractionFileError, match=r'"item_id" is missing.*found: who, what, user_id; name it by'):
        read_interactions(path)
    found = read_interactions(path, file_options(columns=["user_id=who,item_id=what"]))
    assert (found.user_ids, found.item_ids) == (("1", "2"), ("7", "8"))


def test_a_log_without_a_header(tmp_path):
    path = written(tmp_path, f"196\t242\t3\t{SECOND}\n186\t302\tbad\t{SECOND}\n", "u.tsv")
    with pytest.raises(InteractionFileError, match=r"looks like a record: .*--columns user_id=1,item_id=2"):
        read_interactions(path)
    found = read_interactions(path, file_options(columns=["user_id=1,item_id=2,timestamp=4"]))
    assert found.user_ids == ("186", "196")
    with pytest.raises(InteractionFileError, match='line 2: "rating" must be a number, found "bad"'):
        read_interactions(path, file_options(columns=["user_id=1,item_id=2,rating=3"]))


def test_ratings_with_decimal_commas_and_separators(tmp_path):
    found = read_interactions(written(tmp_path, 'user_id,item_id,weight\n1,7,"4,5"\n1,8,3\n2,7,"1.299,50"\n'))
    assert found.weight.tolist() == [4.5, 3, 1299.5]


def test_a_log_says_the_same_in_both_files(tmp_path):
    """Ids with a point in one file and without in the other are one."""
    found = read_interactions(written(tmp_path, "user_id,item_id\n1,7.0\n2,8.0\n1,9.0\n2,7.0\n"))
    report = check_interactions(found, ["7", "8", "9"])
    assert (report.unknown_item_count, report.item_count) == (0, 3)


NOON = datetime(2022, 6, 24, 12, 0, tzinfo=UTC).timestamp()
MARCH = datetime(2022, 3, 4, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (("24.06.2022 12:00", "4.3.2022"), "day first"),
        (("24/6/2022 12:00:00", "04/03/2022"), "day first"),
        (("6/24/2022 12:00:00.0", "3/4/2022"), "month first"),
        (("06-24-2022T12:00", "03-04-2022"), "month first"),
    ],
)
def test_dates_in_numbers_are_read_where_the_file_tells_which_is_the_day(tmp_path, times, words):
    found = log(tmp_path, *times)
    assert found.time_s.tolist() == [NOON, MARCH]
    assert words in found.time_words
    assert any(words in note and "--time-unit overrules" in note for note in found.notes)


def test_dates_that_could_be_either_are_refused_with_the_flag_that_helps(tmp_path):
    times = ("4.3.2022", "03.04.2022")
    with pytest.raises(InteractionFileError, match=r'line 2: .*"4\.3\.2022".*--time-unit dmy or --time-unit mdy'):
        log(tmp_path, *times)
    assert log(tmp_path, *times, time_unit="dmy").time_s[0] == MARCH
    assert log(tmp_path, *times, time_unit="mdy").time_s[1] == MARCH


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (("24.06.2022", "6.24.2022"), r'line 2: .*"24.06.2022", with the day first, but "6.24.2022" elsewhere'),
        (("24.06.2022", "31.2.2022"), r'line 3: .*"31.2.2022", which is not a date with the day first'),
        (("24.06.2022", "2022-06-24"), r'line 3: .*"2022-06-24", but "24.06.2022" elsewhere; write all times in one'),
        (("24.06.2022", "1656105611"), r'line 3: .*"1656105611", but "24.06.2022" elsewhere'),
        (("24.06.2022 25:00", "1.1.2022"), r"line 2: .*which is not a date"),
    ],
)
def test_dates_in_numbers_that_do_not_fit_are_refused_by_line(tmp_path, times, message):
    with pytest.raises(InteractionFileError, match=message):
        log(tmp_path, *times)


def test_an_order_of_dates_says_nothing_of_numbers(tmp_path):
    with pytest.raises(InteractionFileError, match=r"1656105611, which is not a date with the day first"):
        log(tmp_path, SECOND, time_unit="dmy")


@pytest.mark.parametrize("mark", ["-", "--", "?", "\u2014"])
def test_a_mark_for_a_missing_value_is_no_id(tmp_path, mark):
    path = written(tmp_path, f"user_id,item_id\nu1,i1\n{mark},i2\n{mark},i1\nu2,i2\n")
    with pytest.raises(InteractionFileError, match=r'line 3: "user_id" is .*in 2 records.*--missing .* leaves'):
        read_interactions(path)
    assert read_interactions(path, file_options(missing=[mark])).user_ids == ("u1", "u2")
    assert mark in read_interactions(path, file_options(types=["user_id:string"])).user_ids


@pytest.mark.parametrize("name", ["i.csv", "i.jsonl", "i.csv.gz"])
def test_utf_16_is_named_as_such(tmp_path, name):
    path = written(tmp_path, "user_id,item_id\nu1,i1\n".encode("utf-16"), name)
    with pytest.raises(InteractionFileError, match="it is UTF-16; save the file as UTF-8"):
        read_interactions(path)


def test_a_point_separates_thousands_where_a_comma_is_the_decimal_point(tmp_path):
    rows = "".join(f"u{place};i{place};{weight}\n" for place, weight in enumerate(("1.299,50", "1.299", "2,5", "3")))
    found = read_interactions(written(tmp_path, f"user_id;item_id;weight\n{rows}"))
    assert found.weight.tolist() == [1299.5, 1299, 2.5, 3]
    assert any("1 numbers such as 1.299 (line 3) were read with the point between thousands" in n for n in found.notes)
