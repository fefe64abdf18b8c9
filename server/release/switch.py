"""Switch of the live release: load beside the live one, apply the catalogue's changes, swap, drop the old one."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from domain import release_folder
from domain.errors import ReleaseRejected
from domain.release_folder import ReleaseFolder
from server.release.loaded import LoadedReleases
from server.release.serving import LiveServing, switch_over


class ReleaseSwitch:
    """Switches releases, one at a time. Belongs to one event loop."""

    def __init__(
        self,
        releases: Path,
        loaded: LoadedReleases,
        serving: Callable[[], LiveServing],
        swap: Callable[[LiveServing], None],
    ) -> None:
        """Keeps what it needs.

        Args:
            releases: folder of releases.
            loaded: the releases that are loaded.
            serving: returns what is served.
            swap: serves something else from the next request on; must not wait.
        """
        self.releases = releases
        self._loaded = loaded
        self._serving = serving
        self._swap = swap
        self._previous = ""
        self._log = structlog.get_logger("release")

    async def promote(self, release_id: str) -> tuple[str, str]:
        """Makes a release live and current; returns its id and that of the one before.

        Raises:
            ReleaseRejected: there is none of this id, or it cannot be loaded; everything stays as it was.
            Overloaded: another switch is under way.
        """
        async with self._loaded.alone():
            old = self._serving()
            before = old.release.release_id
            if release_id == before:
                return release_id, before
            release = await self._loaded.load(await asyncio.to_thread(known_release, self.releases, release_id))

            async def take_over(new: LiveServing) -> None:
                self._swap(new)
                self._previous = before
                self._loaded.drop_after_use(old.release)
                await asyncio.to_thread(release_folder.promote, self.releases, release_id)
                self._log.info("switched", release_id=release_id, before=before)

            try:
                await switch_over(old, release, self._loaded.loader.unreadable_limit, take_over)
            except BaseException:
                if self._serving().release is not release:
                    await self._loaded.drop(release)
                raise
            return release_id, before

    async def rollback(self) -> tuple[str, str]:
        """Makes the release live that was live before, else the newest older one. Raises as `promote`."""
        live = self._serving().release.release_id
        listed = await asyncio.to_thread(release_folder.list_releases, self.releases)
        older = [one.manifest.release_id for one in listed]
        older = [release_id for release_id in older if release_id < live]
        target = self._previous or (older[-1] if older else "")
        if not target:
            raise ReleaseRejected(f"there is no release before {live}; `shortlist release list` shows what is there")
        return await self.promote(target)


def known_release(releases: Path, release_id: str) -> ReleaseFolder:
    """Returns the release of an id, which must be one of the folder: a path is not an id; blocking.

    Raises:
        ReleaseRejected: there is none, or it is refused.
    """
    if release_id not in {one.manifest.release_id for one in release_folder.list_releases(releases)}:
        problem = release_folder.refused_releases(releases).get(release_id)
        if problem is not None:
            raise problem
        raise ReleaseRejected(f'no release "{release_id[:64]}"; `shortlist release list` shows what is there')
    return release_folder.find_release(releases, release_id)
