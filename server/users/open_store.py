"""Opens the store that the settings name."""

from pathlib import Path
from typing import Protocol

import structlog

from domain.errors import ConfigurationError
from server.addresses import is_redis
from server.users.event_log import EventLog
from server.users.feature_log import FeatureLog
from server.users.pseudonyms import Pseudonyms, read_or_make_key
from server.users.settings import EventSettings
from server.users.sqlite_store import SqliteStore
from server.users.store import UserStore


def make_event_log(settings: EventSettings | None, *, asked_for: bool) -> EventLog | None:
    """Returns what keeps events; None where nothing does.

    Args:
        settings: None where events are not kept.
        asked_for: whether somebody named a place; the default one may be on a read-only disk.

    Raises:
        ConfigurationError: the key cannot be read or made.
    """
    if settings is None:
        return None
    try:
        pseudonyms = read_or_make_key(settings.key_file)
    except ConfigurationError as error:
        if asked_for or settings.key_file.exists():
            raise
        structlog.get_logger("events").warning("events are not kept", cause=str(error))
        return None

    async def opened() -> UserStore:
        return await open_store(settings, pseudonyms)

    return EventLog(opened, pseudonyms, settings, _feature_log(settings, pseudonyms))


def _feature_log(settings: EventSettings, pseudonyms: Pseudonyms) -> FeatureLog | None:
    """Returns the log of served features; None where nothing is logged, nor was."""
    if not settings.feature_share and not settings.feature_folder.is_dir():
        return None
    return FeatureLog(
        settings.feature_folder,
        pseudonyms,
        settings.feature_share,
        settings.feature_bytes,
        settings.retention.days,
    )


async def open_store(settings: EventSettings, pseudonyms: Pseudonyms) -> UserStore:
    """Returns the store, opened.

    Raises:
        ConfigurationError, StoreUnavailable: it cannot be used, ever or now.
    """
    if is_redis(settings.place):
        # Its client costs a third of a second to import.
        from server.users.redis_store import RedisStore

        redis = RedisStore(settings.place, pseudonyms, allow_not_durable=settings.allow_not_durable)
        return await _opened(redis)
    return await _opened(SqliteStore(Path(settings.place), pseudonyms))


class _Openable(UserStore, Protocol):
    async def open(self) -> None: ...


async def _opened(store: _Openable) -> UserStore:
    try:
        await store.open()
    except Exception:
        await store.aclose()
        raise
    return store
