import os
import shutil
from pathlib import Path

import pytest

from cli.checks.finding import Level
from cli.checks.release import check_release


@pytest.fixture
def copied(releases: Path, tmp_path: Path) -> Path:
    """The sample's releases, by links: a test replaces what it damages."""
    shutil.copytree(releases, tmp_path / "releases", copy_function=os.link, symlinks=True)
    return tmp_path / "releases"


def test_a_release_as_it_was_built(copied: Path):
    finding = check_release(copied, None)
    assert finding.level is Level.OK
    assert "279 items" in finding.found


def test_a_flipped_bit(copied: Path):
    path = copied / "current" / "mean.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)
    finding = check_release(copied, None)
    assert finding.level is Level.FAIL
    assert "mean.npy was changed" in finding.found
    assert "rollback" in finding.remedy


def test_a_missing_file(copied: Path):
    (copied / "current" / "graph.hnsw").unlink()
    assert "graph.hnsw" in check_release(copied, None).found


def test_no_release_yet_is_no_fault_a_lost_one_is(copied: Path, tmp_path: Path):
    finding = check_release(tmp_path / "none", None)
    assert finding.level is Level.WARN
    assert "release build" in finding.remedy
    assert check_release(copied, "no-such-id").level is Level.FAIL
    shutil.rmtree((copied / "current").resolve())
    assert check_release(copied, None).level is Level.FAIL
