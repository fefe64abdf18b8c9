"""Several gateway processes on one port, over one Triton."""

import asyncio
import os
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from cli import serve
from domain.errors import ConfigurationError
from server import workers as module
from server.settings import Settings
from server.workers import Workers, worker_settings
from shortlist import Client
from tests.support.replicas import Caller
from tests.support.running import RunningGateway, start_gateway, until

_PLACES = {"address": "127.0.0.1:50051", "triton": "unix:/tmp/t"}


def of_worker(settings: Settings, **facts: object) -> Settings:
    known = {**_PLACES, "metrics_address": "127.0.0.1:8002", "bfloat16": True, **facts}
    return worker_settings(settings, 2, **known)  # type: ignore[arg-type]


class TestSettings:
    def test_a_worker_has_a_state_and_a_page_of_its_own(self) -> None:
        found = of_worker(Settings(metrics_listen="127.0.0.1:8002", playground=True))
        assert (found.listen, found.triton) == (_PLACES["address"], _PLACES["triton"])
        assert found.metrics_listen == "127.0.0.1:8004"
        assert found.state == Path("var/worker-2")
        assert not found.playground

    def test_beside_a_free_port_it_takes_a_free_one(self) -> None:
        found = of_worker(Settings(metrics_listen="127.0.0.1:0"), metrics_address="127.0.0.1:4711")
        assert found.metrics_listen == "127.0.0.1:0"

    def test_pseudonyms_are_made_with_one_key(self) -> None:
        assert of_worker(Settings(event_store="redis://a:1")).event_key_file == Path("var/users.key")
        assert of_worker(Settings(event_store="off")).event_key_file is None

    def test_all_compute_the_encoder_alike(self) -> None:
        assert of_worker(Settings()).precision == "bfloat16"
        assert of_worker(Settings(), bfloat16=False).precision == "float32"
        assert of_worker(Settings(triton="a:1")).precision == "auto"


_SAYS_NOTHING = "import sys; sys.stdin.read()"
_SERVES = "import sys; sys.stdin.readline(); print('SERVING 127.0.0.1:9', flush=True); "


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Workers]:
    """Two workers that run a program in place of a gateway."""

    def make(program: str) -> Workers:
        monkeypatch.setattr(module, "_COMMAND", (sys.executable, "-S", "-c", program))
        return Workers([Settings(drain_s=0, stop_grace_s=0.1)] * 2, embedded=False)

    return make


class TestSupervision:
    async def test_they_serve_until_they_are_stopped(self, two: Callable[[str], Workers]) -> None:
        workers = two(_SERVES + "sys.stdin.read()")
        assert await workers.open() == ["127.0.0.1:9"] * 2
        async with asyncio.timeout(10):
            await workers.aclose()

    @pytest.mark.parametrize("turns", [1, 2, 5, 20])
    async def test_a_stop_while_one_is_being_started_waits_for_nobody(
        self, two: Callable[[str], Workers], turns: int
    ) -> None:
        workers = two(_SAYS_NOTHING)
        opening = asyncio.create_task(workers.open())
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        async with asyncio.timeout(10):
            await workers.aclose()

    async def test_a_stop_before_all_serve_is_heard(self, two: Callable[[str], Workers]) -> None:
        workers = two(_SAYS_NOTHING)
        stopping = asyncio.create_task(asyncio.sleep(0.1, result=True))
        async with asyncio.timeout(10):
            assert await serve._opened(workers, stopping) is None
            await workers.aclose()

    async def test_one_that_hears_nothing_is_killed(
        self, two: Callable[[str], Workers], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_END_S", 0.1)
        workers = two(_SERVES + "import time; time.sleep(60)")
        await workers.open()
        with capture_logs() as logs:
            async with asyncio.timeout(10):
                await workers.aclose()
        assert [line["count"] for line in logs] == [2]

    async def test_one_that_ends_again_and_again_is_started_ever_less_often(
        self, two: Callable[[str], Workers], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_RESTART_FIRST_S", 0.01)
        monkeypatch.setattr(module, "_RESTART_LONGEST_S", 0.03)
        workers = two(_SERVES + "sys.exit(3)")
        with capture_logs() as logs:
            await workers.open()
            async with asyncio.timeout(20):
                while len(logs) < 8:
                    await asyncio.sleep(0.01)
                await workers.aclose()
        assert {line["why"] for line in logs} == {"ended with 3"}
        assert [line["pause_s"] for line in logs if line["worker"] == 1][:3] == [0.01, 0.02, 0.03]

    async def test_one_that_cannot_be_started_is_told(
        self, two: Callable[[str], Workers], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        workers = two("")
        monkeypatch.setattr(module, "_COMMAND", ("/no/such/program",))
        async with asyncio.timeout(10):
            with pytest.raises(ConfigurationError, match="worker 1 cannot be started: No such file"):
                await workers.open()
            await workers.aclose()

    async def test_one_that_ends_before_it_serves_is_told(self, two: Callable[[str], Workers]) -> None:
        workers = two("import sys; sys.exit(1)")
        async with asyncio.timeout(10):
            with pytest.raises(ConfigurationError, match=r"worker \d ended with 1 before it served"):
                await workers.open()
            await workers.aclose()


@pytest.fixture(scope="module")
def workers(
    gateway: RunningGateway, releases: Path, model_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    words = ("--workers", "2", "--fixed-catalogue", "--event-store", "off", "--triton", gateway.triton_address)
    folders = ("--releases", str(releases), "--model-repository", str(model_repository))
    running = start_gateway(tmp_path_factory.mktemp("workers"), *words, *folders, command="serve")
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
class TestTwoProcesses:
    def test_each_answers_and_counts_its_calls(self, workers: RunningGateway) -> None:
        pages = [workers.metrics_address, *re.findall(r"worker \d+ http://(\S+)/metrics", workers.text())]
        assert len(pages) == 2

        def counts() -> list[float]:
            # A connection stays with one process; each caller here has its own.
            with Client(workers.address, deadline_s=10) as client:
                assert client.recommend("jumper").items
            return [calls_on(page) for page in pages]

        until(lambda: min(counts()) > 0, 30, "both processes answer")

    def test_a_worker_that_died_is_started_again(self, workers: RunningGateway) -> None:
        (worker,) = psutil.Process(workers.process.pid).children()
        os.kill(worker.pid, signal.SIGKILL)

        def again() -> bool:
            others = [one for one in psutil.Process(workers.process.pid).children() if one.pid != worker.pid]
            return bool(others) and workers.text().count('"event": "serving"') >= 3

        until(again, 120, "another worker serves")

    def test_a_stop_under_load_costs_no_answered_call_and_leaves_nobody(self, workers: RunningGateway) -> None:
        children = psutil.Process(workers.process.pid).children()
        callers = [Caller(workers.address) for _ in range(4)]
        time.sleep(1)
        try:
            assert workers.stop() == 0
        finally:
            for caller in callers:
                caller.close()
        # Nobody listens any more, which is UNAVAILABLE; what was taken was answered.
        assert {code for caller in callers for code in caller.outcomes} <= {"OK", "UNAVAILABLE"}
        assert sum(caller.outcomes["OK"] for caller in callers) > 10
        until(lambda: not any(child.is_running() for child in children), 10, "the workers ended")


def calls_on(page: str) -> float:
    with urllib.request.urlopen(f"http://{page}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("shortlist_calls_total"))
