"""`shortlist check`: both files read to their ends, and all that is refused said at once."""

import json

import pytest

from cli.main import main

ITEMS = "id,title,price\n1,Tea,3\n1,Mug,4\n2,Cup,abc\n3,Pot,def\n4,,5\n10,Pan,6\n"
START = 1_656_105_611
EVENTS = [[f"u{n % 7}", str(n % 3 + 1), str(START + n)] for n in range(40)]
for line, column, cell in (
    (6, 1, "99"), (7, 1, "10.0"), (8, 0, "NaN"), (9, 2, str(START * 1000)), (10, 2, "2022-06-24T21:20:11Z"),
    (11, 2, "20240105"), (12, 1, "4"), (36, 0, ""),
):  # fmt: skip
    EVENTS[line - 2][column] = cell


@pytest.fixture
def files(tmp_path):
    def write(items=ITEMS, events=EVENTS):
        (tmp_path / "it.csv").write_text(items)
        text = "user_id,item_id,timestamp\n" + "".join(",".join(row) + "\n" for row in events)
        (tmp_path / "ev.csv").write_text(text)
        return ["check", "--items", str(tmp_path / "it.csv"), "--interactions", str(tmp_path / "ev.csv")]

    return write


def _problems(out):
    return [line.partition("  ")[2].strip() for line in out.splitlines() if line.startswith("PROBLEM")]


def test_everything_about_both_files_is_said_at_once(files, tmp_path, capsys):
    report, page = tmp_path / "report.json", tmp_path / "page.html"
    words = [*files(), "--column", "price:number", "--json", str(report), "--html", str(page)]
    assert main(words) == 1
    out = capsys.readouterr().out
    problems = _problems(out)
    for place, reason in (
        ("it.csv, line 3: ", 'id "1" stands on line 2 already'),
        ("it.csv, line 4, line 5: ", '--missing "abc" if it says that there is none; line 5 has "def"'),
        ("it.csv, line 6: ", "neither title nor text"),
        ("ev.csv, line 8: ", "--missing NaN leaves them out"),
        ("ev.csv, line 9: ", "milliseconds since 1970"),
        ("ev.csv, line 10, line 11: ", 'line 11 has "20240105"'),
        ("ev.csv, line 36: ", '"user_id" is empty'),
    ):
        assert any(place in words and reason in words for words in problems), (place, reason, problems)
    assert len(problems) == 7
    assert 'line 7 ("10.0") is "10"; --column item_id:string keeps them' in out
    # Item 4 is refused, but it is there; item 99 is not.
    assert "1 are not in the item file, 1 records" in out
    refusals = json.loads(report.read_text())["refusals"]
    assert [(entry["file"].rpartition("/")[2], entry["places"], entry["count"]) for entry in refusals] == [
        ("it.csv", [3], 1), ("it.csv", [4, 5], 2), ("it.csv", [6], 1),
        ("ev.csv", [8], 1), ("ev.csv", [9], 1), ("ev.csv", [10, 11], 2), ("ev.csv", [36], 1),
    ]  # fmt: skip
    text = page.read_text()
    assert "7 to correct before the files can be used." in text
    assert "<b>line 36</b>" in text and "<code>--missing" in text


def test_a_file_that_ends_early_does_not_hide_the_other(files, tmp_path, capsys):
    words = files("name\nTea\n", EVENTS[:3])
    assert main([*words, "--json", str(tmp_path / "report.json")]) == 1
    out = capsys.readouterr().out
    (problem,) = _problems(out)
    assert 'the header needs "id"' in problem and "interactions       3" in out
    assert "unknown items were not looked for" in out and "are not in the item file" not in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["interaction_count"] == 3 and "header" in report["refusals"][0]["reason"]
    words = files("id,title\n1,Tea\n", [["u1"], ["", "1", "2"]])
    assert main(words) == 1
    problems = _problems(capsys.readouterr().out)
    assert [words.partition("ev.csv")[2].partition(" is")[0] for words in problems] == [
        ", line 2: 1 columns, but the header has 3",
        ', line 3: "user_id"',
        ": no interactions; every record",
    ]


def test_refused_files_are_not_cleaned(files, tmp_path, capsys):
    out = tmp_path / "clean.csv"
    assert main([*files(), "--clean", str(out)]) == 1
    assert not out.exists() and "clean.csv was not written" in capsys.readouterr().out
    assert main([*files("id,title\n1,Tea\n2,Mug\n3,Pot\n", EVENTS[:3]), "--clean", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 4


def test_items_alone(files, tmp_path):
    report = tmp_path / "report.json"
    words = [*files()[:3], "--json", str(report)]
    assert main(words) == 1
    facts = json.loads(report.read_text())
    assert facts["item_count"] == 5 and [entry["places"] for entry in facts["refusals"]] == [[3], [6]]
    files("id,title\n1,Tea\n")
    assert main(words) == 0
    assert json.loads(report.read_text())["refusals"] == []
