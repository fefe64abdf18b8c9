"""How a release gets onto the disk: whole, or not at all; and what of an interrupted build is still there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from domain.errors import BuildRunning, ReleaseRejected, StorageError, WorkerLost
from export.release.workspace import Workspace, workspace

# Opens the workspace of the key "k", says so, and keeps it until its standard input ends.
HOLDER = """
import sys
from pathlib import Path
from export.release.workspace import workspace
with workspace(Path(sys.argv[1]), "k"):
    print("open", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put(place: Workspace, name: str, content: str = "") -> dict[str, object]:
    (place.folder / name).write_text(content)
    return {"made": name}


def interrupted(releases: Path) -> None:
    """Leaves a workspace with one finished stage, one half-made file, and a chunk of vectors."""
    with pytest.raises(KeyboardInterrupt), workspace(releases, "k") as place:
        place.stage("items", lambda: put(place, "items.jsonl", "first"))
        put(place, "graph.hnsw", "half")
        (place.folder / "student").mkdir()
        put(place, "student/table.npy", "half")
        put(place, "vectors.npy", "some")
        place.records.mkdir()
        (place.records / "00000000.npz").touch()
        raise KeyboardInterrupt


def test_everything_is_durable_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    with workspace(tmp_path, "k") as place:
        for name in ("models/encoder.onnx", "items.jsonl", "manifest.json"):
            put(place, name)
        place.finish("r1")
        place.remove()
        folder = place.folder
    assert folder == tmp_path / ".work-k" / "release"
    *before, last = synced
    for name in ("", "/models", "/models/encoder.onnx", "/items.jsonl", "/manifest.json"):
        assert f"{folder}{name}" in before
    assert last == str(tmp_path)
    assert names(tmp_path) == ["r1"]


def test_an_interrupted_build_goes_on_after_its_last_stage(tmp_path: Path) -> None:
    interrupted(tmp_path)
    assert names(tmp_path) == [".work-k"]
    with workspace(tmp_path, "k") as place:
        assert place.stage("items", lambda: pytest.fail("was done")) == {"made": "items.jsonl"}
        # What no stage finished is gone, but for the vectors: their chunks have records of their own.
        assert names(place.folder) == ["items.jsonl", "models", "vectors.npy"]
        assert place.has_work
        place.finish("r1")
        place.remove()
    assert names(tmp_path) == ["r1"]


def test_another_build_takes_nothing_from_it(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with workspace(tmp_path, "other") as place:
        assert names(place.folder) == ["models"]
        place.finish("r2")
        place.remove()
    assert names(tmp_path) == [".work-k", "r2"]


@pytest.mark.parametrize(
    ("error", "kept"), [(ReleaseRejected("no"), False), (WorkerLost("gone"), True), (OSError(28, "full"), True)]
)
def test_a_refusal_leaves_nothing_and_a_mishap_the_work(tmp_path: Path, error: Exception, kept: bool) -> None:
    interrupted(tmp_path)
    with pytest.raises(StorageError if isinstance(error, OSError) else type(error)), workspace(tmp_path, "k"):
        raise error
    assert (names(tmp_path) == [".work-k"]) is kept


def test_a_full_disk_says_whether_work_is_kept(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"full; free some space .* Nothing was left behind"),
        workspace(tmp_path, "k"),
    ):
        raise OSError(28, "full")
    assert names(tmp_path) == []
    interrupted(tmp_path)
    with pytest.raises(StorageError, match="What is done is kept"), workspace(tmp_path, "k"):
        raise OSError(28, "full")


def test_a_build_killed_between_its_name_and_its_end_is_not_built_again(tmp_path: Path) -> None:
    interrupted(tmp_path)
    (tmp_path / ".work-k" / "release").rename(tmp_path / "r1")
    (tmp_path / ".work-k" / "stages.json").write_text(json.dumps({"finished": {"release_id": "r1"}}))
    with workspace(tmp_path, "k") as place:
        assert place.finished_id == "r1"
    # Noted, but not renamed yet: there is no such release.
    (tmp_path / ".work-k" / "stages.json").write_text(json.dumps({"finished": {"release_id": "r2"}}))
    with workspace(tmp_path, "k") as place:
        assert place.finished_id is None


def test_two_builds_at_once_do_not_share_a_folder(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(BuildRunning, match="another process is building this very release"), workspace(tmp_path, "k"):
        pytest.fail("it is taken")
    with workspace(tmp_path, "other") as place:
        place.finish("r2")
        place.remove()
    # No process id decides: what a killed process had is free.
    holder.kill()
    holder.wait()
    with workspace(tmp_path, "k") as place:
        place.finish("r1")
        place.remove()
    assert names(tmp_path) == ["r1", "r2"]


def test_what_nobody_took_up_for_a_week_is_removed(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with workspace(tmp_path, "other"):
        assert names(tmp_path) == [".work-k", ".work-other"]
    os.utime(tmp_path / ".work-k" / "lock", (0, 0))
    with workspace(tmp_path, "other"):
        assert names(tmp_path) == [".work-other"]
