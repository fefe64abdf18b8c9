"""A copy of the files that stay mapped while a release is served, so that nothing done to the release changes them.

A mapped file that somebody cuts ends the process (SIGBUS), and one that somebody writes to changes the answers. A copy
is locked until it is removed: what a killed process left is not, and goes when the next copy is made beside it.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from domain import release_folder as layout
from domain.release_folder import ReleaseFolder

_SPARE = 1.05
_PREFIX = ".shortlist-release-"
_LOCK = "lock"
# Between making a folder and locking it nothing takes so long.
_LEFT_AFTER_S = 60.0
_MAPPED = frozenset({layout.ITEMS, layout.VECTORS, layout.MAPPED_GRAPH})


@contextmanager
def private_copy(release: ReleaseFolder, places: Sequence[Path]) -> Iterator[Path]:
    """Copies the files that are mapped, checks the copies and gives their folder; removes it at the end.

    What was mapped by then stays: on Linux a file lives as long as it is mapped. Where no place has room, the release's
    own folder is given, and the log says so.

    Args:
        release: verified.
        places: folders to copy to; the first that can be written and has room is taken.

    Raises:
        ReleaseRejected: a file was changed since.
        OSError: a file cannot be read.
    """
    names = [name for name in release.manifest.files if name in _MAPPED or name.startswith(f"{layout.LEXICAL}/")]
    size = sum(release.manifest.files[name].size_bytes for name in names)
    folder = _folder(places, size)
    if folder is None:
        structlog.get_logger("release").warning(
            "no room for a private copy: the release must not be changed while it is served",
            release=str(release.path),
            megabytes=round(size / 1e6),
        )
        yield release.path
        return
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with suppress(OSError):  # not every file system has locks; there none is taken for one that was left
            fcntl.flock(lock, fcntl.LOCK_EX)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(release.path / name, folder / name)
        layout.verify_copies(ReleaseFolder(folder, release.manifest), names)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _folder(places: Sequence[Path], size: int) -> Path | None:
    for place in places:
        try:
            _remove_left(place)
            room = os.statvfs(place)
            if room.f_bavail * room.f_frsize >= _SPARE * size:
                return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place)).resolve()
        except OSError:
            continue
    return None


def _remove_left(place: Path) -> None:
    """Removes copies of our own that a killed process has left in a place."""
    for folder in place.glob(f"{_PREFIX}*"):
        try:
            about = folder.lstat()
            old = time.time() - about.st_mtime > _LEFT_AFTER_S
            if old and about.st_uid == os.getuid() and _is_left(folder):
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # another process removes it
            continue


def _is_left(folder: Path) -> bool:
    """Returns whether no process holds a copy."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
