"""The table of relevance: misspelt titles, rows, the most chosen items, and all of it on a small part of real data."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest

from bench.relevance.__main__ import popular_items
from bench.relevance.names import _doubled, _missing, _swapped, misspell
from bench.relevance.row import Row, markdown, share_row, skipped, table, to_json
from tests.conftest import skip_without_triton
from tests.support.running import ROOT

DATA = ROOT.parent / "shared" / "data"
# Of the small run: the goals of the whole one, and where there is none, or more is reached surely, a value below.
FLOORS = {
    "people": 0.97,
    "title_exact": 0.98,
    "title_swapped": 0.9,
    "title_missing": 0.85,
    "title_doubled": 0.95,
    "judged_ndcg": 0.915,
    "judged_recall": 0.98,
    "unrelated_kept": 0.9,
    "unrelated_first": 0.98,
    "unrelated_among": 0.99,
    "genre_year": 0.95,
    "negated": 0.95,
    "prefix": 1.0,
    "price": 0.95,
}


@pytest.mark.parametrize(
    ("change", "forms"),
    [
        (_swapped, {"of asphlat", "of sahpalt", "of apshalt", "of ashpalt", "of aspahlt", "of asphatl"}),
        (_missing, {"of sphalt", "of aphalt", "of ashalt", "of aspalt", "of asphlt", "of asphat"}),
        (_doubled, {"of aasphalt", "of assphalt", "of aspphalt", "of asphhalt", "of asphaalt", "of asphallt"}),
    ],
)
def test_a_letter_of_a_longer_word_is_changed(change, forms):
    found = {misspell("of asphalt", change, random.Random(seed)) for seed in range(200)}
    swapped_first = {"of sapshalt"}
    assert len(found) == 6 and len(found & forms) >= 5 and not found & swapped_first


@pytest.mark.parametrize("title", ["Up", "M", "1984", "It 99"])
def test_a_title_of_short_words_is_not_misspelt(title):
    assert misspell(title, _missing, random.Random(0)) == ""


def test_equal_letters_are_not_swapped():
    assert misspell("Aaaa", _swapped, random.Random(0)) == ""


def test_rows_know_whether_their_goal_was_reached():
    reached = [
        Row("a", "a", 0.97, least=0.97).reached,
        Row("a", "a", 0.969, least=0.97).reached,
        Row("a", "a", 1.2, most=1.0).reached,
        Row("a", "a", 0.1).reached,
        skipped("a", "a", "no data").reached,
    ]
    assert reached == [True, False, False, True, True]
    assert share_row("a", "a", [1.0, 0.0, 0.5, 0.5], 0.9, "texts").value == 0.5
    assert math.isnan(share_row("a", "a", [], 0.9, "texts").value)


def test_the_table_shows_goals_misses_and_the_run_before():
    rows = [Row("a", "first", 0.5, least=0.9, detail="10 texts"), skipped("b", "second", "no data")]
    lines = table(rows, {"a": 0.25}).splitlines()
    assert lines[1].split() == ["first", ".500", ".250", ">=", "0.9", "MISSED", "10", "texts"]
    assert lines[2].split() == ["second", "-", "-", "skipped:", "no", "data"]
    assert table(rows, {}).splitlines()[1].split() == ["first", ".500", ">=", "0.9", "MISSED", "10", "texts"]
    assert markdown(rows).splitlines()[2] == "| first | .500 | >= 0.9 | 10 texts |"
    assert [row["value"] for row in to_json(rows)] == [0.5, None]


def test_the_most_chosen_items_keep_the_order_of_the_file(tmp_path):
    items = [f'{{"id": "{name}", "title": "{name}"}}' for name in "abcd"]
    (tmp_path / "items.jsonl").write_text("\n".join(items) + "\n")
    import gzip

    chosen = "user_id,item_id\n" + "".join(f"u{n},{name}\n" for n, name in enumerate("cddbab"))
    (tmp_path / "interactions.csv.gz").write_bytes(gzip.compress(chosen.encode()))
    out = popular_items(tmp_path, tmp_path / "out.jsonl", count=3)
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["a", "b", "d"]


def test_without_data_it_says_what_to_give(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.relevance", "--data", str(tmp_path / "nowhere")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "items.jsonl; give --data DIR" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.triton
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("releases")
def test_six_hundred_films_and_goods_through_the_real_service(tmp_path: Path) -> None:
    """Every row has a value or a reason, and none lies below its floor; times are those of busy cores."""
    if not (DATA / "movielens-small" / "items.jsonl").is_file():
        pytest.skip(f"no real data in {DATA}")
    skip_without_triton()
    out = tmp_path / "rows.json"
    command = [sys.executable, "-m", "bench.relevance", "--small", "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=880)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    rows = {row["key"]: row for row in json.loads(out.read_text())}
    assert [key for key, row in rows.items() if row["value"] is None] == ["personal"]
    assert rows["personal"]["detail"].startswith("skipped: the release has no trained parts")
    low = {
        key: row["value"] for key, row in rows.items() if row["value"] is not None and row["value"] < FLOORS.get(key, 0)
    }
    assert FLOORS.keys() <= rows.keys()
    assert not low, done.stdout
    assert rows["added_ms"]["value"] < 5
