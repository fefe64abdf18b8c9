"""Probes over plain HTTP, beside the metrics: whether the process is alive, and whether it should get calls."""

import asyncio
import enum
import threading
import time
from http import HTTPStatus

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import MetricsHandler

# Far above what a load of a release holds the loop for; one that stands still for so long does not recover by itself.
_LONGEST_STANDSTILL_S = 30.0
_BEAT_S = 1.0


class Phase(enum.Enum):
    """Phase of a gateway's life."""

    STARTING = "starting: no release is live yet"
    SERVING = "serving"
    DRAINING = "draining: calls in progress may finish, new ones belong elsewhere"


class Vitals:
    """State that the probes answer from. The event loop writes it, the threads of the metrics port read it."""

    def __init__(self, longest_standstill_s: float = _LONGEST_STANDSTILL_S) -> None:
        """Takes the time without a sign of the event loop after which the process counts as dead."""
        self._longest_s = longest_standstill_s
        self._phase = Phase.STARTING
        self._beat_s = time.monotonic()
        self._lock = threading.Lock()

    def enter(self, phase: Phase) -> None:
        """Records the phase that begins. Draining is the last one."""
        with self._lock:
            if self._phase is not Phase.DRAINING:
                self._phase = phase

    async def watch_loop(self) -> None:
        """Records that the event loop runs, until cancelled."""
        while True:
            self._beat_s = time.monotonic()
            await asyncio.sleep(_BEAT_S)

    def health(self) -> tuple[HTTPStatus, str]:
        """Answers liveness: 200 unless the event loop stands still, which only a restart mends."""
        silent_s = time.monotonic() - self._beat_s
        if silent_s > self._longest_s:
            return HTTPStatus.SERVICE_UNAVAILABLE, f"the event loop has not run for {silent_s:.0f} s"
        return HTTPStatus.OK, "alive"

    def readiness(self) -> tuple[HTTPStatus, str]:
        """Answers readiness: 200 from the moment that a release is live until the gateway drains."""
        serving = self._phase is Phase.SERVING
        return (HTTPStatus.OK if serving else HTTPStatus.SERVICE_UNAVAILABLE), self._phase.value


def make_handler(registry: CollectorRegistry, vitals: Vitals) -> type[MetricsHandler]:
    """Makes the handler of the port: `/metrics`, `/healthz`, `/readyz`; nothing else is there."""

    class Handler(MetricsHandler):
        """Answers GET and HEAD."""

        def do_GET(self) -> None:
            """Answers by path; the query belongs to the metrics."""
            path = self.path.partition("?")[0]
            match path:
                case "/metrics" if self._for_probes():
                    self._say(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections; this one is for probes")
                case "/metrics":
                    super().do_GET()
                case "/healthz":
                    self._say(*vitals.health())
                case "/readyz":
                    self._say(*vitals.readiness())
                case _:
                    self._say(HTTPStatus.NOT_FOUND, "there are /metrics, /healthz and /readyz")

        def do_HEAD(self) -> None:
            """Answers as GET, without the body."""
            if self.path.partition("?")[0] == "/metrics":
                self.send_response(HTTPStatus.OK)
                self.end_headers()
            else:
                self.do_GET()

        def _for_probes(self) -> bool:
            kept = getattr(self.server, "is_for_probes", None)
            return kept is not None and kept(self.request)

        def _say(self, status: HTTPStatus, text: str) -> None:
            body = f"{text}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    Handler.registry = registry
    return Handler
