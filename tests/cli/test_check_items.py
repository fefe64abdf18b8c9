"""`shortlist check --items`: an item file looked over without anything else."""

import json
from pathlib import Path

import pytest

from tests.support.running import shortlist

LINES = [
    {"id": f"i{n}", "title": "x", "price": n, "seen": "2026-01-31T09:30:00Z", "available": n > 0} for n in range(5)
]


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return path


def test_it_tells_what_is_in_the_file(items: Path, tmp_path: Path) -> None:
    done = shortlist("check", "--items", str(items), "--json", str(tmp_path / "report.json"))
    assert done.returncode == 0, done.stderr
    for words in ("5, of which 4 available", "price (number), seen (timestamp)", "items/s", "MiB"):
        assert words in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["attribute_types"] == {"price": "number", "seen": "timestamp"}
    assert (report["item_count"], report["available_count"]) == (5, 4)


def test_with_interactions_unknown_items_are_found(items: Path, tmp_path: Path) -> None:
    interactions = tmp_path / "interactions.csv"
    interactions.write_text("user_id,item_id\n" + "".join(f"u{n},i{n % 7}\n" for n in range(14)))
    done = shortlist("check", "--items", str(items), "--interactions", str(interactions))
    assert "5, of which 4 available" in done.stdout
    assert "i5" in done.stdout or "unknown" in done.stdout


@pytest.mark.parametrize("flags", [[], ["--clean", "out.csv"]])
def test_nothing_to_look_over_is_refused(flags: list[str]) -> None:
    done = shortlist("check", *flags)
    assert done.returncode == 1
    assert "give --items, --interactions or both" in done.stderr


@pytest.mark.parametrize("workers", ["0", "-1", "257"])
def test_a_number_of_workers_that_cannot_be_is_refused(items: Path, workers: str) -> None:
    done = shortlist("release", "build", "--items", str(items), "--workers", workers)
    assert done.returncode == 1
    assert "--workers must lie between 1 and 256" in done.stderr
