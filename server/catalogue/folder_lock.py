"""Exclusive use of a folder by one process."""

import fcntl
import os
from pathlib import Path

from domain.errors import CatalogueInUse, StorageError


class FolderLock:
    """Exclusive use of a folder, as long as the process lives."""

    def __init__(self, folder: Path) -> None:
        """Takes the lock.

        Raises:
            CatalogueInUse: another process holds it.
            StorageError: the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"{folder} cannot be written: {error}; choose another folder with --state") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise CatalogueInUse(
                f"{folder} is in use by another gateway; give this one a folder of its own with --state"
            ) from error

    def close(self) -> None:
        """Gives the folder back."""
        os.close(self._descriptor)
