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
from redis.exceptions import BusyLoadingError, OutOfMemoryError, RedisError

from domain.errors import ConfigurationError, StoreFull, StoreUnavailable
from server.users.pseudonyms import SHOWN_BYTES, Pseudonyms
from server.users.record import Appended, DamagedRecord, Retention, UserRecord, append, merged, trimmed
from server.users.redis_files import RedisFiles, durability_problem
from server.users.store import Append, RecordVersion, tell_damaged

_PREFIX = b"shortlist:user:"
_STORE = "shortlist:store"
_FIELDS = ("version", "count", "oldest", "ids", "events")
_TRIES = 64
_CONNECTIONS = 16
# It is asked twice, within the deadline of most callers.
_TIMEOUT_S = 2.0
# Its configuration, and whether it still is the same store, may change while it serves.
_CHECK_S = 10.0
_SCAN_KEYS = 256
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
        self._checked_s = float("-inf")
        self._files = RedisFiles(self._redis)

    async def open(self) -> None:
        """Connects and checks how Redis keeps what it acknowledges.

        Raises:
            ConfigurationError: it may lose what it acknowledged and that was not allowed, or belongs to another key.
            StoreUnavailable: it cannot be reached.
        """
        self._checked_s = time.monotonic()
        problem = await self._sent(partial(durability_problem, self._redis))
        if problem and not self._allow_not_durable:
            raise ConfigurationError(
                f"event_store: this Redis may lose events that it acknowledged ({problem}); set `appendonly yes`, "
                "`appendfsync always` and `maxmemory-policy noeviction` there, or say --event-store-not-durable: "
                "replies then say so"
            )
        self.durable = not problem
        self.store_id = await self._sent(self._found_id)

    async def _still_fits(self) -> None:
        """Checks again, every ten seconds, what `open` checked: Redis can be set otherwise, emptied or replaced.

        Raises:
            StoreUnavailable: it may lose what it acknowledges now, or belongs to another key.
        """
        if time.monotonic() - self._checked_s < _CHECK_S:
            return
        try:
            await self.open()
        except ConfigurationError as error:
            self._checked_s = float("-inf")
            raise StoreUnavailable(str(error)) from error
        except StoreUnavailable:
            self._checked_s = float("-inf")
            raise

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
        await self._still_fits()

        def grown(old: UserRecord | None) -> tuple[Appended, UserRecord | None]:
            done = append(old, change.events, change.retention, time.time())
            return done, done.record if done.recorded else None

        return await self._changed(change.pseudonym, grown, change.retention)

    async def merge(self, source: bytes, target: bytes, retention: Retention) -> Appended | None:
        """See `UserStore.merge`; the user has the events then: no need to write the files anew."""
        await self._still_fits()
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
            await self._files.rewrite()
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

    async def _found_id(self) -> bytes:
        await self._redis.hsetnx(_STORE, "id", secrets.token_bytes(8))
        await self._redis.hsetnx(_STORE, "key", self._key)
        store_id, key = await self._redis.hmget(_STORE, ["id", "key"])
        if key != self._key:
            raise ConfigurationError(
                "event_store: this Redis keeps users under another key; give all its gateways one event_key_file"
            )
        return _bytes(store_id)

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
