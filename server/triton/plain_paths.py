"""Paths that survive a shell.

Triton's Python backend starts its stub through `bash -c` with unquoted paths: with a space in one of them the stub
never comes up and the load hangs until its deadline.
"""

import re
import shutil
import tempfile
from pathlib import Path

_PLAIN = re.compile(r"[\w./@%+=:,-]*", re.ASCII)


def is_plain(path: Path) -> bool:
    """Returns whether a shell reads the path as one word."""
    return _PLAIN.fullmatch(str(path)) is not None


class PlainPaths:
    """Paths that a shell reads as one word: the path itself, or a link to it in a temporary folder."""

    def __init__(self) -> None:
        self._links: Path | None = None
        self._link_of: dict[Path, Path] = {}

    def plain(self, path: Path) -> Path:
        """Returns a plain path to the same folder.

        Raises:
            OSError: no link could be made.
        """
        if is_plain(path):
            return path
        if path not in self._link_of:
            if self._links is None:
                self._links = Path(tempfile.mkdtemp(prefix="shortlist-triton-"))
            link = self._links / str(len(self._link_of))
            link.symlink_to(path, target_is_directory=True)
            self._link_of[path] = link
        return self._link_of[path]

    def close(self) -> None:
        """Removes the links."""
        if self._links is not None:
            shutil.rmtree(self._links, ignore_errors=True)
        self._links = None
        self._link_of.clear()
