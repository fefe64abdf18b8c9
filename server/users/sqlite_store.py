"""The store of one machine: a SQLite file with a write-ahead log and `synchronous=FULL`, committed in groups.

Several gateways on one machine may share the file: each change reads what it changes in its own transaction.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from server.users.group_commit import GROUP, Group, GroupCommit
from server.users.pseudonyms import PSEUDONYM_BYTES, SHOWN_BYTES, Pseudonyms
from server.users.record import Appended, DamagedRecord, Retention, UserRecord, append, merged, trimmed
from server.users.sqlite_file import READ, SqliteFile, refusal
from server.users.store import Append, RecordVersion, tell_damaged

_SCAN_ROWS = 256
_VERSION_ROWS = 1_024
_READERS = 2
_OLD = (
    "SELECT oldest_s, pseudonym FROM users WHERE length(pseudonym) = ? AND oldest_s < ? "
    "AND (oldest_s, pseudonym) > (?, ?) ORDER BY oldest_s, pseudonym LIMIT ?"
)
_SCAN = (
    "SELECT pseudonym, version, count, oldest_s, ids, events FROM users WHERE pseudonym > ? ORDER BY pseudonym LIMIT ?"
)

_VERSIONS = "SELECT pseudonym, version, oldest_s FROM users WHERE pseudonym > ? ORDER BY pseudonym LIMIT ?"


class SqliteStore:
    """A `UserStore` in a file."""

    durable = True

    def __init__(self, path: Path, pseudonyms: Pseudonyms) -> None:
        """Keeps the place; `open` starts.

        Args:
            path: of the file, which is made on first use.
            pseudonyms: the key that its users are kept under.
        """
        self.store_id = b""
        self._file = SqliteFile(path, pseudonyms.fingerprint)
        self._writer = GroupCommit(self._file)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="event-reader")
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []

    async def open(self) -> None:
        """Makes or opens the file, and starts the writer.

        Raises:
            ConfigurationError: the file cannot be used where it is, or belongs to another key.
            StoreUnavailable: it is locked or corrupt.
        """
        self.store_id = await asyncio.to_thread(self._file.prepare)
        self._writer.start()

    async def aclose(self) -> None:
        """See `UserStore.aclose`."""
        await self._writer.aclose()
        self._readers.shutdown(wait=True)
        for connection in self._opened:
            connection.close()
        self._file.close()

    async def read(self, pseudonyms: Sequence[bytes]) -> list[UserRecord | None]:
        """See `UserStore.read`."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, tuple(pseudonyms))

    async def append(self, change: Append) -> Appended:
        """See `UserStore.append`."""

        def work(group: Group) -> Appended:
            done = append(group.read(change.pseudonym), change.events, change.retention, time.time())
            if done.recorded:
                group.write(change.pseudonym, done.record)
            return done

        outcome = await self._writer.done(work)
        assert isinstance(outcome, Appended)
        return outcome

    async def merge(self, source: bytes, target: bytes, retention: Retention) -> Appended | None:
        """See `UserStore.merge`."""

        def work(group: Group) -> Appended | None:
            found = group.read(source)
            if found is None:
                return None
            done = merged(found, group.read(target), retention, time.time())
            group.write(target, done.record)
            group.drop(source)  # the user has the events now: the log may keep them for a while
            return done

        outcome = await self._writer.done(work)
        assert outcome is None or isinstance(outcome, Appended)
        return outcome

    async def delete(self, pseudonyms: Sequence[bytes]) -> bool:
        """See `UserStore.delete`."""

        def work(group: Group) -> bool:
            group.forgets = True
            return any([group.drop(name) for name in pseudonyms])

        return bool(await self._writer.done(work))

    async def sweep(self, retention: Retention, shown: Retention, now_s: float) -> int:
        """See `UserStore.sweep`."""
        return await self._swept(retention, PSEUDONYM_BYTES, now_s) + await self._swept(shown, SHOWN_BYTES, now_s)

    async def _swept(self, retention: Retention, name_bytes: int, now_s: float) -> int:
        oldest_s = retention.oldest_s(now_s)
        after: tuple[float, bytes] | None = (float("-inf"), b"")
        changed = 0

        def work(group: Group) -> tuple[int, tuple[float, bytes] | None]:
            old = group.connection.execute(_OLD, (name_bytes, oldest_s, *(after or ()), GROUP)).fetchall()
            count = 0
            for _, name in old:
                record = group.read(name)
                try:
                    kept = None if record is None else trimmed(record, retention, now_s)
                except DamagedRecord as error:
                    tell_damaged(name, error)
                    continue
                if kept is None or not kept.count:
                    group.drop(name)
                else:
                    group.write(name, kept)
                count += 1
            group.forgets = count > 0
            return count, old[-1] if len(old) == GROUP else None

        while after is not None:
            found = await self._writer.done(work)
            assert isinstance(found, tuple)
            count, after = found
            changed += count
        return changed

    async def scan(self) -> AsyncIterator[tuple[bytes, UserRecord]]:
        """See `UserStore.scan`."""
        after = b""
        while True:
            rows = await asyncio.get_running_loop().run_in_executor(self._readers, self._rows_after, after)
            for name, version, count, oldest_s, ids, events in rows:
                yield name, UserRecord(version, count, oldest_s, ids, events)
            if len(rows) < _SCAN_ROWS:
                return
            after = rows[-1][0]

    async def versions(self) -> AsyncIterator[Sequence[RecordVersion]]:
        """See `UserStore.versions`."""
        after = b""
        while True:
            rows = await asyncio.get_running_loop().run_in_executor(self._readers, self._versions_after, after)
            yield [RecordVersion(*row) for row in rows]
            if len(rows) < _VERSION_ROWS:
                return
            after = rows[-1][0]

    def _versions_after(self, after: bytes) -> list[tuple[bytes, int, float]]:
        with self._reader() as connection:
            return connection.execute(_VERSIONS, (after, _VERSION_ROWS)).fetchall()

    def _read(self, pseudonyms: tuple[bytes, ...]) -> list[UserRecord | None]:
        with self._reader() as connection:
            found = [connection.execute(READ, (name,)).fetchone() for name in pseudonyms]
        return [None if row is None else UserRecord(*row) for row in found]

    def _rows_after(self, after: bytes) -> list[tuple[bytes, int, int, float, bytes, bytes]]:
        with self._reader() as connection:
            return connection.execute(_SCAN, (after, _SCAN_ROWS)).fetchall()

    @contextlib.contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        self._file.check_present()
        try:
            if getattr(self._local, "connection", None) is None:
                self._local.connection = None
                self._local.connection = self._file.connect()
                self._opened.append(self._local.connection)
            yield self._local.connection
        except sqlite3.Error as error:
            broken, self._local.connection = self._local.connection, None
            if broken is not None:
                self._opened.remove(broken)
                broken.close()
            raise refusal(error, self._file.path) from error
