"""The Prometheus page and callers who mean no good."""

import contextlib
import http.client
import socket
import threading
import time

import pytest
from prometheus_client import CollectorRegistry, Counter

from server.observability import page as page_module
from server.observability.page import MetricsPage
from server.observability.probes import Vitals


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(page_module, "_SILENT_S", 0.3)
    monkeypatch.setattr(page_module, "_WHOLE_S", 0.6)
    registry = CollectorRegistry()
    Counter("asked", "Times.", registry=registry).inc()
    served = MetricsPage("127.0.0.1", 0, registry, Vitals())
    served.start()
    with contextlib.closing(served):
        yield served


def get(page):
    connection = http.client.HTTPConnection("127.0.0.1", page.server_port, timeout=5)
    connection.request("GET", "/metrics")
    return connection.getresponse().read()


def test_it_shows_the_metrics(page):
    assert b"asked_total 1.0" in get(page)


def test_silent_connections_are_closed_and_take_no_thread_each(page):
    before = threading.active_count()
    silent = [socket.create_connection(("127.0.0.1", page.server_port)) for _ in range(100)]
    time.sleep(0.1)
    assert threading.active_count() - before <= 2 * (page_module._MOST_CONNECTIONS + 2)  # each with its timer
    time.sleep(0.6)
    assert b"asked_total" in get(page)
    for each in silent:
        each.settimeout(2)
        with contextlib.suppress(ConnectionResetError):
            assert each.recv(1) == b""
        each.close()


def test_a_byte_now_and_then_does_not_hold_a_connection(page, capfd):
    with socket.create_connection(("127.0.0.1", page.server_port)) as slow:
        started = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - started < 5:
                slow.sendall(b"G")
                time.sleep(0.05)
        assert time.monotonic() - started < 2
    assert capfd.readouterr().err == ""


def test_probes_are_answered_while_others_hold_every_connection(page, monkeypatch):
    monkeypatch.setattr(page_module, "_SILENT_S", 30.0)
    held = [socket.create_connection(("127.0.0.1", page.server_port)) for _ in range(page_module._MOST_CONNECTIONS)]
    time.sleep(0.1)
    connection = http.client.HTTPConnection("127.0.0.1", page.server_port, timeout=5)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection = http.client.HTTPConnection("127.0.0.1", page.server_port, timeout=5)
    connection.request("GET", "/metrics")
    assert connection.getresponse().status == 503
    for each in held:
        each.close()
