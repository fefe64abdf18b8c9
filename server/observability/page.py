"""Metrics and probes over plain HTTP, with bounds: time for each connection, connections at once."""

import contextlib
import threading
from http.server import HTTPServer
from socket import AF_INET6, SHUT_RDWR, socket
from socketserver import ThreadingMixIn
from typing import Any

from prometheus_client import CollectorRegistry

from server.observability.probes import Vitals, make_handler

_MOST_CONNECTIONS = 8
# Beyond these, for probes alone: a scraper that is stuck must not have the gateway restarted.
_PROBE_CONNECTIONS = 2
_PROBE_S = 1.0
_SILENT_S = 5.0
_WHOLE_S = 10.0


class MetricsPage(ThreadingMixIn, HTTPServer):
    """A server of metrics and probes. A connection beyond the most at once is closed, so is one that takes long."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, host: str, port: int, registry: CollectorRegistry, vitals: Vitals) -> None:
        """Listens on the address; `start` serves.

        Raises:
            OSError: the address cannot be bound.
        """
        self._places = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._probe_places = threading.BoundedSemaphore(_PROBE_CONNECTIONS)
        self._probes: set[Any] = set()
        self._thread = threading.Thread(target=self.serve_forever, name="metrics", daemon=True)
        if ":" in host:
            self.address_family = AF_INET6
        handler = make_handler(registry, vitals)
        handler.timeout = _SILENT_S
        super().__init__((host, port), handler)

    def start(self) -> None:
        """Serves in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Stops listening; connections under way end by themselves."""
        self.shutdown()
        self.server_close()
        self._thread.join(5)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- as the base class
        """Hands a connection to a thread, or closes it where there are too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        elif self._probe_places.acquire(blocking=False):
            self._probes.add(request)
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def is_for_probes(self, request: Any) -> bool:  # noqa: ANN401
        """Returns whether a connection has a place that is kept for probes."""
        return request in self._probes

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Answers a connection, which is closed at the latest when its time is over."""
        # A caller who sends a byte now and then never runs into the time for silence.
        probe = self.is_for_probes(request)
        end = threading.Timer(_PROBE_S if probe else _WHOLE_S, _end, (request,))
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._probes.discard(request)
            (self._probe_places if probe else self._places).release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Says nothing: a connection that breaks off is the caller's affair."""


def _end(connection: socket) -> None:
    """Ends a connection under its handler, which then reads its end; the handler closes it."""
    with contextlib.suppress(OSError):
        connection.shutdown(SHUT_RDWR)
