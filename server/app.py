"""The composition root: builds every object that holds state, in order, and closes them in reverse."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from domain import release_folder
from domain.errors import ConfigurationError, NoRelease
from domain.progress import Progress, SilentProgress
from domain.release_folder import ReleaseFolder
from server.models.encoder_variant import EncoderVariant
from server.observability.metrics import Metrics
from server.observability.page import MetricsPage
from server.observability.probes import Phase, Vitals
from server.recommender import Recommender
from server.release.live_release import LiveRelease
from server.release.loader import ModelLoader, ReleaseLoader
from server.release.watch import ModelWatch
from server.rpc.embed import EmbedServicer
from server.rpc.event import EventServicer
from server.rpc.fair_threads import FairThreads
from server.rpc.interceptor import CallInterceptor
from server.rpc.rank import RankServicer
from server.rpc.recommend import RecommendServicer
from server.rpc.tls import read_credentials
from server.settings import Settings
from server.text_ranking import TextRanker
from server.triton.access_key import read_access_key
from server.triton.client import TritonClient
from server.triton.embedded import EmbeddedTriton, EmbeddedTritonSettings
from server.triton.pulse import Pulse
from shortlist.v1 import embedding_pb2_grpc, event_pb2_grpc, ranker_pb2_grpc, recommender_pb2_grpc

RECOMMENDER = "shortlist.v1.RecommenderService"
EMBEDDING = "shortlist.v1.EmbeddingService"
RANKER = "shortlist.v1.RankerService"
EVENTS = "shortlist.v1.EventService"

_TRITON_TIMEOUT_S = 10.0
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Gateway:
    """A gateway: it listens at once, and serves when its release is verified, compared and warm."""

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        """Keeps the settings; `open` starts.

        Args:
            settings: checked. `triton` None starts the embedded Triton.
            progress: receives the steps of the start; None for silence.
        """
        self._settings = settings
        self._progress = progress or SilentProgress()
        self._metrics = Metrics()
        self._vitals = Vitals()
        self._interceptor = CallInterceptor(
            settings.deadline_limits(), settings.max_calls, settings.max_message_bytes, self._metrics
        )
        self._stack = AsyncExitStack()
        self._server: grpc.aio.Server | None = None
        self._release: LiveRelease | None = None
        self._loader: ReleaseLoader | None = None
        self._supervised: EmbeddedTriton | None = None
        self._health = health_aio.HealthServicer()
        self._log = structlog.get_logger("gateway")
        self.address = ""
        self.metrics_address = ""
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
        if self._release is None:
            raise NoRelease("the gateway is starting: no release is live yet; ask its health service, then try again")
        return self._release

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
        await self._health.enter_graceful_shutdown()
        if self._server is not None:
            started_s, grace_s = time.monotonic(), self._settings.stop_grace_s
            if self._release is not None:
                await asyncio.sleep(self._settings.drain_s)
                started_s = time.monotonic()
                await self._interceptor.drain(grace_s)
            await self._server.stop(max(0.0, started_s + grace_s - time.monotonic()))
        await self._stack.aclose()

    async def _open(self) -> None:
        settings = self._settings
        folder = release_folder.find_release(settings.releases, settings.release)
        self._progress.step(f"release {folder.manifest.release_id}: {folder.manifest.item_count:,} items")
        workers = self._stack.enter_context(_threads("worker", 2))
        searchers = self._stack.enter_context(FairThreads(settings.search_threads, "search"))
        self._start_metrics()
        self._start_task(self._vitals.watch_loop())
        await self._listen(searchers)
        triton = await self._start_triton()
        models = ModelLoader(triton, settings.model_repository, workers, shared=settings.triton is not None)
        variant = EncoderVariant(settings.encoder_config, settings.encoder_on_gpu)
        places = (settings.state, settings.model_repository)
        loader = ReleaseLoader(models, self._metrics, settings.unreadable_limit, variant, places=places)
        await self._go_live(loader, folder)
        self._start_task(self._metrics.watch_loop())
        self._start_watches(models, triton)

    def _start_watches(self, models: ModelLoader, triton: TritonClient) -> None:
        encoder = self.live().encoder
        watches = [ModelWatch(models, encoder.model, encoder.batcher, self._encoder_state)]
        watches += [ModelWatch(models, model, model, self._model_state) for model in self.live().trained_models()]
        for watch in watches:
            self._start_task(watch.run())

        def nudge() -> None:
            for watch in watches:
                watch.nudged.set()

        self._start_task(Pulse(triton, self._supervised, nudge).run())

    def _start_metrics(self) -> None:
        host, port = _split(self._settings.metrics_listen)
        try:
            page = MetricsPage(host, port, self._metrics.registry, self._vitals)
        except OSError as error:
            raise ConfigurationError(
                f"metrics_listen {self._settings.metrics_listen}: {error.strerror or error}; "
                "choose another address with --metrics-listen"
            ) from error
        page.start()
        self._stack.callback(page.close)
        self.metrics_address = _joined(host, page.server_port)

    async def _listen(self, searchers: FairThreads) -> None:
        settings = self._settings
        server = grpc.aio.server(interceptors=[self._interceptor], options=settings.connection_limits().options())
        limits = settings.request_limits()
        recommender = Recommender(self.live, searchers, settings.unreadable_limit)
        recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(
            RecommendServicer(recommender, limits, settings.max_message_bytes, self._metrics), server
        )
        embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server(EmbedServicer(self.live, limits), server)
        ranker = TextRanker(self.live, searchers, settings.unreadable_limit)
        ranker_pb2_grpc.add_RankerServiceServicer_to_server(RankServicer(ranker, limits), server)
        event_pb2_grpc.add_EventServiceServicer_to_server(EventServicer(), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (RECOMMENDER, EMBEDDING, RANKER, EVENTS, "grpc.health.v1.Health", reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        for name in ("", RECOMMENDER, EMBEDDING, RANKER, EVENTS):
            await self._health.set(name, _NOT_SERVING)
        self.address = self._bind(server)
        await server.start()
        self._server = server

    def _bind(self, server: grpc.aio.Server) -> str:
        settings = self._settings
        host, asked_port = _split(settings.listen)
        credentials = read_credentials(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
        try:
            _try_to_bind(host, asked_port)
            if credentials is None:
                port = server.add_insecure_port(settings.listen)
            else:
                port = server.add_secure_port(settings.listen, credentials)
        except (OSError, RuntimeError, ValueError) as error:
            raise ConfigurationError(
                f"listen {settings.listen}: the address cannot be bound, most likely because another process uses the "
                "port; stop that one or choose another with --listen"
            ) from error
        return _joined(host, port)

    async def _start_triton(self) -> TritonClient:
        settings = self._settings
        if settings.triton is None:
            self._progress.step("starting the embedded Triton")
            self._supervised = await self._stack.enter_async_context(self._embedded())
            self.triton_address = self._supervised.grpc_address
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
            ),
            self._load_again,
        )

    async def _go_live(self, loader: ReleaseLoader, folder: ReleaseFolder) -> None:
        self._loader = loader
        release = await loader.load(folder, self._progress)
        self._stack.push_async_callback(release.encoder.batcher.aclose)
        self._release = release
        self._metrics.release_live(release.manifest.release_id)
        for name in ("", RECOMMENDER, EMBEDDING, RANKER):
            await self._health.set(name, _SERVING)
        self._vitals.enter(Phase.SERVING)
        self._log.info("serving", release_id=release.manifest.release_id, address=self.address)

    async def _load_again(self) -> None:
        """Loads the live version into a Triton that was restarted."""
        if self._release is not None and self._loader is not None:
            for model in self._release.models():
                await self._loader.models.load(model)
        # Only now: a load that fails is tried again.
        self._metrics.triton_restarted()

    async def _model_state(self, model: str, *, up: bool) -> None:
        self._metrics.model_up(model, up=up)

    async def _encoder_state(self, model: str, *, up: bool) -> None:
        """Reports Embed as not serving without the encoder; Recommend goes on, degraded."""
        self._metrics.encoder_up(up)
        await self._health.set(EMBEDDING, _SERVING if up else _NOT_SERVING)

    def _start_task(self, work: Coroutine[object, object, None]) -> None:
        """Runs work beside the server until the gateway closes."""
        task = asyncio.create_task(work)

        async def end() -> None:
            task.cancel()
            await asyncio.wait([task])

        self._stack.push_async_callback(end)


@contextlib.contextmanager
def _threads(name: str, count: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(count, thread_name_prefix=name)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _try_to_bind(host: str, port: int) -> None:
    """Raises OSError where nobody can listen; grpc would print a line of its own before our message."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as grpc does
        probe.bind(address)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
