"""The composition root: builds every object that holds state, in order, and closes them in reverse."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial

import grpc
import structlog
from grpc_health.v1 import health_pb2

from core.processor import lowest_priority
from core.triton.openvino import OPENVINO
from domain import release_folder
from domain.durable import make_private
from domain.errors import ConfigurationError
from domain.progress import Progress, SilentProgress
from domain.release_folder import ReleaseFolder
from server.addresses import joined, split
from server.admission.admission import Admission
from server.catalogue.store import CatalogueStore
from server.catalogue_follower import CatalogueFollower, Writer
from server.garbage import long_lived
from server.listener import ReservedPort, ReservedSocket, make_authenticator, reserved
from server.live_state import LiveState
from server.milvus.serving import over_milvus
from server.models.encoder_choice import Machine
from server.models.encoder_variant import EncoderConfig
from server.observability.metrics import Metrics
from server.observability.page import MetricsPage
from server.observability.probes import Phase, Vitals
from server.observability.tracing import TracingInterceptor
from server.playground import Playground
from server.release.live_release import LiveRelease
from server.release.loaded import LoadedReleases
from server.release.loader import ReleaseLoader
from server.release.log_refresh import LogRefresh
from server.release.model_loader import ModelLoader
from server.release.serving import LiveServing
from server.release.signature import read_public_keys
from server.release.switch import ReleaseSwitch
from server.rpc.fair_threads import FairThreads
from server.rpc.interceptor import CallInterceptor, DeadlineLimits
from server.rpc.release import ReleaseServicer, open_admin_socket
from server.rpc.tls import server_credentials
from server.scenes import read_scenes
from server.services import EVENTS, ServiceParts, add_services
from server.settings import Settings
from server.trials.trials import FILE_NAME as FILE_OF_TRIALS
from server.trials.trials import TrialParts, Trials
from server.triton.access_key import read_access_key
from server.triton.client import TritonClient
from server.triton.embedded import EmbeddedTriton, EmbeddedTritonSettings
from server.triton.native_backend import find_native
from server.triton.pulse import Pulse
from server.users.event_log import EventLog
from server.users.open_store import make_event_log
from server.users.trending import FILE_NAME, TrendCounts, Trending
from server.web import open_playground

_TRITON_TIMEOUT_S = 10.0
# Loading a release may take minutes.
_ADMIN_DEADLINE_S = 3_600.0


class Gateway:
    """A gateway: it listens, and serves, when its release is verified, compared and warm."""

    def __init__(
        self, settings: Settings, progress: Progress | None = None, *, beside_embedded: bool | None = None
    ) -> None:
        """Keeps the settings; `open` starts.

        Args:
            settings: checked. `triton` None starts the embedded Triton.
            progress: receives the steps of the start; None for silence.
            beside_embedded: of a worker, whether its Triton is the embedded one of the first process; None for a first
                process.
        """
        self._settings = settings
        self._is_worker = beside_embedded is not None
        self._on_this_machine = settings.triton is None or bool(beside_embedded)
        self._progress = progress or SilentProgress()
        self._metrics = Metrics()
        self._vitals = Vitals()
        self._stack = AsyncExitStack()
        self._interceptor: CallInterceptor | None = None
        self._server: grpc.aio.Server | None = None
        self._state = LiveState(self._metrics)
        self._supervised: EmbeddedTriton | None = None
        self._log = structlog.get_logger("gateway")
        self._keeps_events = False
        self.address = ""
        self.metrics_address = ""
        self.playground_address = ""
        self.triton_address = ""

    async def __aenter__(self) -> "Gateway":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def live(self) -> LiveRelease:
        """Returns the live release.

        Raises:
            NoRelease: none is live yet.
        """
        return self._state.live()

    @property
    def computes_bfloat16(self) -> bool:
        """True where the encoder is computed in bfloat16."""
        config = self.live().encoder.model.spec.config
        return isinstance(config, EncoderConfig) and config.variant.is_bfloat16

    async def open(self) -> None:
        """Starts everything and returns once the gateway is SERVING.

        Raises:
            ShortlistError: what is wrong and what to do; everything that was started is ended.
        """
        try:
            await self._open()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Stops gracefully: NOT_SERVING first, then no new calls, then the rest in reverse order."""
        self._vitals.enter(Phase.DRAINING)
        await self._state.health.enter_graceful_shutdown()
        if self._server is not None and self._interceptor is not None:
            started_s, grace_s = time.monotonic(), self._settings.stop_grace_s
            if self._state.serving is not None:
                await asyncio.sleep(self._settings.drain_for_s)
                started_s = time.monotonic()
                await self._interceptor.drain(grace_s)
            await self._server.stop(max(0.0, started_s + grace_s - time.monotonic()))
        self._state.end_watches()
        await self._stack.aclose()

    async def _open(self) -> None:
        settings = self._settings
        with contextlib.suppress(OSError):  # whoever needs it says so
            make_private(settings.state)
        credentials = server_credentials(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
        self._interceptor = await self._make_interceptor()
        self._metrics.watch_open_calls(lambda: self._interceptor.open_calls if self._interceptor else 0)
        await self._state.health.set(EVENTS, health_pb2.HealthCheckResponse.NOT_SERVING)
        folder = release_folder.find_release(settings.releases, settings.release)
        self._state.scenes = read_scenes(settings.scenes, settings.releases, folder.manifest.attribute_types)
        self._progress.step(f"release {folder.manifest.release_id}: {folder.manifest.item_count:,} items")
        workers = self._stack.enter_context(_threads("worker", 2))
        searchers = self._stack.enter_context(FairThreads(settings.search_threads, "search"))
        self._start_metrics()
        self._start_task(self._vitals.watch_loop())
        port = self._stack.enter_context(reserved(settings.listen, beside=self._is_worker))
        self.address = port.address
        events = await self._open_events()
        triton = await self._start_triton()
        models = ModelLoader(triton, settings.model_repository, workers, shared=settings.triton is not None)
        machine = None
        if self._on_this_machine:
            native = (
                settings.triton_backends == "native" and find_native(settings.triton_env, OPENVINO).library is not None
            )
            machine = Machine.here(settings.triton_env, native=native)
        places = (settings.state, settings.model_repository)
        keys = () if settings.release_keys is None else read_public_keys(settings.release_keys)
        loader = ReleaseLoader(
            models,
            self._metrics,
            settings.unreadable_limit,
            settings.encoder_wishes(),
            machine,
            cache_bytes=settings.embedding_cache_mb << 20,
            places=places,
            trusted_keys=keys,
            over=_over(settings),
        )
        self._state.models = models
        with long_lived(serving=False):
            await self._go_live(loader, folder)
        self._start_task(self._metrics.watch_loop(self._state.note_queue))
        self._state.watch_models()
        self._start_task(Pulse(triton, self._supervised, self._state.nudge).run())
        self._start_task(self._state.maintain_catalogue())
        self._start_task(self._state.merge_catalogue())
        if settings.follow is not None:
            writer = Writer.read(settings.follow, settings.follow_key_file, settings.follow_ca)
            follower = CatalogueFollower(writer, self._state.served, settings.unreadable_limit, self._metrics)
            self._start_task(follower.run())
        switch, trials = self._make_switch(loader)
        await self._listen((searchers, workers), port, credentials, events, trials)
        if settings.workers == 1:  # a release that one process switched to would not be the others'
            await self._open_admin(switch, trials)
        self._vitals.enter(Phase.SERVING)
        self._log.info("serving", release_id=folder.manifest.release_id, address=self.address)

    async def _open_events(self) -> EventLog | None:
        settings = self._settings
        asked_for = settings.event_store is not None or settings.event_key_file is not None
        events = make_event_log(settings.event_settings(), asked_for=asked_for)
        if events is not None:
            self._stack.push_async_callback(events.aclose)
            await events.open()
            self._keeps_events = True
            self._start_task(events.sweep())
            if events.features is not None:
                self._start_task(events.features.run())
            await self._open_trending()
            if settings.refresh_minutes:
                every_s = settings.refresh_minutes * 60
                refresh = LogRefresh(self._state.refreshed, events.choices, events.shown_items, every_s, self._metrics)
                self._start_task(refresh.run())
        return events

    async def _open_trending(self) -> None:
        counts = TrendCounts(self._settings.trend_half_life_s)
        self._state.trending = Trending(counts, self._settings.state / FILE_NAME)
        await self._state.trending.open()
        # Saved when no more events come.
        self._stack.push_async_callback(self._state.trending.save)
        self._start_task(self._state.trending.run())

    def _make_switch(self, loader: ReleaseLoader) -> tuple[ReleaseSwitch, Trials]:
        """Makes what loads other releases beside the live one; the trials of before begin again by themselves."""
        settings, state = self._settings, self._state
        loaded = LoadedReleases(loader, lambda: state.served().release, settings.longest_deadline_s)
        self._stack.push_async_callback(loaded.aclose)
        parts = TrialParts(
            settings.releases,
            loaded,
            lambda: state.served().release.release_id,
            lambda: state.served().store,
            state.trends,
            state.now_tried,
        )
        trials = Trials(parts, settings.state / FILE_OF_TRIALS)
        self._stack.push_async_callback(trials.aclose)
        if settings.workers == 1:
            self._start_task(trials.restore())
        return ReleaseSwitch(settings.releases, loaded, state.served, state.swap), trials

    async def _open_admin(self, switch: ReleaseSwitch, trials: Trials) -> None:
        """Opens the socket for operators; a gateway that reads a single release has no folder to switch in."""
        settings = self._settings

        state = self._state
        servicer = ReleaseServicer(switch, trials, lambda: state.served().release.release_id, state.changes)
        interceptor = CallInterceptor(
            DeadlineLimits(_ADMIN_DEADLINE_S, _ADMIN_DEADLINE_S), 16, settings.max_message_bytes, self._metrics
        )
        server = await open_admin_socket(settings.state, servicer, interceptor)
        if server is not None:
            self._stack.push_async_callback(server.stop, None)

    def _start_metrics(self) -> None:
        host, port = split(self._settings.metrics_listen)
        try:
            page = MetricsPage(host, port, self._metrics.registry, self._vitals)
        except OSError as error:
            raise ConfigurationError(
                f"metrics_listen {self._settings.metrics_listen}: {error.strerror or error}; "
                "choose another address with --metrics-listen"
            ) from error
        page.start()
        self._stack.push_async_callback(asyncio.to_thread, page.close)
        self.metrics_address = joined(host, page.server_port)

    async def _make_interceptor(self) -> CallInterceptor:
        settings = self._settings
        authenticator = await make_authenticator(settings, self._start_task)
        admission = Admission(settings.admission_limits(), settings.caller_quota(), self._metrics)
        limits = settings.deadline_limits()
        return CallInterceptor(
            limits, settings.max_calls, settings.max_message_bytes, self._metrics, admission, authenticator
        )

    async def _listen(
        self,
        threads: tuple[FairThreads, ThreadPoolExecutor],
        port: ReservedPort | ReservedSocket,
        credentials: grpc.ServerCredentials | None,
        events: EventLog | None,
        trials: Trials,
    ) -> None:
        settings, (searchers, workers) = self._settings, threads
        assert self._interceptor is not None
        server = grpc.aio.server(
            interceptors=[TracingInterceptor(), self._interceptor], options=settings.connection_limits().options()
        )
        state = self._state
        parts = ServiceParts(
            state.live,
            state.changes,
            searchers,
            workers,
            self._stack.enter_context(_threads("background", 1, lowest_priority)),
            state.scenes,
            self._metrics,
            state.health,
            events,
            state.trending,
            trials,
            self._interceptor.stopping,
        )
        services = add_services(server, parts, settings)
        for work in services.background:
            self._start_task(work)
        port.listen(server, credentials)
        await server.start()
        self._server = server
        if settings.playground:
            comparer = ThreadPoolExecutor(1, thread_name_prefix="compare")
            self._stack.callback(comparer.shutdown, wait=False, cancel_futures=True)
            names = None if state.scenes is None else tuple(state.scenes.by_name)
            playground = Playground(services.recommends, self.live, comparer, settings.max_text_bytes, names)
            self.playground_address = await open_playground(settings, playground, self._stack)

    async def _start_triton(self) -> TritonClient:
        settings = self._settings
        if settings.triton is None:
            self._progress.step("starting the embedded Triton")
            self._supervised = await self._stack.enter_async_context(self._embedded())
            self.triton_address = self._supervised.grpc_address
            self._state.replace_triton = self._supervised.replace
        else:
            self._progress.step(f"looking for Triton at {settings.triton}")
            self.triton_address = settings.triton
        key = None if settings.triton_key_file is None else read_access_key(settings.triton_key_file)
        triton = await self._stack.enter_async_context(TritonClient(self.triton_address, key))
        await triton.wait_until_live(_TRITON_TIMEOUT_S)
        return triton

    def _embedded(self) -> EmbeddedTriton:
        settings = self._settings
        settings.model_repository.mkdir(parents=True, exist_ok=True)
        return EmbeddedTriton(
            EmbeddedTritonSettings(
                triton_env=settings.triton_env,
                model_repository=settings.model_repository,
                state_folder=settings.state / "triton",
                log_path=settings.state / "triton.log",
                native_backends=settings.triton_backends == "native",
            ),
            self._state.load_again,
        )

    async def _go_live(self, loader: ReleaseLoader, folder: ReleaseFolder) -> None:
        release = await loader.load(folder, self._progress)
        self._stack.push_async_callback(release.encoder.batcher.aclose)
        self._state.check_scenes(release)
        await self._state.go_live(await self._with_changes(release), keeps_events=self._keeps_events)

    async def _with_changes(self, release: LiveRelease) -> LiveServing:
        """Returns a release with the changes that were made since it was built."""
        if self._settings.fixed_catalogue:
            return LiveServing(release)
        store = CatalogueStore(self._settings.state / "catalogue", follows=self._settings.follow is not None)
        self._stack.push_async_callback(asyncio.to_thread, store.close)
        return await LiveServing.over(release, store, self._settings.unreadable_limit, self._progress)

    def _start_task(self, work: Coroutine[object, object, None]) -> None:
        """Runs work beside the server until the gateway closes."""
        task = asyncio.create_task(work)

        async def end() -> None:
            task.cancel()
            await asyncio.wait([task])

        self._stack.push_async_callback(end)


def _over(settings: Settings) -> Callable[[LiveRelease], LiveRelease] | None:
    """Returns what puts a release over another catalogue than its own; None for its own."""
    if settings.milvus is None:
        return None
    return partial(over_milvus, uri=settings.milvus, token_file=settings.milvus_token_file)


@contextlib.contextmanager
def _threads(name: str, count: int, begin: Callable[[], None] = lambda: None) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(count, thread_name_prefix=name, initializer=begin)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
