"""The releases that are loaded: beside the live one, and until their last request after it."""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import structlog

from domain.errors import Overloaded, ReleaseRejected, ShortlistError
from domain.release_folder import ReleaseFolder
from server.garbage import long_lived
from server.models.batcher import Batcher
from server.models.served_model import ServedModel
from server.models.text_encoder import TextEncoder
from server.observability.logs import message_of
from server.release.live_release import LiveRelease
from server.release.loader import ReleaseLoader


@dataclass(frozen=True)
class _Loaded:
    """A loaded release, as far as it has to be ended. Keeps none of its data in memory.

    Attributes:
        models: on Triton.
        batcher: in front of the encoder.
        unused: set when no request holds the release's encoder any longer, nor anything else.
    """

    models: tuple[ServedModel, ...]
    batcher: Batcher
    unused: asyncio.Event
    _encoder: "weakref.ref[TextEncoder]"


class LoadedReleases:
    """Loads releases beside the live one and drops them. Belongs to one event loop.

    Attributes:
        loader: of the gateway.
        turn: held by who loads, switches or drops: one at a time.
    """

    def __init__(self, loader: ReleaseLoader, live: Callable[[], LiveRelease], longest_use_s: float) -> None:
        """Keeps what it needs.

        Args:
            loader: of the gateway.
            live: returns the release that is live.
            longest_use_s: the longest that a request may go on with a release, in seconds.
        """
        self.loader = loader
        self.turn = asyncio.Lock()
        self._loading = False
        self._live = live
        self._longest_use_s = longest_use_s
        self._held: list[_Loaded] = []
        self._drops: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("release")

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Holds the turn; a release that is being dropped is waited for.

        Raises:
            Overloaded: another loads or switches.
        """
        if self._loading:
            raise Overloaded("another release is being loaded or switched to; wait until that is done")
        self._loading = True
        try:
            async with self.turn:
                yield
        finally:
            self._loading = False

    async def load(self, folder: ReleaseFolder) -> LiveRelease:
        """Loads a release beside the others; where that fails, Triton serves what it served. To be called in turn.

        Raises:
            ReleaseRejected: it cannot be loaded.
        """
        self._hold(self._live())
        beside = replace(self.loader, models=replace(self.loader.models, beside=True))
        try:
            with long_lived(serving=True):
                release = await beside.load(folder)
        except ShortlistError as error:
            await self._serve_held()
            if isinstance(error, ReleaseRejected):
                raise
            name = folder.path.name
            raise ReleaseRejected(f"release {name} cannot be loaded: {message_of(error)}") from error
        self._hold(release)
        return release

    async def drop(self, release: LiveRelease) -> None:
        """Drops a release that nothing uses. To be called in turn."""
        await self._drop(self._hold(release))

    def drop_after_use(self, release: LiveRelease) -> None:
        """Drops a release that takes no more requests, after the last one that it answers."""
        task = asyncio.create_task(self._drop_later(self._hold(release)))
        self._drops.add(task)
        task.add_done_callback(self._drops.discard)

    async def aclose(self) -> None:
        """Ends what is left of loaded releases."""
        for task in self._drops:
            task.cancel()
        for loaded in self._held:
            await loaded.batcher.aclose()

    def _hold(self, release: LiveRelease) -> _Loaded:
        """Returns the entry of a release, which it has from now on."""
        for loaded in self._held:
            if loaded.batcher is release.encoder.batcher:
                return loaded
        loop, unused = asyncio.get_running_loop(), asyncio.Event()

        def tell(_: object) -> None:
            """Runs in the thread that let go of it last."""
            if not loop.is_closed():
                loop.call_soon_threadsafe(unused.set)

        watched = weakref.ref(release.encoder, tell)
        entry = _Loaded(tuple(release.models()), release.encoder.batcher, unused, watched)
        self._held.append(entry)
        return entry

    async def _drop_later(self, loaded: _Loaded) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._longest_use_s):
                await loaded.unused.wait()
        async with self.turn:
            # Where it took over again, it has another entry.
            if self._live().encoder.batcher is not loaded.batcher:
                await self._drop(loaded)

    async def _drop(self, loaded: _Loaded) -> None:
        self._held = [one for one in self._held if one is not loaded]
        await loaded.batcher.aclose()
        await self._serve_held()

    async def _serve_held(self) -> None:
        """Has a Triton of our own serve the versions of the loaded releases and no others."""
        models = self.loader.models
        if models.shared:
            return
        try:
            wanted: dict[str, dict[int, str]] = {}
            for loaded in self._held:
                for model in loaded.models:
                    wanted.setdefault(model.spec.name, {})[model.version] = model.spec.config.text(warm_up=False)
            for name, versions in wanted.items():
                await models.serve_versions(name, versions)
        except ShortlistError as error:
            # Memory that is not given back; requests are answered.
            self._log.warning("models of an old release could not be unloaded", error=message_of(error))
