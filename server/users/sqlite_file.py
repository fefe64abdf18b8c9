"""The SQLite file of a store: made, checked, opened, and what its errors mean."""

import os
import secrets
import sqlite3
from pathlib import Path

from domain.errors import ConfigurationError, StoreFull, StoreUnavailable
from server.users.sqlite_place import check_place

READ = "SELECT version, count, oldest_s, ids, events FROM users WHERE pseudonym = ?"
# A lock is waited for twice, by a client that repeats the call, within the deadline of most callers: they learn of it.
BUSY_S = 2.0
_FORMAT = 1
_TABLES = (
    "CREATE TABLE IF NOT EXISTS store (format INTEGER NOT NULL, store_id BLOB NOT NULL, key BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS users (pseudonym BLOB PRIMARY KEY NOT NULL, version INTEGER NOT NULL, "
    "count INTEGER NOT NULL, oldest_s REAL NOT NULL, ids BLOB NOT NULL, events BLOB NOT NULL)",
    "DROP INDEX IF EXISTS users_by_age",
    "CREATE INDEX IF NOT EXISTS users_by_kind_and_age ON users (length(pseudonym), oldest_s, pseudonym)",
)


class SqliteFile:
    """A file and the writer's connection to it.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, key_fingerprint: bytes) -> None:
        self.path = path
        self._key = key_fingerprint
        self._writer: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None

    def prepare(self) -> bytes:
        """Makes the file where there is none, and checks it; returns the store's id.

        Raises:
            ConfigurationError: it lies on a network's file system, cannot be made, or belongs to another key.
            StoreUnavailable: it is locked or corrupt.
        """
        check_place(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise ConfigurationError(
                f"event_store {self.path}: {error.strerror or error}; name a file that can be written"
            ) from error
        self._inode = _inode(self.path)
        try:
            return self._checked_id()
        except sqlite3.Error as error:
            self.abandon()
            raise refusal(error, self.path) from error

    def writer(self) -> sqlite3.Connection:
        """Returns the writer's connection."""
        if self._writer is None:
            self._writer = self.connect()
        return self._writer

    def connect(self) -> sqlite3.Connection:
        """Opens a connection."""
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            for pragma in (
                "journal_mode = WAL",
                "synchronous = FULL",
                "secure_delete = ON",
                "wal_autocheckpoint = 4000",
                "cache_size = -32000",
            ):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def check_present(self) -> None:
        """Notices a file that was removed or replaced: what is written to it would be lost.

        Raises:
            StoreUnavailable: it was.
        """
        if self._inode is None or _inode(self.path) != self._inode:
            raise StoreUnavailable(
                f"{self.path}: the store of events is gone, or another file stands in its place; put it back, or start "
                "the gateway again to begin an empty one"
            )

    def abandon(self) -> None:
        """Drops the writer's connection with what was not committed; the next change opens another one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def close(self) -> None:
        """Ends."""
        self.abandon()

    def _checked_id(self) -> bytes:
        connection = self.writer()
        connection.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            connection.execute(table)
        found = connection.execute("SELECT format, store_id, key FROM store").fetchone()
        if found is None:
            found = (_FORMAT, secrets.token_bytes(8), self._key)
            connection.execute("INSERT INTO store VALUES (?, ?, ?)", found)
        connection.execute("COMMIT")
        written, store_id, key = found
        if written != _FORMAT:
            raise ConfigurationError(
                f"event_store {self.path}: its format {written} is another version's; name another file"
            )
        if key != self._key:
            raise ConfigurationError(
                f"event_store {self.path}: its users are kept under another key; name that with event_key_file, or "
                "another event_store"
            )
        return bytes(store_id)


def refusal(error: sqlite3.Error, path: Path) -> StoreUnavailable | StoreFull:
    """Returns what an error of SQLite means; its own words may hold values."""
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith("SQLITE_FULL"):
        return StoreFull(f"{path}: there is no room left for events; make room on its disk")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreUnavailable(f"{path}: another process holds the store of events; try again")
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreUnavailable(
            f"{path}: the store of events is corrupt; put a copy back, or move the file away to begin an empty one"
        )
    return StoreUnavailable(
        f"{path}: the store of events cannot be used ({code or type(error).__name__}); see its disk"
    )


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
