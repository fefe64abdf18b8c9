"""The store of several gateways: a Redis or Valkey that writes each command to disk before it answers.

A change reads the record, and writes it in a script that first compares the version: who was overtaken reads again.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, OutOfMemoryError, RedisError, ResponseError

from domain.errors import ConfigurationError, StoreFull, StoreUnavailable
from server.users.pseudonyms import SHOWN_BYTES, Pseudonyms
from server.users.record import Appended, DamagedRecord, Retention, UserRecord, append, merged, trimmed
from server.users.store import Append, RecordVersion, tell_damaged

_PREFIX = b"shortlist:user:"
_STORE = "shortlist:store"
_FIELDS = ("version", "count", "oldest", "ids", "events")
_TRIES = 64
_CONNECTIONS = 16
_TIMEOUT_S = 5.0
_SCAN_KEYS = 256
_REWRITE_S = 60.0
_DAY_S = 86_400
_OVERTAKEN = "too many gateways change this user at once; try again"

# Writes a record where it still has the version that was read, "0" stands for none; and drops a second one, whose
# events the first has now, where that still has its version too.
_SWAP = """
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= ARGV[1] then return 0 end
if KEYS[2] and (redis.call('HGET', KEYS[2], 'version') or '0') ~= ARGV[8] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'version', ARGV[2], 'count', ARGV[3], 'oldest', ARGV[4], 'ids', ARGV[5],
    'events', ARGV[6])
  redis.call('EXPIRE', KEYS[1], ARGV[7])
end
if KEYS[2] then redis.call('DEL', KEYS[2]) end
return 1
"""

_Result = TypeVar("_Result")


class RedisStore:
    """A `UserStore` in Redis."""

    def __init__(self, url: str, pseudonyms: Pseudonyms, *, allow_not_durable: bool = False) -> None:
        """Keeps the address; `open` connects.

        Args:
            url: `redis://` or `rediss://`, host, port and database.
            pseudonyms: the key that its users are kept under.
            allow_not_durable: whether a Redis is taken that may lose what it acknowledged.
        """
        self.store_id = b""
        self.durable = False
        self._key = pseudonyms.fingerprint
        self._allow_not_durable = allow_not_durable
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_TIMEOUT_S,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),
        )
        self._redis = Redis(connection_pool=pool)
        self._swap = self._redis.register_script(_SWAP)
        self._rewriting = asyncio.Lock()
        self._rewrites_begun = self._rewrites_done = 0

    async def open(self) -> None:
        """Connects and checks how Redis keeps what it acknowledges.

        Raises:
            ConfigurationError: it may lose what it acknowledged and that was not allowed, or belongs to another key.
            StoreUnavailable: it cannot be reached.
        """
        problem = await self._sent(self._durability_problem)
        self.durable = not problem
        if problem and not self._allow_not_durable:
            raise ConfigurationError(
                f"event_store: this Redis may lose events that it acknowledged ({problem}); set `appendonly yes`, "
                "`appendfsync always` and `maxmemory-policy noeviction` there, or say --event-store-not-durable: "
                "replies then say so"
            )
        self.store_id = await self._sent(self._found_id)

    async def aclose(self) -> None:
        """See `UserStore.aclose`."""
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    async def read(self, pseudonyms: Sequence[bytes]) -> list[UserRecord | None]:
        """See `UserStore.read`."""

        async def ask() -> list[UserRecord | None]:
            pipeline = self._redis.pipeline(transaction=False)
            for name in pseudonyms:
                pipeline.hmget(_PREFIX + name, list(_FIELDS))
            return [_record(values) for values in await pipeline.execute()]

        return await self._sent(ask)

    async def append(self, change: Append) -> Appended:
        """See `UserStore.append`."""

        def grown(old: UserRecord | None) -> tuple[Appended, UserRecord | None]:
            done = append(old, change.events, change.retention, time.time())
            return done, done.record if done.recorded else None

        return await self._changed(change.pseudonym, grown, change.retention)

    async def merge(self, source: bytes, target: bytes, retention: Retention) -> Appended | None:
        """See `UserStore.merge`; the user has the events then: no need to write the files anew."""
        for _ in range(_TRIES):
            found, old = await self.read((source, target))
            if found is None:
                return None
            done = merged(found, old, retention, time.time())
            if await self._swapped(target, old, done.record, retention, (source, found.version)):
                return done
            await asyncio.sleep(0)
        raise StoreUnavailable(_OVERTAKEN)

    async def delete(self, pseudonyms: Sequence[bytes]) -> bool:
        """See `UserStore.delete`: the append-only file is rewritten without them before this returns."""

        async def forget() -> bool:
            count = await self._redis.delete(*(_PREFIX + name for name in pseudonyms))
            await self._rewrite()
            return bool(count)

        return await self._sent(forget)

    async def sweep(self, retention: Retention, shown: Retention, now_s: float) -> int:
        """See `UserStore.sweep`; records that nobody added to for so long have expired by themselves."""
        changed = 0
        async for name, record in self.scan():
            limits = shown if len(name) == SHOWN_BYTES else retention
            if record.oldest_s < limits.oldest_s(now_s):
                try:
                    changed += await self._changed(name, partial(_kept, retention=limits, now_s=now_s), limits)
                except DamagedRecord as error:
                    tell_damaged(name, error)
        return changed

    async def scan(self) -> AsyncIterator[tuple[bytes, UserRecord]]:
        """See `UserStore.scan`."""
        cursor = 0
        while True:
            cursor, keys = await self._sent(partial(self._redis.scan, cursor, _PREFIX + b"*", _SCAN_KEYS))
            names = [_bytes(key).removeprefix(_PREFIX) for key in keys]
            for name, record in zip(names, await self.read(names) if names else [], strict=True):
                if record is not None:
                    yield name, record
            if cursor == 0:
                return

    async def versions(self) -> AsyncIterator[Sequence[RecordVersion]]:
        """See `UserStore.versions`."""
        cursor = 0
        while True:
            cursor, keys = await self._sent(partial(self._redis.scan, cursor, _PREFIX + b"*", _SCAN_KEYS))
            if keys:
                yield await self._sent(partial(self._versions_of, [_bytes(key) for key in keys]))
            if cursor == 0:
                return

    async def _versions_of(self, keys: Sequence[bytes]) -> list[RecordVersion]:
        pipeline = self._redis.pipeline(transaction=False)
        for key in keys:
            pipeline.hmget(key, ["version", "oldest"])
        return [
            RecordVersion(key.removeprefix(_PREFIX), int(version), float(oldest))
            for key, (version, oldest) in zip(keys, await pipeline.execute(), strict=True)
            if version is not None
        ]

    async def _changed(
        self,
        name: bytes,
        change: Callable[[UserRecord | None], tuple[_Result, UserRecord | None]],
        retention: Retention,
    ) -> _Result:
        """Returns what a change comes to; it is made again where another gateway was first."""
        for _ in range(_TRIES):
            (old,) = await self.read((name,))
            outcome, new = change(old)
            if new is None or await self._swapped(name, old, new, retention):
                return outcome
            await asyncio.sleep(0)
        raise StoreUnavailable(_OVERTAKEN)

    async def _swapped(
        self,
        name: bytes,
        old: UserRecord | None,
        new: UserRecord,
        retention: Retention,
        dropped: tuple[bytes, int] | None = None,
    ) -> bool:
        """Writes a record, and drops another one of a name and version; False where either was changed meanwhile."""
        version = new.version if new.count else 0
        arguments: list[bytes | str | float] = [
            0 if old is None else old.version, version, new.count, repr(new.oldest_s), new.ids, new.events,
            max(1, int(retention.days * _DAY_S)),
        ]  # fmt: skip
        keys = [_PREFIX + name]
        if dropped is not None:
            keys.append(_PREFIX + dropped[0])
            arguments.append(dropped[1])
        return bool(await self._sent(lambda: self._swap(keys, arguments)))

    async def _durability_problem(self) -> str:
        """Returns by what Redis may lose what it acknowledged; empty where it does not."""
        try:
            found = await self._redis.config_get("append*", "maxmemory*")
        except ResponseError:
            return "it does not tell its configuration"
        if found.get("appendonly") != "yes":
            return "appendonly is off"
        if found.get("appendfsync") != "always":
            return f"appendfsync is {found.get('appendfsync')}"
        if found.get("maxmemory", "0") != "0" and found.get("maxmemory-policy", "") != "noeviction":
            return f"maxmemory-policy is {found.get('maxmemory-policy')}"
        return ""

    async def _found_id(self) -> bytes:
        await self._redis.hsetnx(_STORE, "id", secrets.token_bytes(8))
        await self._redis.hsetnx(_STORE, "key", self._key)
        store_id, key = await self._redis.hmget(_STORE, ["id", "key"])
        if key != self._key:
            raise ConfigurationError(
                "event_store: this Redis keeps users under another key; give all its gateways one event_key_file"
            )
        return _bytes(store_id)

    async def _rewrite(self) -> None:
        """Has Redis write its files anew, without what was deleted, and waits until it did.

        Those who wait while it writes share the next time.

        Raises:
            StoreUnavailable: it did not in time.
        """
        wanted = self._rewrites_begun + 1  # one that began before does not count
        async with self._rewriting:
            if self._rewrites_done >= wanted:
                return
            self._rewrites_begun += 1
            await self._rewrite_now()
            self._rewrites_done = self._rewrites_begun

    async def _rewrite_now(self) -> None:
        status = await self._redis.info("persistence")
        wanted: list[tuple[str, Callable[[], Awaitable[Any]]]] = []
        if status.get("aof_enabled"):
            wanted.append(("aof_rewrite_in_progress", self._redis.bgrewriteaof))
        if await self._may_save():
            wanted.append(("rdb_bgsave_in_progress", partial(self._redis.bgsave, schedule=False)))
        end_s = time.monotonic() + _REWRITE_S
        for running, start in wanted:
            while True:
                await self._wait_while(running, end_s)
                if await self._started(start):
                    break
                self._check_time(end_s)
                await asyncio.sleep(0.01)
            await self._wait_while(running, end_s)

    async def _may_save(self) -> bool:
        try:
            return bool(await self._redis.config_get("save") != {"save": ""})
        except ResponseError:  # it does not tell its configuration
            return True

    @staticmethod
    async def _started(start: Callable[[], Awaitable[Any]]) -> bool:
        """Returns whether Redis began to write; not while it writes already, for another gateway or itself."""
        try:
            await start()
        except ResponseError as error:
            if "in progress" in str(error) or "child process" in str(error):
                return False
            raise
        return True

    async def _wait_while(self, running: str, end_s: float) -> None:
        pause_s = 0.01
        while True:
            status = await self._redis.info("persistence")
            if not (status.get(running) or status.get("aof_rewrite_scheduled")):
                return
            self._check_time(end_s)
            await asyncio.sleep(pause_s)
            pause_s = min(0.2, 2 * pause_s)

    @staticmethod
    def _check_time(end_s: float) -> None:
        if time.monotonic() > end_s:
            raise StoreUnavailable(
                "the events are deleted, but Redis has not written its files anew yet; try again, or say BGREWRITEAOF "
                "there"
            )

    async def _sent(self, ask: Callable[[], Awaitable[_Result]]) -> _Result:
        try:
            return await ask()
        except OutOfMemoryError as error:
            raise StoreFull("Redis has no room left for events; raise its maxmemory") from error
        except BusyLoadingError as error:
            raise StoreUnavailable("Redis is reading its files; try again") from error
        except RedisError as error:
            raise _refusal(error) from error


def _bytes(value: Any) -> bytes:  # noqa: ANN401 -- the client may be set to decode, this one is not
    assert isinstance(value, bytes)
    return value


def _refusal(error: RedisError) -> StoreUnavailable | StoreFull:
    text = str(error)
    if text.startswith("MISCONF") or "No space left" in text:
        return StoreFull("Redis cannot write to its disk; make room there")
    if "OOM" in text:
        return StoreFull("Redis has no room left for events; raise its maxmemory")
    return StoreUnavailable("Redis cannot be used now; see that it runs and can be reached, then try again")


def _kept(old: UserRecord | None, retention: Retention, now_s: float) -> tuple[int, UserRecord | None]:
    return 1, None if old is None else trimmed(old, retention, now_s)


def _record(values: Sequence[Any]) -> UserRecord | None:
    version, count, oldest, ids, events = values
    if version is None:
        return None
    return UserRecord(int(version), int(count), float(oldest), bytes(ids), bytes(events))
