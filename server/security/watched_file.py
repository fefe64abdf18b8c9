"""A file that is read again when it has changed; what was read last stays in force while the new content is wrong."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from domain.errors import ShortlistError
from server.observability.logs import message_of

_Content = TypeVar("_Content")
_PERIOD_S = 0.5


class WatchedFiles(Generic[_Content]):
    """Content of one or more files, read again at most twice a second, when asked and where one has changed."""

    def __init__(self, paths: tuple[Path, ...], read: Callable[[], _Content]) -> None:
        """Reads them.

        Raises:
            ShortlistError: `read` refuses.
        """
        self._paths = paths
        self._read = read
        self._seen = self._state()
        self._looked_s = time.monotonic()
        self._content = read()
        self.generation = 0

    def get(self) -> _Content:
        """Returns the content in force."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= _PERIOD_S:
            self._looked_s = now_s
            self._look()
        return self._content

    def _look(self) -> None:
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        log = structlog.get_logger("security")
        names = [path.name for path in self._paths]
        try:
            self._content = self._read()
        except ShortlistError as error:
            log.error("changed files cannot be used; the former ones stay", files=names, error=message_of(error))
            return
        self.generation += 1
        log.info("changed files were read again", files=names)

    def _state(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(map(_state_of, self._paths))


def _state_of(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    # The time of the last change of the inode tells of rights too: a file may become readable later than it is written.
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
