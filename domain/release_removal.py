"""Removal of releases that are no longer wanted."""

import shutil
from pathlib import Path

from domain.durable import sync_folder
from domain.errors import ReleaseRejected, StorageError
from domain.release_folder import ReleaseFolder, current_release_id, list_releases


def delete_release(releases: Path, release_id: str) -> int:
    """Deletes a release; returns how many bytes that frees.

    Its folder is renamed first, so that a deletion that is interrupted leaves nothing that looks like a release. A
    gateway that serves it goes on, since its files are open.

    Raises:
        ReleaseRejected: it is the current one.
        StorageError: there is no such folder, or it cannot be deleted.
    """
    if release_id == current_release_id(releases):
        raise ReleaseRejected(f"{release_id} is the current release; promote another one first")
    folder, gone = releases / release_id, releases / f".deleted-{release_id}"
    try:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        folder.rename(gone)
        sync_folder(releases)
        shutil.rmtree(gone)
    except OSError as error:
        raise StorageError(f"{folder} could not be deleted: {error.strerror or error}") from error
    return size


def superseded(releases: Path, keep: int) -> list[ReleaseFolder]:
    """Returns all releases but the current one and the newest `keep`, oldest first."""
    current = current_release_id(releases)
    ordered = list_releases(releases)
    kept = {release.manifest.release_id for release in ordered[len(ordered) - keep :]} if keep else set()
    return [release for release in ordered if release.manifest.release_id not in kept | {current}]
