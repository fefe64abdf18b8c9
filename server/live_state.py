"""The live state: the release that is served over its changes, watches over its models, its services' health."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

import structlog
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio

from core.retrieval.trending import Trends
from domain.errors import NoRelease, NotServed, ShortlistError
from domain.recommendation import Source
from domain.scene import Scenes
from server.catalogue.store import CatalogueStore
from server.models.served_model import ServedModel
from server.observability.metrics import Metrics
from server.release.following import FollowingRelease
from server.release.live_release import LiveRelease
from server.release.model_loader import ModelLoader
from server.release.serving import LiveServing
from server.release.trending import TrendingView
from server.release.watch import Gate, ModelWatch
from server.scenes import problems_with, scenes_with
from server.services import CATALOG, EMBEDDING, EVENTS, RANKER, RECOMMENDER
from server.users.trending import Trending

_MAINTAIN_EVERY_S = 5.0
_MERGE_AGAIN_S = 600.0
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass
class LiveState:
    """The release that is served, and what depends on it. Belongs to one event loop.

    Attributes:
        metrics: of the gateway.
        health: of its services.
        scenes: of the gateway, whatever release is live; None for those that the live release brings.
        trending: what is trending; None where no events are kept.
        serving: what is served; None while the gateway starts.
        models: loads models into Triton; None while the gateway starts.
        tried: releases under trial over the catalogue's changes, which are loaded beside the live one.
        replace_triton: ends the process of a Triton of our own, which is then started again; None for another's.
    """

    metrics: Metrics
    health: health_aio.HealthServicer = field(default_factory=health_aio.HealthServicer)
    scenes: Scenes | None = None
    trending: Trending | None = None
    serving: LiveServing | None = None
    models: ModelLoader | None = None
    tried: tuple[FollowingRelease, ...] = ()
    replace_triton: Callable[[], None] | None = None
    _watches: list[tuple[ModelWatch, asyncio.Task[None]]] = field(default_factory=list)
    _trending_view: TrendingView = field(default_factory=TrendingView)

    def live(self) -> LiveRelease:
        """Returns the live release.

        Raises:
            NoRelease: none is live yet.
        """
        view = self.served().view()
        return view if self.trending is None else self._trending_view.over(view, self.trending.trends)

    def served(self) -> LiveServing:
        """Returns what is served.

        Raises:
            NoRelease: none is live yet.
        """
        if self.serving is None:
            raise NoRelease("the gateway is starting: no release is live yet; ask its health service, then try again")
        return self.serving

    def changes(self) -> CatalogueStore:
        """Returns the changes of the catalogue.

        Raises:
            NoRelease: none is live yet.
            NotServed: the gateway keeps none.
        """
        store = self.served().store
        if store is None:
            raise NotServed("", "this gateway serves a fixed catalogue; start it without --fixed-catalogue")
        return store

    def check_scenes(self, release: LiveRelease) -> None:
        """Logs what of the scenes does not fit a release, or this gateway."""
        log, scenes = structlog.get_logger("gateway"), release.scenes if self.scenes is None else self.scenes
        for problem in problems_with(scenes, release.scene_facts()):
            log.warning("scene does not fit the release", problem=problem)
        if self.trending is None and (names := scenes_with(scenes, Source.TRENDING)):
            log.warning("this gateway keeps no events: its scenes have nothing that is trending", scenes=names)

    def swap(self, serving: LiveServing) -> None:
        """Serves another release from the next request on."""
        self.serving = serving
        self._trending_view = TrendingView()  # it keeps the one before in memory until the next request
        self.watch_models()
        self.metrics.release_live(serving.release.release_id)
        self.check_scenes(serving.release)

    async def go_live(self, serving: LiveServing, *, keeps_events: bool) -> None:
        """Serves the first release, and has the health service say so."""
        self.serving = serving
        self.metrics.release_live(serving.release.release_id)
        for name in ("", RECOMMENDER, EMBEDDING, RANKER, *((EVENTS,) if keeps_events else ())):
            await self.health.set(name, _SERVING)
        await self.health.set(CATALOG, _NOT_SERVING if serving.store is None else _SERVING)

    def watch_models(self) -> None:
        """Watches the models of the live release and of those under trial, and no others."""
        self.end_watches()
        release, models, hung = self.served().release, self._models(), self.replace_triton
        watches = [ModelWatch(models, release.encoder.model, release.encoder.batcher, self._encoder_state, hung)]
        watches += [ModelWatch(models, model, model, self._model_state, hung) for model in release.trained_models()]
        for other in (one.release for one in self.tried):
            gates: list[tuple[ServedModel, Gate]] = [(other.encoder.model, other.encoder.batcher)]
            gates += [(model, model) for model in other.trained_models()]
            watches += [ModelWatch(models, model, gate, self._tried_state, tried=True) for model, gate in gates]
        self._watches = [(watch, asyncio.create_task(watch.run())) for watch in watches]

    def now_tried(self, tried: tuple[FollowingRelease, ...]) -> None:
        """Takes the releases under trial, all of them."""
        self.tried = tried
        for one in tried:
            self.metrics.release_tried(one.release.release_id)
        self.watch_models()

    def refreshed(self) -> list[LiveServing | FollowingRelease]:
        """Returns what serves by stored events: the live release and those under trial; nothing before one is live."""
        return [] if self.serving is None else [self.serving, *self.tried]

    def _models(self) -> ModelLoader:
        """Returns the loader: while releases are tried, it leaves the versions of the others alone."""
        assert self.models is not None
        return replace(self.models, shared=self.models.shared or bool(self.tried))

    def trends(self) -> Trends | None:
        """Returns what is trending; None where no events are kept."""
        return None if self.trending is None else self.trending.trends

    def end_watches(self) -> None:
        """Ends all watches."""
        for _, task in self._watches:
            task.cancel()
        self._watches = []

    def nudge(self) -> None:
        """Has every watch ask its model at once."""
        for watch, _ in self._watches:
            watch.nudge()

    async def load_again(self) -> None:
        """Loads the live versions into a Triton that was restarted."""
        if self.serving is not None and self.models is not None:
            # At once, and cold: callers are answered without the models until then.
            models = self._models()
            releases = (self.serving.release, *(one.release for one in self.tried))
            await asyncio.gather(*(models.load(model, warm_up=False) for one in releases for model in one.models()))
            self.nudge()
        # Only now: a load that fails is tried again.
        self.metrics.triton_restarted()

    def note_queue(self) -> None:
        """Records the encoder's queue."""
        batcher = self.served().release.encoder.batcher
        self.metrics.queue_state(batcher.waiting_count, batcher.oldest_wait_s())

    async def maintain_catalogue(self) -> None:
        """Notes the state of the catalogue's changes, and compacts their log, until cancelled."""
        log = structlog.get_logger("gateway")
        while self.serving is not None and (store := self.serving.store) is not None:
            try:
                self.metrics.catalogue_state(asdict(await asyncio.to_thread(store.figures)))
                if await asyncio.to_thread(store.should_compact):
                    await asyncio.to_thread(store.compact)
            except ShortlistError as error:
                log.warning("the log of the catalogue could not be compacted", error=str(error))
            except Exception as error:
                log.error("maintenance of the catalogue failed", exc_info=error)
            await asyncio.sleep(_MAINTAIN_EVERY_S)

    async def merge_catalogue(self) -> None:
        """Merges the catalogue's changed vectors whenever it is time, beside everything else, until cancelled.

        A merge that failed may have taken minutes of a processor: it is tried again after longer and longer pauses.
        """
        log, pause_s = structlog.get_logger("gateway"), _MAINTAIN_EVERY_S
        while self.serving is not None and (store := self.serving.store) is not None:
            try:
                await asyncio.to_thread(store.merge)
                pause_s = _MAINTAIN_EVERY_S
            except ShortlistError as error:
                pause_s = min(2 * pause_s, _MERGE_AGAIN_S)
                log.warning("changes of the catalogue could not be merged", error=str(error), again_in_s=pause_s)
            except Exception as error:
                pause_s = min(2 * pause_s, _MERGE_AGAIN_S)
                log.error("the merge of the catalogue's changes failed", exc_info=error, again_in_s=pause_s)
            await asyncio.sleep(pause_s)

    async def _model_state(self, model: str, *, up: bool) -> None:
        self.metrics.model_up(model, up=up)

    async def _tried_state(self, model: str, *, up: bool) -> None:
        if not up:
            structlog.get_logger("trial").warning("a model of a release under trial does not answer", model=model)

    async def _encoder_state(self, model: str, *, up: bool) -> None:
        """Reports Embed as not serving without the encoder; Recommend goes on, degraded."""
        self.metrics.encoder_up(up)
        await self.health.set(EMBEDDING, _SERVING if up else _NOT_SERVING)
