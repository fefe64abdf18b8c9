"""A copy of the files that stay mapped while a release is served, so that nothing done to the release changes them.

A mapped file that somebody cuts ends the process (SIGBUS), and one that somebody writes to changes the answers.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from domain import release_folder as layout
from domain.release_folder import ReleaseFolder

_SPARE = 1.05


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
    names = [name for name in release.manifest.files if name == layout.ITEMS or name.startswith(f"{layout.LEXICAL}/")]
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
    try:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(release.path / name, folder / name)
        layout.verify_copies(ReleaseFolder(folder, release.manifest), names)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(places: Sequence[Path], size: int) -> Path | None:
    for place in places:
        try:
            room = os.statvfs(place)
            if room.f_bavail * room.f_frsize >= _SPARE * size:
                return Path(tempfile.mkdtemp(prefix=".shortlist-release-", dir=place)).resolve()
        except OSError:
            continue
    return None
