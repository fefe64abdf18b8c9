"""`shortlist demo` from nothing to ranked items."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import demo
from tests.conftest import skip_without_triton
from tests.support.running import ROOT


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the sample and a source in each package that makes releases."""
    for name in ("sample/items.jsonl", "domain/a.py", "core/b.py", "export/deep/c.py", "server/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(demo, "_ROOT", tmp_path)
    monkeypatch.setattr(demo, "_SAMPLE", tmp_path / "sample" / "items.jsonl")
    return tmp_path


@pytest.mark.parametrize("name", ["sample/items.jsonl", "domain/a.py", "core/b.py", "export/deep/c.py"])
def test_the_stamp_covers_what_a_release_is_made_of(checkout: Path, name: str) -> None:
    before = demo._stamp()
    (checkout / name).write_text("2")
    assert demo._stamp() != before


def test_the_stamp_leaves_out_the_rest(checkout: Path) -> None:
    before = demo._stamp()
    (checkout / "server" / "d.py").write_text("2")
    (checkout / "domain" / "a.pyc").write_text("2")
    assert demo._stamp() == before


def run_demo(folder: Path) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHORTLIST_")}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "demo"],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ranked(output: str) -> list[str]:
    """The ranks and ids of all items shown, in order."""
    rows = [line.split() for line in output.splitlines() if " #" in line and line.split()[0].isdecimal()]
    return [word for row in rows for word in (row[0], row[-1])]


@pytest.mark.triton
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("releases")
def test_the_demo_runs_from_nothing_and_again(tmp_path: Path) -> None:
    skip_without_triton()
    first = run_demo(tmp_path)
    for text in ("a release of the sample catalogue", "semantic_text #", "lexical #", "semantic_history #"):
        assert text in first
    assert "relevance" in first
    assert "--page" not in first
    releases = tmp_path / "var" / "demo" / "releases"
    made = sorted(path.name for path in releases.iterdir())
    again = run_demo(tmp_path)
    assert "the release is there already" in again
    assert sorted(path.name for path in releases.iterdir()) == made
    assert ranked(first).count("1") == 4
    assert ranked(again) == ranked(first)
