"""Keeps what is popular, and items' neighbours, up to date from the stored events, without a new release."""

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from core.retrieval.choice_counts import ChoiceCounts
from domain.errors import ShortlistError
from server.release.live_release import LiveRelease
from server.release.log_tables import LogTables
from server.users.outcomes import ShownItems

_FIRST_AFTER_S = 5.0
_LOOK_EVERY_S = 5.0


class RefreshObserver(Protocol):
    """Counter of refreshes."""

    def tables_refreshed(self, user_count: int, time_s: float) -> None:
        """Records whose choices are in the tables, and when they were made."""


class Refreshed(Protocol):
    """A release that can serve by tables of stored events, see `LiveServing`."""

    @property
    def release(self) -> LiveRelease:
        """As it was built."""

    @property
    def is_refreshed(self) -> bool:
        """True where it serves by such tables."""

    def tables_of(self, counts: ChoiceCounts, shown: ShownItems | None = None) -> LogTables:
        """Returns the tables of stored events; in any thread."""

    def learn(self, tables: LogTables) -> None:
        """Has it serve by them, from the next request on."""


class LogRefresh:
    """Reads the stored events now and then, and has the live release and those under trial serve by them.

    Belongs to one event loop.
    """

    def __init__(
        self,
        served: Callable[[], Sequence[Refreshed]],
        choices: Callable[[float], Awaitable[ChoiceCounts]],
        shown: Callable[[str], Awaitable[ShownItems]],
        every_s: float,
        observer: RefreshObserver,
    ) -> None:
        """Keeps what it needs.

        Args:
            served: returns what is served, the live release first; nothing before anything is.
            choices: counts the choices made since a time, in seconds since 1970.
            shown: returns the shown items of a release, by its id, and their outcome.
            every_s: seconds between two readings.
            observer: hears of each of the live release.
        """
        self._served = served
        self._choices = choices
        self._shown = shown
        self._every_s = every_s
        self._observer = observer
        self._known: list[weakref.ref[LiveRelease]] = []
        self._log = structlog.get_logger("release")

    async def run(self) -> None:
        """Refreshes at the start, when another release serves or is tried, and every so often, until cancelled."""
        due_s = time.monotonic() + min(_FIRST_AFTER_S, self._every_s)
        while True:
            due_s = await self._look(due_s)
            await asyncio.sleep(min(_LOOK_EVERY_S, self._every_s))

    async def _look(self, due_s: float) -> float:
        """Refreshes where it is time, and returns when it is next; between two looks no release is held."""
        served = self._served()
        known = [release for one in self._known if (release := one()) is not None]
        came = bool(self._known) and any(all(one.release is not other for other in known) for one in served)
        if not served or not (came or time.monotonic() >= due_s):
            return due_s
        due_s = time.monotonic() + self._every_s
        self._known = [weakref.ref(one.release) for one in served]
        try:
            for place, serving in enumerate(served):
                await self.refresh(serving, is_live=place == 0)
        except ShortlistError as error:
            self._log.warning("what is popular could not be brought up to date", cause=str(error))
        except Exception as error:
            self._log.error("what is popular could not be brought up to date", exc_info=error)
        return due_s

    async def refresh(self, serving: Refreshed, *, is_live: bool = True) -> None:
        """Counts, makes the tables, and has the release served by them.

        Args:
            serving: the release.
            is_live: whether it is the live one, of which metrics tell.

        Raises:
            StoreUnavailable: the events cannot be read; what was served goes on being served.
        """
        release = serving.release
        # What a release was trained on stands in its tables; one without any knows of no choice.
        since_s = datetime.fromisoformat(release.manifest.created).timestamp() if release.data.tables else 0.0
        counts = await self._choices(since_s)
        if not counts.user_count and not serving.is_refreshed:
            return
        shown = await self._shown(release.release_id)
        tables = await asyncio.to_thread(serving.tables_of, counts, shown)
        serving.learn(tables)
        if is_live:
            self._observer.tables_refreshed(tables.user_count, time.time())
        self._log.info(
            "what is popular was brought up to date",
            release_id=release.release_id,
            users=tables.user_count,
            items=len(counts.item_ids),
            calibrated_by=0 if tables.calibration is None else len(shown.chosen),
        )
