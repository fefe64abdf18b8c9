"""The playground's page and its calls over HTTP on loopback, with bounds.

Only for the machine's own browser: other names in the Host header are refused (DNS rebinding), so are calls from pages
of other origins; a body is JSON of at most 64 KiB; no script but the page's own runs (Content-Security-Policy).
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET6, SHUT_WR
from time import monotonic
from typing import Any

import grpc
import structlog

from domain.errors import ConfigurationError, InvalidRequest, ShortlistError
from server.addresses import joined, split
from server.playground import Playground
from server.rpc.status import INTERNAL, status_of
from server.settings import Settings
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub

PAGE = Path(__file__).resolve().parent.parent / "playground"

Handler = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/playground.js": ("playground.js", "text/javascript; charset=utf-8"),
    "/playground.css": ("playground.css", "text/css; charset=utf-8"),
}
_MOST_BYTES = 65_536
_SILENT_S = 5.0
_ANSWER_S = 10.0
_LINGER_S = 2.0
_MOST_CONNECTIONS = 16
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """Refusal of an HTTP request."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class PlaygroundServer(ThreadingHTTPServer):
    """A server of one page and its calls, which run on the gateway's event loop."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        address: tuple[str, int],
        loop: asyncio.AbstractEventLoop,
        reads: Mapping[str, Handler],
        calls: Mapping[str, Handler],
    ) -> None:
        """Listens on the address; `start` serves.

        Args:
            address: of loopback; port 0 takes a free one.
            loop: on which the calls run.
            reads: answers to GET by path.
            calls: answers to POST of JSON by path.

        Raises:
            OSError: the address cannot be bound.
        """
        self._places = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._thread = threading.Thread(target=self.serve_forever, name="playground", daemon=True)
        self.loop, self.reads, self.calls = loop, reads, calls
        self.log = structlog.get_logger("playground")
        if ":" in address[0]:
            self.address_family = AF_INET6
        super().__init__(address, _PageHandler)

    @property
    def own_names(self) -> frozenset[str]:
        """The Host headers by which a browser of this machine reaches it."""
        return frozenset(f"{host}:{self.server_port}" for host in ("127.0.0.1", "localhost", "[::1]"))

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
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Answers a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Says nothing: a connection that breaks off is the caller's affair."""


class _PageHandler(BaseHTTPRequestHandler):
    """One request of the page."""

    server: PlaygroundServer
    timeout = _SILENT_S
    server_version = "shortlist"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, *_: object) -> None:
        """Says nothing: a text of the page is its reader's affair."""

    def _answer(self, work: Callable[[], None]) -> None:
        try:
            self._check_origin()
            work()
        except ConnectionError:  # the page asks anew with every key, and breaks off what it asked before
            self.close_connection = True
        except Refused as refused:
            self._say(refused.status, {"error": str(refused)})
            self._read_to_the_end()
        except ShortlistError as error:
            status = status_of(error) or INTERNAL
            code = HTTPStatus.BAD_REQUEST if isinstance(error, InvalidRequest) else HTTPStatus.SERVICE_UNAVAILABLE
            self._say(code, {"error": status.message})
        except (FutureTimeout, TimeoutError):
            self._say(HTTPStatus.GATEWAY_TIMEOUT, {"error": "the gateway did not answer in time"})
        except Exception:  # its text must not leave the process
            self.server.log.exception("playground call failed")
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "the gateway failed; its log has the cause"})

    def _read_to_the_end(self) -> None:
        """Reads what a refused caller still sends; closing before that resets the connection and loses the reply."""
        end = monotonic() + _LINGER_S
        with suppress(OSError):
            self.connection.shutdown(SHUT_WR)
            while (left := end - monotonic()) > 0:
                self.connection.settimeout(left)
                if not self.connection.recv(_MOST_BYTES):
                    break

    def _check_origin(self) -> None:
        host = self.headers.get("Host", "")
        if host not in self.server.own_names:
            raise Refused(HTTPStatus.FORBIDDEN, "this page answers to localhost alone")
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{host}":
            raise Refused(HTTPStatus.FORBIDDEN, "calls from pages of another origin are refused")

    def _get(self) -> None:
        path = self.path.partition("?")[0]
        if path in _FILES:
            name, kind = _FILES[path]
            self._send(HTTPStatus.OK, (PAGE / name).read_bytes(), kind)
        elif path in self.server.reads:
            self._run(self.server.reads[path], {})
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such page")

    def _post(self) -> None:
        call = self.server.calls.get(self.path)
        if call is None:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such call")
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "send Content-Length")
        if int(length) > _MOST_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {_MOST_BYTES:,} bytes")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "the body is not JSON") from error
        if not isinstance(body, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "the body must be an object")
        self._run(call, body)

    def _run(self, call: Handler, body: Mapping[str, object]) -> None:
        answer = asyncio.run_coroutine_threadsafe(_awaited(call, body), self.server.loop)
        try:
            self._say(HTTPStatus.OK, answer.result(_ANSWER_S))
        finally:
            answer.cancel()  # without effect on one that has ended

    def _say(self, status: HTTPStatus, answer: Mapping[str, object]) -> None:
        self._send(status, json.dumps(answer, ensure_ascii=False).encode(), "application/json; charset=utf-8")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


async def _awaited(call: Handler, body: Mapping[str, object]) -> Mapping[str, object]:
    return await call(body)


async def open_playground(settings: Settings, playground: Playground, stack: AsyncExitStack) -> str:
    """Serves the playground until the stack closes; returns its address.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    host, port = split(settings.playground_listen)
    if settings.playground_other is not None:
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(settings.playground_other))
        stub = RecommenderServiceStub(channel)
        playground = replace(playground, others={settings.playground_other: partial(_asked, stub)})
    try:
        server = PlaygroundServer(
            (host, port),
            asyncio.get_running_loop(),
            {"/api/facts": playground.facts},
            {"/api/recommend": playground.recommend, "/api/index": playground.index},
        )
    except OSError as error:
        raise ConfigurationError(
            f"playground_listen {settings.playground_listen}: {error.strerror or error}; "
            "choose another address with --playground-listen"
        ) from error
    server.start()
    stack.push_async_callback(asyncio.to_thread, server.close)
    return joined(host, server.server_port)


async def _asked(stub: RecommenderServiceStub, request: pb.RecommendRequest) -> pb.RecommendResponse:
    try:
        reply: pb.RecommendResponse = await stub.Recommend(request, timeout=_ANSWER_S / 2)
    except grpc.aio.AioRpcError as error:
        words = f"the other gateway answered {error.code().name}: {error.details()}"
        raise Refused(HTTPStatus.BAD_GATEWAY, words) from error
    return reply
