"""Files of the log of served features: parts in JSON lines, bounded in bytes and age, erased by user."""

import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from domain.durable import replaced

FORMAT = "shortlist-features/1"
_SUFFIX = ".jsonl"
# Parts that the bytes are divided into: the oldest is dropped as a whole.
_PARTS = 8
# Lines begin with the time and the user; within a text of JSON no quote stands without a backslash.
_USER = re.compile(rb'"user": "([0-9a-f]{32})"')


class FeatureFiles:
    """The parts of one gateway's log. Blocking; one call at a time."""

    def __init__(self, folder: Path, most_bytes: int, days: float) -> None:
        """Keeps its settings; nothing is written before lines come.

        Args:
            folder: of the parts.
            most_bytes: of all parts.
            days: age of a line after which `expire` drops it.
        """
        self._folder = folder
        self._most_bytes = most_bytes
        self._days = days
        self._names: tuple[str, ...] = ()
        self._path: Path | None = None

    def append(self, names: tuple[str, ...], lines: Sequence[str]) -> None:
        """Writes lines whose features have these names.

        Raises:
            OSError: some or all are not written; the next ones go into another part.
        """
        path = self._path
        if path is None or names != self._names or not self._has_room(path):
            path = self._begun(names)
        try:
            with path.open("a", encoding="utf-8") as file:
                file.writelines(lines)
        except OSError:
            self._path = None  # half a line may be its last
            raise

    def erase(self, users: Collection[str]) -> None:
        """Erases the lines of users, by their pseudonyms in hexadecimal, and damaged lines.

        Raises:
            OSError: something may be left.
        """
        gone = {user.encode() for user in users}

        def kept(line: bytes) -> bytes:
            user = _USER.search(line)
            return b"" if user is None or user[1] in gone else line

        self._change(kept)

    def move(self, old: str, new: str) -> None:
        """Gives to a user the lines of another pseudonym.

        Raises:
            OSError: something may be left under the old one.
        """
        was, becomes = (f'"user": "{name}"'.encode() for name in (old, new))
        self._change(lambda line: line.replace(was, becomes, 1))

    def expire(self) -> None:
        """Drops the lines that are older than may be kept.

        Raises:
            OSError: something may be left.
        """
        oldest_s = time.time() - self._days * 86_400

        def kept(line: bytes) -> bytes:
            try:
                return line if float(json.loads(line)["time_s"]) >= oldest_s else b""
            except (ValueError, TypeError, KeyError):
                return b""

        self._change(kept, lambda path: _begun_s(path) < oldest_s)

    def users(self) -> set[str]:
        """Returns the pseudonyms of the lines; raises OSError."""
        found: set[str] = set()
        for path in files(self._folder):
            with path.open("rb") as file:
                found.update(user[1].decode() for user in map(_USER.search, file) if user is not None)
        return found

    def _has_room(self, path: Path) -> bool:
        return path.exists() and path.stat().st_size <= self._most_bytes // _PARTS

    def _begun(self, names: tuple[str, ...]) -> Path:
        """Begins a part; one whose first line cannot be written is taken away."""
        self._path = None
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{time.time_ns():020}{_SUFFIX}"
        header = json.dumps({"format": FORMAT, "names": names}) + "\n"
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
                file.write(header)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self._path, self._names = path, names
        self._drop_oldest()
        return path

    def _drop_oldest(self) -> None:
        """Makes room for the part that was begun."""
        sizes = {path: path.stat().st_size for path in files(self._folder)}
        total = sum(sizes.values())
        for path in list(sizes)[:-1]:
            if total <= self._most_bytes * (1 - 1 / _PARTS):
                return
            path.unlink()
            total -= sizes[path]

    def _change(self, kept: Callable[[bytes], bytes], wanted: Callable[[Path], bool] = lambda _: True) -> None:
        """Writes the parts anew of which a line changes; one without lines goes, unless it is being written."""
        for path in filter(wanted, files(self._folder)):
            header, *lines = path.read_bytes().splitlines(keepends=True) or [b""]
            left = [kept(line) for line in lines]
            if left == lines:
                continue
            if not any(left) and path != self._path:
                path.unlink()
                continue
            with replaced(path) as temporary:
                temporary.touch(mode=0o600)
                temporary.write_bytes(header + b"".join(left))


def files(folder: Path) -> list[Path]:
    """Returns the parts of a log, oldest first."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def read_lines(path: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yields the whole lines of a part with the names of their features; none of one that was never begun.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a part of a log.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        first = next(file, "")
        if not first.endswith("\n"):
            return
        header = json.loads(first)
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError(f"{path} does not begin as a file of {FORMAT}")
        names = tuple(header["names"])
        yield from ((names, line) for line in file if line.endswith("\n"))


def _begun_s(path: Path) -> float:
    """Returns when a part was begun, seconds since 1970; the beginning of time for a name of another kind."""
    return int(path.stem) / 1e9 if path.stem.isdecimal() else 0.0
