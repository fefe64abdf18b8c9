"""The playground's server: what it answers, and what it refuses, over real sockets."""

import asyncio
import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from domain.errors import ConfigurationError, FieldViolation, InvalidRequest
from server.playground import Playground
from server.settings import load_configuration
from server.web import PlaygroundServer
from tests.support.running import RunningGateway

_CANCELLED = threading.Event()


async def _echo(body: Mapping[str, object]) -> Mapping[str, object]:
    if body.get("text") == "bad":
        raise InvalidRequest(FieldViolation("text", "must be good"))
    if body.get("text") == "fault":
        raise RuntimeError("a secret of the process")
    if body.get("text") == "slow":
        await asyncio.sleep(0.2)
    if body.get("text") == "never":
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            _CANCELLED.set()
            raise
    return {"got": body}


@pytest.fixture(scope="module")
def server() -> Iterator[PlaygroundServer]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = PlaygroundServer(("127.0.0.1", 0), loop, {"/api/facts": _echo}, {"/api/recommend": _echo})
    server.start()
    yield server
    server.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def call(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def post(server, body, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return call(server, "POST", "/api/recommend", raw, **({"Content_Type": "application/json"} | headers))


def test_the_page_and_its_parts_come_with_a_policy_and_without_foreign_addresses(server):
    for path, kind in (("/", "text/html"), ("/playground.js", "text/javascript"), ("/playground.css", "text/css")):
        response, content = call(server, "GET", path)
        assert response.status == 200
        assert response.getheader("Content-Type").startswith(kind)
        policy = response.getheader("Content-Security-Policy")
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.getheader("Access-Control-Allow-Origin") is None
        assert response.getheader("X-Content-Type-Options") == "nosniff"
        text = content.decode()
        assert "://" not in text
        assert "innerHTML" not in text


def test_only_names_of_this_machine_are_answered(server):
    port = server.server_port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil.example:{port}", ""):
        assert call(server, "GET", "/", Host=host)[0].status == 403
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
        assert call(server, "GET", "/", Host=host)[0].status == 200


def test_calls_from_pages_of_another_origin_are_refused(server):
    own = f"http://127.0.0.1:{server.server_port}"
    assert post(server, {}, Origin=own)[0].status == 200
    for origin in (
        "http://evil.example",
        "null",
        own.replace("http", "https"),
        f"http://localhost:{server.server_port}",
    ):
        assert post(server, {}, Origin=origin)[0].status == 403
    # What a form, or a page without leave, can send.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert post(server, {}, Content_Type=kind)[0].status == 415
    assert call(server, "OPTIONS", "/api/recommend", Origin="http://evil.example")[0].status == 501


def test_bodies_are_bounded_and_must_be_objects(server):
    assert json.loads(post(server, {"text": "tea"})[1]) == {"got": {"text": "tea"}}
    for size in (65_537, 3_000_000):
        assert post(server, b" " * size)[0].status == 413
    for body in (b"", b"{", b"[]", b"3", b"\xff", b"[" * 60_000):
        assert post(server, body)[0].status == 400
    response, _ = call(server, "POST", "/api/recommend", iter([b"{}"]), Content_Type="application/json")
    assert response.status == 411
    assert call(server, "POST", "/api/nothing", b"{}", Content_Type="application/json")[0].status == 404
    assert call(server, "GET", "/../server/web.py")[0].status == 404


def test_a_refusal_says_why_and_a_fault_keeps_its_text(server):
    response, content = post(server, {"text": "bad"})
    assert (response.status, json.loads(content)) == (400, {"error": "text: must be good"})
    response, content = post(server, {"text": "fault"})
    assert response.status == 500
    assert b"secret" not in content


def test_a_call_that_its_page_breaks_off_is_not_a_fault(server, monkeypatch):
    faults, ended = [], threading.Event()
    close = server.shutdown_request
    monkeypatch.setattr(server, "log", SimpleNamespace(exception=faults.append))
    monkeypatch.setattr(server, "shutdown_request", lambda request: (close(request), ended.set()))
    body = json.dumps({"text": "slow"})
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(
            f"POST /api/recommend HTTP/1.1\r\nHost: localhost:{server.server_port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert ended.wait(10)
    assert faults == []


def test_a_call_without_an_answer_is_given_up(server, monkeypatch):
    monkeypatch.setattr("server.web._ANSWER_S", 0.1)
    assert post(server, {"text": "never"})[0].status == 504
    assert _CANCELLED.wait(10)


def test_deleted_items_are_not_counted():
    catalogue = SimpleNamespace(item_count=2, blocked_by=lambda _: np.array([False, True, False]))
    encoder = SimpleNamespace(encoder=SimpleNamespace(name="e5"))
    release = SimpleNamespace(release_id="r", catalogue=catalogue, manifest=encoder)
    with ThreadPoolExecutor(1) as comparer:
        facts = asyncio.run(Playground(None, lambda: release, comparer, 100).facts({}))
    assert facts["item_count"] == 2


def test_the_page_is_served_on_the_loopback_of_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = PlaygroundServer(("::1", 0), asyncio.new_event_loop(), {}, {})
    server.start()
    connection = http.client.HTTPConnection("::1", server.server_port, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()
    server.close()
    server.loop.close()


def test_the_playground_is_served_on_loopback_alone():
    for address in ("0.0.0.0:8472", "192.0.2.1:8472", "example.org:1"):
        with pytest.raises(ConfigurationError, match="loopback alone"):
            load_configuration(None, {}, {"playground_listen": address})
    assert load_configuration(None, {}, {}).settings.playground is False


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
class TestGateway:
    """Calls of the page to the real gateway."""

    @staticmethod
    def ask(gateway: RunningGateway, call: str, body: object) -> tuple[int, dict]:
        address = gateway.playground.removeprefix("http://").rstrip("/")
        connection = http.client.HTTPConnection(address, timeout=20)
        connection.request("POST", f"/api/{call}", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def test_a_list_is_the_gateways_own(self, gateway, client):
        status, reply = self.ask(gateway, "recommend", {"text": "a quiet film about the sea", "k": 5})
        assert status == 200
        own = client.recommend("a quiet film about the sea", k=5)
        assert [item["id"] for item in reply["items"]] == [item.id for item in own.items]
        assert reply["stage_times"]["total"] > 0
        events = [{"item_id": "goods-moka-pot", "kind": "LIKE"}]
        _, other = self.ask(gateway, "recommend", {"text": "a present", "events": events, "diversity": 0.9, "k": 5})
        assert any(item["arranged_by"] for item in other["items"])

    @pytest.mark.parametrize(
        "body",
        [
            {"text": 3},
            {"text": "\ud800"},
            {"text": " "},
            {"k": 0},
            {"k": "many"},
            {"k": True},
            {"events": {}},
            {"events": [3]},
            {"events": [{"item_id": "a", "kind": "GUESS"}]},
            {"events": [{"kind": "BUY"}]},
            {"events": [{"item_id": "a", "kind": "BUY"}] * 201},
            {"diversity": "much"},
            {"diversity": 3},
            {"scene": "nowhere"},
            {"gateway": "127.0.0.1:1"},
            {"personalization": [1]},
            {"personalization": 10**400},
            {"personalization": float("nan")},
            {"diversity": float("inf")},
            {"seed": float("nan")},
            {"seed": 1e30},
            {"seed": 2**63},
            {"seed": True},
            {"gateway": []},
            {"text": "\0"},
        ],
    )
    def test_a_request_that_is_not_one_is_refused(self, gateway, body):
        status, reply = self.ask(gateway, "recommend", body)
        assert (status, list(reply)) == (400, ["error"])

    def test_the_index_is_compared_with_every_item(self, gateway):
        status, reply = self.ask(gateway, "index", {"text": "coffee", "k": 10})
        assert status == 200
        assert reply["recall"] == 1.0
        assert [item["id"] for item in reply["index"]] == [item["id"] for item in reply["exact"]]
        texts = ("", "\ud800", "tea\0", "a" * 20_000)
        for body in (*({"text": text} for text in texts), {"text": "tea", "k": 101}, {"text": "tea", "k": True}, {}):
            assert self.ask(gateway, "index", body)[0] == 400
