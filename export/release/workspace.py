"""Workspace of a build: a hidden folder that survives a kill, is resumed, and becomes the release."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from domain import release_folder as layout
from domain.durable import sync_folder, sync_tree, write_atomic
from domain.errors import BuildRunning, ShortlistError, StorageError, WorkerLost

_WORK = ".work-"
_RELEASE = "release"
_LOCK = "lock"
_STAGES = "stages.json"
_MODELS = "models"
_CHUNKS = "chunks"
_FINISHED = "finished"
_ABANDONED_S = 7 * 86_400.0


class Workspace:
    """Folder of one build, named by the key of everything that the build depends on. One process has it at a time.

    Attributes:
        folder: what becomes the release.
        records: folder of the finished chunks of vectors.
        finished_id: the release that an earlier run made before it was killed; None where there is none.
    """

    def __init__(self, releases: Path, path: Path) -> None:
        """Reads what an earlier run left, and removes what it had not finished."""
        self._releases = releases
        self._path = path
        self.folder = path / _RELEASE
        self.records = path / _CHUNKS
        self._stages = _read_stages(path / _STAGES)
        finished = self._stages.pop(_FINISHED, {}).get("release_id")
        self.finished_id = finished if isinstance(finished, str) and (releases / finished).is_dir() else None
        if not self.folder.is_dir():
            self._stages = {}
            shutil.rmtree(self.records, ignore_errors=True)
        (self.folder / _MODELS).mkdir(parents=True, exist_ok=True)
        kept = {layout.VECTORS}.union(*(_listed(stage) for stage in self._stages.values()))
        for name in self._files() - kept:
            (self.folder / name).unlink()
        for inner in self.folder.iterdir():
            if inner.is_dir() and inner.name != _MODELS and not any(path.is_file() for path in inner.rglob("*")):
                shutil.rmtree(inner)

    @property
    def has_work(self) -> bool:
        """Returns whether vectors are there that took time to make."""
        return any(self.records.glob("*.npz"))

    def stage(self, name: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Runs a stage unless an earlier run finished it.

        Args:
            name: of the stage.
            make: writes the stage's files into `folder` and returns, as JSON values, what later stages need of it.

        Returns:
            What `make` returned, now or then.
        """
        if name not in self._stages:
            result = make()
            sync_tree(self.folder)
            self._stages[name] = {"files": sorted(self._files()), "result": result}
            self._write_stages()
        recorded = self._stages[name]["result"]
        assert isinstance(recorded, Mapping)
        return recorded

    def finish(self, release_id: str) -> None:
        """Gives the folder its name as a release, which appears whole or not at all; `remove` is due then."""
        sync_tree(self.folder)
        self._stages[_FINISHED] = {"release_id": release_id}
        self._write_stages()
        self.folder.rename(self._releases / release_id)
        sync_folder(self._releases)

    def remove(self) -> None:
        """Removes all that is not a release."""
        shutil.rmtree(self._path, ignore_errors=True)

    def _files(self) -> set[str]:
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()}

    def _write_stages(self) -> None:
        write_atomic(self._path / _STAGES, json.dumps(self._stages))


@contextmanager
def workspace(releases: Path, key: str) -> Iterator[Workspace]:
    """Gives the workspace of a build; what an interrupted run of the same build left is still there.

    A refusal removes it. A kill, an interrupt, a full disk or a lost worker leaves it where vectors are in it.

    Args:
        releases: folder of releases; made if missing.
        key: digest of all that the build depends on.

    Raises:
        BuildRunning: another process is at the same build.
        StorageError: a file cannot be written.
    """
    try:
        releases.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(releases)
        with _locked(releases / f"{_WORK}{key}") as path:
            place = Workspace(releases, path)
            try:
                yield place
            except BaseException as error:
                refused = isinstance(error, ShortlistError) and not isinstance(error, StorageError | WorkerLost)
                if refused or not place.has_work:
                    place.remove()
                raise
    except OSError as error:
        raise StorageError(
            f"the release could not be written to {releases}: {error.strerror or error}; free some space or choose "
            f"another folder with --out. {_left_behind(releases / f'{_WORK}{key}')}"
        ) from error


def _left_behind(path: Path) -> str:
    if path.exists():
        return f"What is done is kept in {path}: the same command goes on from there"
    return "Nothing was left behind"


@contextmanager
def _locked(path: Path) -> Iterator[Path]:
    """Makes the folder and keeps every other process out of it, on this machine or another that shares it.

    Raises:
        BuildRunning: another process has it.
    """
    while True:
        path.mkdir(exist_ok=True)
        with (path / _LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BuildRunning(
                    f"another process is building this very release in {path}; wait for it, or stop it and give the "
                    "same command again: it goes on where that one stopped"
                ) from error
            if _is_still(path / _LOCK, lock.fileno()):
                os.utime(path / _LOCK)
                yield path
                return


def _is_still(path: Path, descriptor: int) -> bool:
    """Returns whether the open file still has the name: its last owner may have removed it before we had the lock."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_abandoned(releases: Path) -> None:
    """Removes what builds left that were interrupted and not taken up again for a week."""
    for path in releases.glob(f"{_WORK}*"):
        with suppress(OSError, BuildRunning):
            if time.time() - (path / _LOCK).stat().st_mtime > _ABANDONED_S:
                with _locked(path):
                    shutil.rmtree(path, ignore_errors=True)


def _read_stages(path: Path) -> dict[str, dict[str, object]]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not there, or no record: everything is made again
        return {}
    return raw if isinstance(raw, dict) else {}


def _listed(stage: Mapping[str, Any]) -> list[str]:
    files = stage.get("files")
    return files if isinstance(files, list) else []
