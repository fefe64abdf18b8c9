"""A second release that is kept up with the catalogue's changes, some tenths of a second behind the live one."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from core.retrieval.choice_counts import ChoiceCounts
from domain.errors import ShortlistError
from server.catalogue.change import Change
from server.catalogue.live_catalogue import LiveCatalogue
from server.catalogue.segment import LiveSegment
from server.catalogue.store import CatalogueStore
from server.catalogue.tap import MOST_KEPT, ChangeTap, opened_tap
from server.observability.logs import message_of
from server.release.live_release import LiveRelease
from server.release.live_view import live_view
from server.release.log_tables import LogTables
from server.release.serving import apply_changes, changed_segment, later_changes
from server.users.outcomes import ShownItems

_EVERY_S = 0.1
_AGAIN_S = 1.0


class FollowingRelease:
    """A release over the changes of a catalogue that another release decides. To be asked on the event loop."""

    def __init__(self, release: LiveRelease, unreadable_limit: float) -> None:
        """Keeps a release, which serves as it was built until `open`.

        Args:
            release: loaded.
            unreadable_limit: see `ReleaseLoader`.
        """
        self.release = release
        self.view = release
        self._learned = release
        self._catalogue: LiveCatalogue | None = None
        self._unreadable_limit = unreadable_limit
        self._segment: LiveSegment | None = None
        self._store: CatalogueStore | None = None
        self._tap: ChangeTap | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, store: CatalogueStore | None) -> None:
        """Applies the changes that there are, and those to come until `aclose`; None for a fixed catalogue.

        Raises:
            EncoderUnavailable, DeadlineExceeded, StorageError: it cannot be done.
        """
        if store is None:
            return
        self._store = store
        await self._begin(store)
        self._task = asyncio.create_task(self._follow(store))

    async def aclose(self) -> None:
        """Takes no more changes."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        self._close_tap()

    async def _begin(self, store: CatalogueStore) -> None:
        states, tap = await opened_tap(store)
        self._close_tap()
        self._tap = tap
        try:
            self._segment = await changed_segment(self.release, states, self._unreadable_limit)
        except BaseException:
            tap.overflowed = True  # what lies before the tap is missing here
            raise
        self._show(LiveCatalogue(self._segment, self._segment.view(), self.release.data.mean))

    async def _follow(self, store: CatalogueStore) -> None:
        waiting: list[Change] = []
        while True:
            await asyncio.sleep(_EVERY_S)
            assert self._tap is not None
            try:
                if self._tap.overflowed:
                    waiting = []
                    await self._begin(store)
                waiting += [change for _, change in self._tap.take()]
                if len(waiting) > MOST_KEPT:
                    self._tap.overflowed = True
                elif waiting:
                    await self._take(waiting)
                    waiting = []
            except ShortlistError as error:
                structlog.get_logger("release").warning(
                    "a release under trial lags behind the catalogue",
                    release_id=self.release.release_id,
                    error=message_of(error),
                )
                await asyncio.sleep(_AGAIN_S)
            except Exception as error:
                structlog.get_logger("release").error(
                    "a release under trial begins again with the catalogue's changes",
                    release_id=self.release.release_id,
                    exc_info=error,
                )
                self._tap.overflowed = True  # what was applied is not known
                await asyncio.sleep(_AGAIN_S)

    async def _take(self, changes: Sequence[Change]) -> None:
        segment = self._segment
        assert segment is not None
        ready = await later_changes(self.release, changes, segment, self._unreadable_limit)

        def applied() -> LiveCatalogue:
            apply_changes(segment, ready)
            return LiveCatalogue(segment, segment.view(), self.release.data.mean)

        self._show(await asyncio.to_thread(applied))

    @property
    def is_refreshed(self) -> bool:
        """True where the release serves by tables of stored events."""
        return self._learned is not self.release

    def tables_of(self, counts: ChoiceCounts, shown: ShownItems | None = None) -> LogTables:
        """Returns the tables of stored events for the catalogue of this moment; in any thread."""
        catalogue = self._catalogue
        release = self.release if catalogue is None else replace(self.release, catalogue=catalogue)
        return LogTables.of(release, counts, shown)

    def learn(self, tables: LogTables) -> None:
        """Has the release serve by tables that `tables_of` made, from the next request on."""
        self._learned = tables.over(self.release)
        if self._catalogue is None:
            self.view = self._learned
        else:
            self._show(self._catalogue)

    def _show(self, catalogue: LiveCatalogue) -> None:
        self._catalogue = catalogue
        self.view = live_view(self._learned, catalogue)

    def _close_tap(self) -> None:
        if self._store is not None and self._tap is not None:
            self._store.close_tap(self._tap)
            self._tap = None
