import json
from dataclasses import asdict

import numpy as np
import pytest

from cli.main import main
from domain.errors import ConfigurationError, NothingToLearnFrom, StorageError
from training.interactions.check import check_interactions, report_lines
from training.interactions.clean import CleaningSettings, clean, time_split, write_interactions
from training.interactions.table import read_interactions


def _file(tmp_path, text, name="i.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


_RATED = "user_id,item_id,rating,timestamp\na,x,5,100\na,x,4,50\na,y,1,200\nb,x,4,300\nc,q,5,86500\n"


def test_the_report_counts_what_the_file_holds(tmp_path):
    report = check_interactions(read_interactions(_file(tmp_path, _RATED)), ["x", "y", "never"])
    assert (report.interaction_count, report.user_count, report.item_count) == (5, 3, 3)
    assert (report.duplicate_count, report.unknown_item_count, report.unknown_record_count) == (1, 1, 1)
    assert report.untouched_item_count == 1
    assert report.density == pytest.approx(4 / 9)
    assert (report.per_user.least, report.per_user.most) == (1, 2)
    assert (report.per_item.least, report.per_item.most, report.per_item.median) == (1, 2, 1)
    assert (report.first, report.last) == ("1970-01-01T00:00:50+00:00", "1970-01-02T00:01:40+00:00")
    assert (report.rating.least, report.rating.highest, report.rating.mean) == (1, 5, pytest.approx(19 / 5))
    assert (report.positive_count, report.positive_rule, report.positive_user_count) == (4, "rating >= 4", 2)
    assert not report.problems and not report.same_time
    json.dumps(asdict(report))
    assert dict(report_lines(report))["unknown items"] == "1 are not in the item file, 1 records (20.0%)"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("user_id,item_id\na,x\na,y\n", "one user only"),
        ("user_id,item_id\na,x\nb,x\n", "one item only"),
        ("user_id,item_id,kind\na,x,dislike\nb,y,dislike\n", "no interaction is positive"),
        ("user_id,item_id,rating\n" + "".join(f"u{i},x{i},{i % 5}\n" for i in range(500)) + "a,x,-7\n", "out of range"),
        ("user_id,item_id\na,p\nb,r\n", "none of the items"),
    ],
)
def test_what_will_be_refused_is_a_problem(tmp_path, text, word):
    report = check_interactions(read_interactions(_file(tmp_path, text)), None if "p" not in text else ["x", "y"])
    if word == "none of the items":
        report = check_interactions(read_interactions(_file(tmp_path, text)), ["x", "y"])
    assert any(word in problem for problem in report.problems), report.problems


def test_counts_given_as_ratings_are_noted(tmp_path):
    counts = [2 ** (row % 14) for row in range(300)]
    text = "user_id,item_id,rating\n" + "".join(f"u{row % 30},x{row},{count}\n" for row, count in enumerate(counts))
    plays = read_interactions(_file(tmp_path, text + "u1,most,90000\n"))
    (note,) = [note for note in check_interactions(plays).notes if "weight" in note]
    assert note.startswith("only 0.33% of the records are positive (rating >= 72000")
    assert not [note for note in check_interactions(plays, positive_rating=500).notes if "weight" in note]


def test_one_timestamp_for_all_is_noted(tmp_path):
    report = check_interactions(read_interactions(_file(tmp_path, "user_id,item_id,timestamp\na,x,5\nb,y,5\n")))
    assert report.same_time and any("same timestamp" in note for note in report.notes)


def test_cleaning_keeps_the_first_event_of_a_pair(tmp_path):
    kept = clean(read_interactions(_file(tmp_path, _RATED)), CleaningSettings(deduplicate=True))
    assert kept.time_s.tolist() == [50, 200, 300, 86500]


def test_cleaning_drops_unknown_items_low_ratings_and_strays(tmp_path):
    found = read_interactions(_file(tmp_path, _RATED))
    assert clean(found, CleaningSettings(), ["x", "y"]).item_ids == ("x", "y")
    assert clean(found, CleaningSettings(positives_only=True)).rating.tolist() == [5, 4, 4, 5]
    text = "user_id,item_id,rating\n" + "".join(f"u{i},x{i},{i % 5}\n" for i in range(500)) + "a,x,55\n"
    assert len(clean(read_interactions(_file(tmp_path, text)), CleaningSettings(in_range=True))) == 500
    with pytest.raises(NothingToLearnFrom, match="of the item file"):
        clean(found, CleaningSettings(), ["none"])


def test_the_k_core_is_taken_until_nothing_falls_out(tmp_path):
    # d holds only z, z then has one user less, and so on: a chain that one pass would not take down.
    pairs = ["ax", "ay", "bx", "by", "cx", "cy", "cz", "dz", "dz"]
    text = "user_id,item_id\n" + "".join(f"{user},{item}\n" for user, item in pairs)
    kept = clean(read_interactions(_file(tmp_path, text)), CleaningSettings(k_core=2))
    assert (kept.user_ids, kept.item_ids, len(kept)) == (("a", "b", "c"), ("x", "y"), 6)
    with pytest.raises(NothingToLearnFrom, match="4-core"):
        clean(kept, CleaningSettings(k_core=4))


def test_a_cut_in_time_asks_only_for_what_is_new(tmp_path):
    lines = [f"u{time % 7},i{time * 5 % 23},{time}" for time in range(100)]
    found = read_interactions(_file(tmp_path, "user_id,item_id,timestamp\n" + "\n".join(lines)))
    before, after = time_split(found, 0.2)
    assert before.time_s.max() < after.time_s.min() and len(before) == 80
    pairs = [{(p.user_ids[u], p.item_ids[i]) for u, i in zip(p.user, p.item, strict=True)} for p in (before, after)]
    assert not pairs[0] & pairs[1]
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        time_split(found, 1.5)
    with pytest.raises(NothingToLearnFrom, match="after the cut"):
        time_split(found.take(np.array([3, 3])), 0.5)


@pytest.mark.parametrize("name", ["o.csv", "o.csv.gz", "o.jsonl", "o.jsonl.gz", "o.parquet"])
def test_what_is_written_is_read_back(tmp_path, name):
    text = 'user_id,item_id,rating,weight,kind,timestamp,text\na,"x,y",4.5,1,like,1.5,"so\n""so"""\nb,2,,2,view,3,\n'
    found = read_interactions(_file(tmp_path, text))
    write_interactions(found, tmp_path / name)
    again = read_interactions(tmp_path / name)
    assert (again.user_ids, again.item_ids) == (found.user_ids, found.item_ids)
    for column in ("user", "item", "order", "time_s", "rating", "weight", "kind"):
        np.testing.assert_array_equal(getattr(again, column), getattr(found, column))
    assert again.text.tolist() == ['so\n"so"', ""]
    with pytest.raises(ConfigurationError, match="unknown kind"):
        write_interactions(found, tmp_path / "o.txt")
    with pytest.raises(StorageError, match="could not be written"):
        write_interactions(found, tmp_path / "none" / name)


def test_the_command_reports_and_cleans(tmp_path, capsys):
    path = _file(tmp_path, _RATED)
    out = tmp_path / "clean.csv.gz"
    assert main(["check", "--interactions", str(path), "--clean", str(out), "--positives", "--time-split", "0.5"]) == 0
    assert "rating >= 4" in capsys.readouterr().out
    train, test = (read_interactions(tmp_path / f"clean.{part}.csv.gz") for part in ("train", "test"))
    assert (len(train), len(test)) == (2, 2)
    assert main(["check", "--interactions", str(path), "--json", str(tmp_path / "r.json")]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["interaction_count"] == 5
    assert main(["check", "--interactions", str(path), "--k-core", "2"]) == 1
    assert "give --clean OUT" in capsys.readouterr().err
    assert main(["check", "--interactions", str(_file(tmp_path, "user_id,item_id\na,x\n", "one.csv"))]) == 1
