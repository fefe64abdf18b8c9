"""How a release gets onto the disk: whole, or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from export.workplace import workplace


def test_everything_is_durable_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    with workplace(tmp_path, "r1") as folder:
        for name in ("models/encoder.onnx", "items.jsonl", "manifest.json"):
            (folder / name).write_text(name)
        assert folder.name == f".building-{os.getpid()}-r1"
    *before, last = synced
    names = ("", "/models", "/models/encoder.onnx", "/items.jsonl", "/manifest.json")
    assert sorted(before) == sorted(f"{folder}{name}" for name in names)
    assert last == str(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["r1"]


def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    alive = f".building-{os.getppid()}-r1"
    # The last one: as folders were named before they named their process.
    for name in (alive, f".building-{gone.pid}-r2", ".building-20261121-232321-5b74f5"):
        (tmp_path / name / "models").mkdir(parents=True)
    with workplace(tmp_path, "r3"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [alive, "r3"]
