"""Where a release grows: a folder that becomes the release when all is well, and otherwise vanishes."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain import release_folder as layout
from domain.errors import StorageError

_BUILDING = ".building-"


@contextmanager
def workplace(releases: Path, release_id: str) -> Iterator[Path]:
    """A folder that becomes the release when the block succeeds and vanishes when it fails."""
    building = releases / f"{_BUILDING}{os.getpid()}-{release_id}"
    try:
        _remove_abandoned(releases)
        (building / "models").mkdir(parents=True)
        yield building
        _sync(building)
        building.rename(releases / release_id)
        layout.sync_folder(releases)
    except OSError as error:
        raise StorageError(
            f"the release could not be written to {releases}: {error.strerror or error}; "
            "free some space or choose another folder with --out. Nothing was left behind"
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _remove_abandoned(releases: Path) -> None:
    """Removes what builds left that were killed: their process, named in the folder's name, is gone."""
    for folder in releases.glob(f"{_BUILDING}*"):
        builder = folder.name.removeprefix(_BUILDING).partition("-")[0]
        if builder.isdecimal() and not _is_alive(int(builder)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _sync(folder: Path) -> None:
    """Makes all that is in a folder durable, so that the rename after it never shows a release cut off."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())
        else:
            layout.sync_folder(path)
    layout.sync_folder(folder)
