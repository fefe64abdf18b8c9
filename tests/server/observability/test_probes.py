import asyncio
import contextlib
import signal
import threading
import urllib.error
import urllib.request
from functools import partial

import pytest
from prometheus_client import CollectorRegistry, Counter

from domain.progress import LineProgress
from server.app import Gateway
from server.observability.page import MetricsPage
from server.observability.probes import Phase, Vitals
from server.settings import load_configuration
from tests.support.running import start_gateway, until


def fetch(address, path, method="GET"):
    request = urllib.request.Request(f"http://{address}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def registry():
    registry = CollectorRegistry()
    Counter("tea", "Cups.", registry=registry).inc()
    return registry


@pytest.fixture
def ask(registry):
    """Asks a real port over a gateway's vitals, which the test changes."""
    vitals = Vitals()
    page = MetricsPage("127.0.0.1", 0, registry, vitals)
    page.start()
    with contextlib.closing(page):
        get = partial(fetch, f"127.0.0.1:{page.server_port}")
        get.vitals = vitals
        yield get


def test_readiness_follows_the_life_of_a_gateway(ask):
    assert ask("/readyz") == (503, "starting: no release is live yet\n")
    ask.vitals.enter(Phase.SERVING)
    assert ask("/readyz") == (200, "serving\n")
    ask.vitals.enter(Phase.DRAINING)
    assert ask("/readyz")[0] == 503 and "draining" in ask("/readyz")[1]
    ask.vitals.enter(Phase.SERVING)  # a release that becomes live while the gateway stops
    assert ask("/readyz")[0] == 503
    assert ask("/healthz") == (200, "alive\n")


def test_metrics_have_one_path_and_nothing_else_is_there(ask):
    assert "tea_total 1.0" in ask("/metrics")[1]
    assert ask("/metrics?name[]=none_total") == (200, "")
    for path in ("/", "/metrics/", "/healthz/x", "/anything"):
        status, text = ask(path)
        assert status == 404 and "tea" not in text
    assert ask("/metrics", "POST")[0] == 501
    assert ask("/readyz", "HEAD") == (503, "") and ask("/metrics", "HEAD") == (200, "")


async def test_a_loop_that_stands_still_is_dead():
    vitals = Vitals(longest_standstill_s=0.2)
    watch = asyncio.create_task(vitals.watch_loop())
    await asyncio.sleep(0)
    assert vitals.health()[0] == 200
    threading.Event().wait(0.3)  # in the loop's own thread
    status, text = vitals.health()
    assert status == 503 and "event loop" in text
    watch.cancel()


class Looked(Exception):
    pass


async def test_a_gateway_that_starts_is_alive_and_not_ready(releases):
    """Asks from inside the start, when it has come to its Triton."""
    seen = {}

    def look(step):
        if "Triton" in step:
            seen.update({path: fetch(gateway.metrics_address, path)[0] for path in ("/healthz", "/readyz", "/metrics")})
            raise Looked

    flags = {"listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0", "releases": str(releases)}
    gateway = Gateway(load_configuration(None, {}, flags).settings, LineProgress(look))
    with pytest.raises(Looked):
        await gateway.open()
    assert seen == {"/healthz": 200, "/readyz": 503, "/metrics": 200}


@pytest.mark.triton
def test_a_gateway_that_drains_is_alive_and_not_ready(releases, tmp_path):
    running = start_gateway(
        tmp_path, "--releases", str(releases), "--model-repository", str(tmp_path / "models"), "--drain-s", "4"
    )
    try:
        assert fetch(running.metrics_address, "/readyz") == (200, "serving\n")
        running.process.send_signal(signal.SIGTERM)
        until(lambda: fetch(running.metrics_address, "/readyz")[0] == 503, 3, "it is no longer ready")
        assert "draining" in fetch(running.metrics_address, "/readyz")[1]
        assert fetch(running.metrics_address, "/healthz")[0] == fetch(running.metrics_address, "/metrics")[0] == 200
    finally:
        assert running.process.wait(timeout=30) == 0
