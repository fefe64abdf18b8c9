"""The files of a Redis: whether they keep what was acknowledged, and writing them without what was deleted."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from domain.errors import StoreUnavailable

_REWRITE_S = 60.0


async def durability_problem(redis: Redis) -> str:
    """Returns by what Redis may lose what it acknowledged; empty where it does not.

    Raises:
        RedisError: it cannot be asked.
    """
    try:
        found = await redis.config_get("append*", "maxmemory*")
    except ResponseError:
        return "it does not tell its configuration"
    if found.get("appendonly") != "yes":
        return "appendonly is off"
    if found.get("appendfsync") != "always":
        return f"appendfsync is {found.get('appendfsync')}"
    if found.get("maxmemory", "0") != "0" and found.get("maxmemory-policy", "") != "noeviction":
        return f"maxmemory-policy is {found.get('maxmemory-policy')}"
    return ""


class RedisFiles:
    """The files of a Redis, written anew on request."""

    def __init__(self, redis: Redis) -> None:
        """Begins with nothing written.

        Args:
            redis: its client.
        """
        self._redis = redis
        self._rewriting = asyncio.Lock()
        self._rewrites_begun = self._rewrites_done = 0

    async def rewrite(self) -> None:
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
