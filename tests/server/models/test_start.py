"""A release is loaded into the real Triton, whose processes die or stand still while they are first asked."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from domain.errors import ModelUnavailable, ReleaseRejected, TritonUnresponsive
from domain.progress import LineProgress, SilentProgress
from server.models.start import start_model
from server.observability.metrics import Metrics
from server.release.loader import ReleaseLoader
from server.release.model_loader import ModelLoader
from server.triton.client import TritonClient
from server.triton.embedded import EmbeddedTriton, EmbeddedTritonSettings
from tests.support.running import ROOT

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("workshop")]


class HarmedTriton(TritonClient):
    """Does something bad right before the first question to one model, and does what follows once that was answered."""

    def __init__(self, address: str, model: str, harm: Callable[[], Callable[[], None] | None]):
        super().__init__(address)
        self.model = model
        self.harm = harm

    async def infer(self, model, *arguments, **how):
        with self.harmed(model):
            return await super().infer(model, *arguments, **how)

    @contextlib.contextmanager
    def harmed(self, model):
        after = None
        if model == self.model:
            self.model, after = "", self.harm()
        try:
            yield
        finally:
            if after is not None:
                after()


def newest_stub(server_pid: int) -> psutil.Process:
    stubs = [one for one in psutil.Process(server_pid).children() if "python_backend" in " ".join(one.cmdline())]
    return max(stubs, key=lambda one: (one.create_time(), one.pid))


def kill_server(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def kill_process(pid: int) -> None:
    newest_stub(pid).kill()


def stall_process(pid: int) -> Callable[[], None]:
    """It goes on once Triton has given it up: its late answer may end tritonserver."""
    stub = newest_stub(pid)
    stub.suspend()
    return stub.resume


@pytest.mark.parametrize(
    ("model", "harm"),
    [("encoder", kill_process), ("encoder", stall_process), ("encoder", kill_server), ("ranker", kill_process)],
)
async def test_an_unresponsive_model_is_restarted_while_a_release_is_loaded(trained_release, tmp_path, model, harm):
    env = ROOT / ".venv-triton"
    if not (env / "bin" / "python").exists():
        pytest.skip("no Triton environment (.venv-triton); `make setup` makes it")
    repository, steps = tmp_path / "models", []
    repository.mkdir()
    settings = EmbeddedTritonSettings(env, repository, tmp_path / "state", tmp_path / "triton.log", exit_timeout_s=0)
    async with EmbeddedTriton(settings, _nothing) as triton:
        client = HarmedTriton(triton.grpc_address, model, lambda: harm(triton.pid))
        with ThreadPoolExecutor(2) as workers:
            async with client:
                models = ModelLoader(client, repository, workers, shared=False)
                live = await ReleaseLoader(models, Metrics(), 0.3).load(trained_release, LineProgress(steps.append))
                assert sum("unresponsive" in step for step in steps) >= 1
                for served in live.models():
                    await served.check(30)
                await live.encoder.batcher.aclose()


async def test_only_an_unresponsive_triton_is_tried_again_and_not_for_ever():
    class Live:
        async def wait_until_live(self, timeout_s):
            starts.append("waited")

    async def always(*, afresh):
        starts.append(afresh)
        raise error

    for error, expected in (
        (TritonUnresponsive("gone"), [False, "waited", True, "waited", True]),
        (ModelUnavailable("index out of range"), [False]),
        (ReleaseRejected("another model"), [False]),
    ):
        starts: list = []
        with pytest.raises(type(error), match=str(error)):
            await start_model(always, Live(), SilentProgress())
        assert starts == expected


async def _nothing() -> None:
    await asyncio.sleep(0)
