"""API keys in a Redis or Valkey that several gateways share: names, digests, scopes and quotas, as the file has them.

One hash: a field a name, its value the key as JSON. A gateway reads all of it every second, so that no call waits for
Redis; while Redis is away, what was read last stays in force.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from domain.errors import ConfigurationError, StoreUnavailable
from server.observability.logs import message_of
from server.security.api_keys import ApiKey, key_of

_HASH = "shortlist:api-keys"
_TIMEOUT_S = 2.0
_PERIOD_S = 1.0


class RedisKeys:
    """A `KeyPlace` in Redis."""

    def __init__(self, url: str) -> None:
        """Keeps the address; every method connects.

        Args:
            url: redis://[[USER]:PASSWORD@]HOST:PORT[/DB], rediss:// for TLS.

        Raises:
            ConfigurationError: it is no address of a Redis.
        """
        try:
            self._redis = Redis.from_url(
                url,
                decode_responses=True,
                encoding_errors="replace",
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                retry=Retry(NoBackoff(), 1),
            )
        except ValueError as error:
            raise ConfigurationError(
                "api_keys is no address of a Redis; write redis://HOST:PORT or rediss://HOST:PORT"
            ) from error

    def keys(self) -> Mapping[str, ApiKey]:
        """Returns all keys, by digest; blocking.

        Raises:
            ConfigurationError: a key in it is wrong; the message names it.
            StoreUnavailable: Redis does not answer.
        """
        found = [_read(name, text) for name, text in self._entries()]
        return {key.sha256: key for key in found}

    def usable(self) -> tuple[Mapping[str, ApiKey], tuple[str, ...]]:
        """Returns the keys that are right, by digest, and what is wrong with the others; blocking.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        found: dict[str, ApiKey] = {}
        problems = []
        for name, text in self._entries():
            try:
                key = _read(name, text)
            except ConfigurationError as error:
                problems.append(str(error))
            else:
                found[key.sha256] = key
        return found, tuple(problems)

    def add(self, key: ApiKey) -> None:
        """Adds a key; blocking.

        Raises:
            ConfigurationError: there is one of this name.
            StoreUnavailable: Redis does not answer.
        """
        name = key.identity.name
        try:
            added = self._redis.hsetnx(_HASH, name, _text(key))
        except RedisError as error:
            raise _unavailable(error) from error
        if not added:
            raise ConfigurationError(f'there is a key "{name}" already; revoke it, or take another name')

    def revoke(self, name: str) -> None:
        """Takes a key away; blocking.

        Raises:
            ConfigurationError: there is none of this name.
            StoreUnavailable: Redis does not answer.
        """
        try:
            gone = self._redis.hdel(_HASH, name)
        except RedisError as error:
            raise _unavailable(error) from error
        if not gone:
            raise ConfigurationError(f'there is no key "{name}"; `shortlist key list` shows all')

    def _entries(self) -> list[tuple[str, str]]:
        try:
            entries = self._redis.hgetall(_HASH)
        except RedisError as error:
            raise _unavailable(error) from error
        return sorted((str(name), str(text)) for name, text in entries.items())

    def close(self) -> None:
        """Closes the connections."""
        self._redis.close()


class PolledKeys:
    """The keys of a Redis as a gateway has them, read every second. Belongs to one event loop."""

    def __init__(self, place: RedisKeys) -> None:
        """Keeps the place; `refresh` reads it for the first time."""
        self._place = place
        self._keys: Mapping[str, ApiKey] = {}
        self._fails = False
        self._problems: tuple[str, ...] = ()

    def get(self) -> Mapping[str, ApiKey]:
        """Returns what was read last."""
        return self._keys

    async def refresh(self) -> None:
        """Reads the keys; one that is wrong is not in force, and does not keep changes of others away.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        self._keys, problems = await asyncio.to_thread(self._place.usable)
        if problems and problems != self._problems:
            structlog.get_logger("security").error("some API keys are not in force", errors=problems)
        self._problems = problems

    async def watch(self) -> None:
        """Reads them every second until cancelled; a failure is told once."""
        log = structlog.get_logger("security")
        while True:
            await asyncio.sleep(_PERIOD_S)
            try:
                await self.refresh()
            except Exception as error:  # whatever it was, the watch must go on
                if not self._fails:
                    log.error("API keys cannot be read; the former ones stay", error=message_of(error))
                self._fails = True
            else:
                if self._fails:
                    log.info("API keys are read again")
                self._fails = False


def _unavailable(error: RedisError) -> StoreUnavailable:
    # Its text may hold the address with its password.
    return StoreUnavailable(f"the Redis of api_keys does not answer ({type(error).__name__}); is it there?")


def _text(key: ApiKey) -> str:
    quota, expires = key.identity.quota, key.expires
    entry: dict[str, object] = {"sha256": key.sha256, "scopes": sorted(scope.value for scope in key.identity.scopes)}
    if expires is not None:
        entry["expires"] = expires.isoformat()
    if quota is not None:
        entry |= {"calls_per_s": quota.per_s, "burst": quota.burst}
    return json.dumps(entry)


def _read(name: str, text: str) -> ApiKey:
    where = f'the key "{name}" in Redis'
    try:
        entry = dict(json.loads(text))
        if "expires" in entry:
            entry["expires"] = datetime.fromisoformat(entry["expires"])
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigurationError(f"{where} is no key; revoke it and add it again") from error
    return key_of(entry | {"name": name}, where)
