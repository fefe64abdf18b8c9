"""A release whose files are changed while it is served, in a process of its own: SIGBUS would end it."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from domain import durable
from domain import release_folder as layout
from domain.errors import ReleaseRejected
from domain.manifest import FileEntry
from domain.release_folder import ReleaseFolder
from server.release.private_copy import private_copy
from tests.support.fakes_server import MANIFEST
from tests.support.running import ROOT

SERVED = """
import os, sys
from pathlib import Path
import numpy as np
from domain.release_folder import open_release
from server.release.canaries import CanaryFile
from server.release.data import read_release

release = open_release(Path(sys.argv[1]))
data = read_release(release, CanaryFile.read(release))
asked = data.items.item(0).title

def answers():
    rows, _ = data.lexical.search(data.lexical.parse(asked), 3, np.zeros(len(data.items), bool))
    return [data.items.item(row).title for row in range(len(data.items))], rows.tolist()

before = answers()
for path in [release.path / "items.jsonl", *(release.path / "lexical").rglob("*")]:
    if path.is_file():
        if sys.argv[2] == "cut":
            os.truncate(path, 0)
        else:
            with path.open("r+b") as stream:
                stream.write(b"x" * path.stat().st_size)
assert answers() == before and before[1]
print("the same")
"""


@pytest.fixture
def copy(trained_release, tmp_path) -> ReleaseFolder:
    return ReleaseFolder(Path(shutil.copytree(trained_release.path, tmp_path / "copy")), trained_release.manifest)


@pytest.mark.parametrize("change", ["cut", "overwrite"])
def test_changed_files_change_no_answer(copy, change):
    done = subprocess.run(
        [sys.executable, "-c", SERVED, str(copy.path), change],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "the same\n"), done.stderr


def test_a_file_that_was_changed_before_the_copy_is_refused(copy, tmp_path):
    (copy.path / layout.ITEMS).write_text("{}\n")
    with pytest.raises(ReleaseRejected, match=r"items\.jsonl was changed"), private_copy(copy, [tmp_path]):
        pass
    assert not list(tmp_path.glob(".shortlist-release-*"))


def test_the_first_place_with_room_is_taken_and_left_clean(copy, tmp_path):
    places = [tmp_path / "none", Path("/proc"), tmp_path]
    with private_copy(copy, places) as folder:
        assert folder.parent == tmp_path
        assert (folder / layout.ITEMS).read_bytes() == (copy.path / layout.ITEMS).read_bytes()
        assert not (folder / layout.ENCODER).exists()
    assert not folder.exists()


def test_without_room_the_release_itself_is_mapped_and_the_log_says_so(copy):
    with capture_logs() as entries, private_copy(copy, [Path("/proc")]) as folder:
        assert folder == copy.path
    assert [entry for entry in entries if "must not be changed" in str(entry)]


def test_a_copy_that_a_killed_process_left_is_removed_and_one_in_use_stays(tmp_path):
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / layout.ITEMS).write_text("{}\n")
    files = {layout.ITEMS: FileEntry(durable.sha256_of(tmp_path / "release" / layout.ITEMS), 3)}
    copy = ReleaseFolder(tmp_path / "release", replace(MANIFEST, files=files))
    unlocked, let_go, fresh = (tmp_path / f".shortlist-release-{name}" for name in ("unlocked", "let-go", "fresh"))
    for folder in (unlocked, let_go, fresh):
        folder.mkdir()
        (folder / "vectors.npy").write_bytes(b"x")
    (let_go / "lock").touch()
    for folder in (unlocked, let_go):
        os.utime(folder, (0, 0))
    with private_copy(copy, [tmp_path]) as used:
        assert not unlocked.exists() and not let_go.exists()
        assert fresh.exists()  # another process is about to lock it
        os.utime(used, (0, 0))
        with private_copy(copy, [tmp_path]):
            assert used.exists()
