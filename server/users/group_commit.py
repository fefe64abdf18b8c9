"""One writer thread that commits in groups: what waits while a group is committed makes the next one."""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence

from domain.errors import EventConflict, ShortlistError, StoreUnavailable
from server.users.record import UserRecord
from server.users.sqlite_file import BUSY_S, READ, SqliteFile, refusal

# Changes committed together at most.
GROUP = 512
_CHECKPOINT_S = 5.0
_CHECKPOINT_PAUSE_S = 0.05
_WRITE = (
    "INSERT INTO users (pseudonym, version, count, oldest_s, ids, events) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (pseudonym) DO UPDATE SET version = excluded.version, count = excluded.count, "
    "oldest_s = excluded.oldest_s, ids = excluded.ids, events = excluded.events"
)


class Group:
    """The changes of one commit: a record is read once, and written once at its end.

    Attributes:
        connection: the writer's.
        forgets: whether the change at hand forgets something, which must leave the log too.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.forgets = False
        self._records: dict[bytes, UserRecord | None] = {}
        self._changed: set[bytes] = set()

    def read(self, pseudonym: bytes) -> UserRecord | None:
        """Returns a record as the group has left it."""
        if pseudonym not in self._records:
            found = self.connection.execute(READ, (pseudonym,)).fetchone()
            self._records[pseudonym] = None if found is None else UserRecord(*found)
        return self._records[pseudonym]

    def write(self, pseudonym: bytes, record: UserRecord) -> None:
        """Changes a record."""
        self._records[pseudonym] = record
        self._changed.add(pseudonym)

    def drop(self, pseudonym: bytes) -> bool:
        """Drops a record; returns whether there was one. Its pages may stay in the log for a while, see `forgets`."""
        found = self.read(pseudonym) is not None
        self._records[pseudonym] = None
        self._changed.discard(pseudonym)
        self.connection.execute("DELETE FROM users WHERE pseudonym = ?", (pseudonym,))
        return found

    def flush(self) -> None:
        """Writes the records that were changed."""
        rows = [(name, record) for name in self._changed if (record := self._records[name]) is not None]
        self.connection.executemany(
            _WRITE, [(name, one.version, one.count, one.oldest_s, one.ids, one.events) for name, one in rows]
        )


Work = Callable[[Group], object]


class _Change:
    """A piece of work for the writer, and where its outcome goes."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[object] = self.loop.create_future()


class GroupCommit:
    """The writer of a file."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._changes: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        # Changes that are committed, with their outcomes, until when the log must be emptied for them.
        self._forgetting: list[tuple[_Change, object]] = []
        self._forgotten_by_s = 0.0
        self._thread = threading.Thread(target=self._run, name="event-writer", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    async def aclose(self) -> None:
        """Commits what waits, and ends."""
        self._changes.put(None)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    async def done(self, work: Work) -> object:
        """Returns what a piece of work comes to, once it is durable.

        Raises:
            ShortlistError: its own refusal, or the whole group's.
        """
        if not self._thread.is_alive():
            raise StoreUnavailable("the store of events is closed; try another replica")
        change = _Change(work)
        self._changes.put(change)
        # A caller who leaves does not take the change back.
        return await asyncio.shield(change.outcome)

    def _run(self) -> None:
        ended = False
        while not ended or self._forgetting:
            changes: list[_Change] = []
            if not ended:
                changes, ended = self._waiting()
            if changes:
                self._commit(changes)
            if self._forgetting:
                self._empty_log()

    def _waiting(self) -> tuple[list[_Change], bool]:
        """Returns what waits, and whether nothing follows it; while the log is to be emptied, after a moment."""
        changes: list[_Change] = []
        try:
            change = self._changes.get(timeout=_CHECKPOINT_PAUSE_S if self._forgetting else None)
            while change is not None:
                changes.append(change)
                if len(changes) >= GROUP:
                    break
                change = self._changes.get_nowait()
        except queue.Empty:
            return changes, False
        return changes, change is None

    def _commit(self, changes: Sequence[_Change]) -> None:
        """Commits changes; those that forget something end when the log is empty too, see `_empty_log`."""
        outcomes: list[object] = []
        forgetting: set[int] = set()
        try:
            self._file.check_present()
            connection = self._file.writer()
            connection.execute("BEGIN IMMEDIATE")
            group = Group(connection)
            for place, change in enumerate(changes):
                group.forgets = False
                outcomes.append(_outcome(change.work, group))
                if group.forgets:
                    forgetting.add(place)
            group.flush()
            self._file.check_present()
            connection.execute("COMMIT")
        except Exception as error:
            self._file.abandon()
            _resolve(changes, [self._refusal(error)] * len(changes))
            return
        ended = [place for place in range(len(changes)) if place not in forgetting]
        _resolve([changes[place] for place in ended], [outcomes[place] for place in ended])
        if forgetting and not self._forgetting:
            self._forgotten_by_s = time.monotonic() + _CHECKPOINT_S
        self._forgetting += [(changes[place], outcomes[place]) for place in sorted(forgetting)]

    def _empty_log(self) -> None:
        """Takes what was forgotten out of the write-ahead log too; somebody who reads there is waited for.

        Changes that come meanwhile are committed between two tries. What was forgotten is committed in any case; who
        forgot it is told where the log cannot be emptied.
        """
        failed: Exception | None = None
        try:
            connection = self._file.writer()
            connection.execute(f"PRAGMA busy_timeout = {int(1e3 * _CHECKPOINT_PAUSE_S)}")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            connection.execute(f"PRAGMA busy_timeout = {int(1e3 * BUSY_S)}")
            if busy and time.monotonic() < self._forgotten_by_s:
                time.sleep(0.01)
                return
            if busy:
                failed = StoreUnavailable(
                    f"{self._file.path}: the events are deleted, but the store's log cannot be emptied while another "
                    "process reads it; try again"
                )
        except Exception as error:
            self._file.abandon()
            failed = self._refusal(error)
        forgetting, self._forgetting = self._forgetting, []
        _resolve([change for change, _ in forgetting], [failed or outcome for _, outcome in forgetting])

    def _refusal(self, error: Exception) -> Exception:
        return refusal(error, self._file.path) if isinstance(error, sqlite3.Error) else error


def _outcome(work: Work, group: Group) -> object:
    """Returns what a change comes to; its own refusal does not touch the others of its group."""
    try:
        return work(group)
    except ShortlistError as error:
        return error


def _resolve(changes: Sequence[_Change], outcomes: Sequence[object]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[object], object]]] = {}
    for change, outcome in zip(changes, outcomes, strict=True):
        by_loop.setdefault(change.loop, []).append((change.outcome, outcome))
    for loop, ended in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_end, ended)


def _end(ended: Sequence[tuple[asyncio.Future[object], object]]) -> None:
    for future, outcome in ended:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(_own(outcome))
        else:
            future.set_result(outcome)


def _own(error: Exception) -> Exception:
    """Returns an exception for one caller: one that several raise would gather all their frames."""
    if isinstance(error, ShortlistError) and not isinstance(error, EventConflict):
        return type(error)(str(error))
    return error
