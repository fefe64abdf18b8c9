"""Folders of a cache that appear complete or not at all: several processes may make the same one at once."""

import contextlib
import errno
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from domain.durable import sync_folder
from domain.errors import StorageError

_WORK_PREFIX = ".encoder-"
_WORK_STALE_S = 3600.0
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


@contextlib.contextmanager
def work_folder(parent: Path | None) -> Iterator[Path]:
    """Gives a temporary folder and removes what is left of it; `parent` is made if missing, None means the system's.

    Raises:
        StorageError: it can't be made.
    """
    with storage(parent or Path(tempfile.gettempdir())):
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(parent)
        folder = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place(work: Path, entry: Path) -> bool:
    """Renames the finished folder to its place, unless that is taken; returns whether it did.

    Raises:
        OSError: it can't be written.
    """
    work.chmod(0o755)
    sync_folder(work)
    try:
        work.rename(entry)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return False
    sync_folder(entry.parent)
    return True


def replace(work: Path, entry: Path) -> None:
    """Puts the finished folder where one stands that was found wanting.

    Raises:
        OSError: it can't be written.
    """
    stale = work.with_name(f"{work.name}.stale")
    entry.rename(stale)
    try:
        work.rename(entry)
    finally:
        shutil.rmtree(stale, ignore_errors=True)
    sync_folder(entry.parent)


@contextlib.contextmanager
def storage(folder: Path) -> Iterator[None]:
    """Turns what goes wrong with files there into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{folder} can't be written: {error.strerror or error}; free some space, or give another folder (--cache)"
        ) from error


def _remove_stale(cache: Path) -> None:
    """Clears what a killed process left behind, old enough not to be another one's work in progress."""
    for folder in cache.glob(f"{_WORK_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > _WORK_STALE_S:
                shutil.rmtree(folder, ignore_errors=True)
