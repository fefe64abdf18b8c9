"""The Unix socket of the embedded Triton, in a folder that only its owner can enter.

A loopback port can be reached by every user of the machine, and this Triton's gRPC has no key that another user could
not read from its command line. Connecting to a Unix socket needs the right to enter its folder.
"""

import os
import shutil
import tempfile
from pathlib import Path

from domain.errors import StorageError
from server.triton.plain_paths import is_plain

_PREFIX = "shortlist-triton-"
# The kernel takes 107 bytes for a whole path; the names of folder and socket take 33.
_LONGEST_PLACE = 74
# tritonserver joins its address and port by a colon; for a socket that is part of the file's name.
_NAME, _PORT = "grpc", 1


class PrivateSocket:
    """A folder with mode 0700 for one socket. `open` makes it, `close` removes it."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    @property
    def address(self) -> str:
        """Target for gRPC, unix:PATH; stays the same until `close`."""
        return f"unix:{self._folder}/{_NAME}:{_PORT}"

    @property
    def flags(self) -> tuple[str, str]:
        """The flags that have tritonserver listen there."""
        return f"--grpc-address=unix:{self._folder}/{_NAME}", f"--grpc-port={_PORT}"

    def open(self) -> None:
        """Makes the folder.

        Raises:
            StorageError: it cannot be made.
        """
        place = Path(tempfile.gettempdir())
        if not is_plain(place) or len(os.fsencode(place)) > _LONGEST_PLACE:
            place = Path("/tmp")
        try:
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        except OSError as error:
            raise StorageError(
                f"cannot make a folder in {place} for Triton's socket: {error.strerror}; set TMPDIR to another folder"
            ) from error

    def close(self) -> None:
        """Removes the folder."""
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
