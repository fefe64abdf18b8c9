"""A build that is killed: nothing shows, and the same command ends in the bytes of a build that was left alone."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from domain.release_folder import ReleaseFolder, open_release, verify
from tests.support.killed_builds import CHUNK_ITEMS, MOMENTS
from tests.support.running import ROOT
from tests.support.trained import Workshop, make_workshop

# They hold the id or the time of the release.
OF_ITS_OWN = ("manifest.json", "manifest.sha256", "card.md", "first_seen.npy")


def bytes_of(release: ReleaseFolder) -> dict[str, bytes]:
    files = [path for path in release.path.rglob("*") if path.is_file() and path.name not in OF_ITS_OWN]
    return {path.relative_to(release.path).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, exports: Path) -> Workshop:
    return make_workshop(tmp_path_factory.mktemp("resume"), exports, parts=("collaborative", "student"))


@pytest.fixture(scope="module")
def left_alone(workshop: Workshop) -> ReleaseFolder:
    whole = Workshop(workshop.folder / "whole")
    return workshop.build(workshop.model, releases=whole.releases, chunk_items=CHUNK_ITEMS)


@pytest.mark.parametrize("seed", [1])
def test_killed_at_every_stage_and_at_any_moment(workshop: Workshop, left_alone: ReleaseFolder, seed: int) -> None:
    words = [sys.executable, "-m", "tests.support.killed_builds", str(workshop.folder), str(seed)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    named, by_chance = seen[: len(MOMENTS)], seen[len(MOMENTS) :]
    before, at_the_end = named[:-2], named[-2:]
    assert [one["moment"] for one in named if not one["killed"]] == [], done.stderr
    for one in before:
        assert (one["releases"], one["current"]) == ([], None), one
    assert [len(one["stages"]) for one in before] == sorted(len(one["stages"]) for one in before)
    assert {one["chunks"] for one in before} >= {0, 1, 3, 4}
    # Whole from the moment it has its name, and never built twice.
    (release_id,) = at_the_end[0]["releases"]
    assert [one["releases"] for one in at_the_end] == [[release_id]] * 2
    assert [one["current"] for one in at_the_end] == [None, None]
    final = workshop.build(workshop.model, chunk_items=CHUNK_ITEMS)
    assert final.manifest.release_id == release_id
    assert [path.name for path in workshop.releases.iterdir() if path.name.startswith(".work")] == []
    releases = [final]
    for one in by_chance:
        assert not one["killed"], done.stderr
        releases.append(open_release(workshop.folder / one["moment"] / "releases" / one["current"]))
    for release in releases:
        verify(release)
        assert bytes_of(release) == bytes_of(left_alone)
        assert release.manifest.text == left_alone.manifest.text
        assert release.manifest.graph == left_alone.manifest.graph


def kill_at(file: str, target: Workshop, made_from: Workshop) -> None:
    """Builds in a process of its own until the file is about to be written."""
    call = f"build_until('open', {file!r}, *[Workshop(Path(folder)) for folder in sys.argv[1:]])"
    script = f"import sys; from tests.support.killed_builds import *; {call}"
    words = [sys.executable, "-c", script, str(target.folder), str(made_from.folder)]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == -signal.SIGKILL


def test_damaged_work_is_made_again(workshop: Workshop, left_alone: ReleaseFolder, tmp_path: Path) -> None:
    target = Workshop(tmp_path)
    build = {"releases": target.releases, "chunk_items": CHUNK_ITEMS}
    kill_at("mean.npy", target, workshop)
    (vectors,) = tmp_path.glob("releases/.work-*/release/vectors.npy")
    with vectors.open("rb+") as stream:
        stream.seek(-3, 2)
        stream.write(b"\x00\x00\x00")
    (record,) = tmp_path.glob("releases/.work-*/chunks/00000001.npz")
    record.write_bytes(record.read_bytes()[:40])
    assert bytes_of(workshop.build(workshop.model, **build)) == bytes_of(left_alone)


def test_other_items_or_settings_are_another_build(
    workshop: Workshop, left_alone: ReleaseFolder, tmp_path: Path
) -> None:
    kill_at("graph.hnsw", Workshop(tmp_path), workshop)
    (left,) = (tmp_path / "releases").glob(".work-*")
    other = workshop.build(None, releases=tmp_path / "releases", text_attributes=("category", "price"))
    assert bytes_of(other)["vectors.npy"] != bytes_of(left_alone)["vectors.npy"]
    assert left.is_dir()
