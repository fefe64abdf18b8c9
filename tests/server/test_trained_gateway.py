"""A release with trained parts behind the real Triton and the real gRPC, against what torch computes."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from domain.event import Event as PastEvent
from domain.event import EventKind as PastKind
from domain.recommendation import RecommendQuery
from server.deadline import Deadline
from server.observability.metrics import Metrics
from server.recommender import Recommender
from server.release.loader import ModelLoader, ReleaseLoader
from server.trace import Trace
from shortlist import Client, DegradationReason, Event, EventKind, RecallSource, ShortlistCallError
from tests.conftest import TRITON_ENV
from tests.support.running import RunningGateway, start_gateway, until
from tests.support.torch_triton import TorchTriton
from tests.support.trained import COUNT

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("workshop")]

BOUGHT = ("item-03", "item-20", "item-31")


@pytest.fixture(scope="module")
def learned_gateway(workshop, trained_release, tmp_path_factory) -> Iterator[RunningGateway]:
    if not (TRITON_ENV / "bin" / "python").exists():
        pytest.skip("no Triton environment (.venv-triton); `make setup` makes it")
    folder = tmp_path_factory.mktemp("learned")
    running = start_gateway(
        folder, "--release", str(trained_release.path), "--model-repository", str(folder / "models")
    )
    yield running
    assert running.stop() == 0, running.text()


@pytest.fixture
def client(learned_gateway) -> Iterator[Client]:
    with Client(learned_gateway.address, deadline_s=10.0) as client:
        yield client


async def by_torch(workshop, release, folder: Path, query: RecommendQuery):
    triton = TorchTriton(workshop.model, release.path / "models/encoder.onnx", np.arange(COUNT))
    with ThreadPoolExecutor(2) as workers:
        models = ModelLoader(triton, folder, workers, shared=False)
        live = await ReleaseLoader(models, Metrics(), 0.3).load(release)
        answer = await Recommender(lambda: live, workers, 0.3).recommend(query, Deadline.after(30), Trace())
        await live.encoder.batcher.aclose()
        return answer


def test_triton_ranks_as_torch_does(client, workshop, trained_release, tmp_path):
    events = tuple(PastEvent(item_id, PastKind.BUY) for item_id in BOUGHT)
    expected = asyncio.run(by_torch(workshop, trained_release, tmp_path, RecommendQuery(events=events, k=30)))
    reply = client.recommend(events=[Event(item_id, EventKind.BUY) for item_id in BOUGHT], k=30)
    assert reply.degradations == ()
    assert [item.id for item in reply.items] == [item.id for item in expected.items]
    found = [item.match_probability for item in reply.items]
    assert found == pytest.approx([item.match_probability for item in expected.items], abs=1e-5)
    assert all(0 <= probability <= 1 for probability in found)
    sources = {view.source for item in reply.items for view in item.provenance}
    assert {RecallSource.COLLABORATIVE, RecallSource.USER_TOWER, RecallSource.NEXT_ITEM} <= sources
    assert reply.stage_times.rank_triton_ms > 0


def test_nothing_known_is_answered_by_what_is_popular(client):
    reply = client.recommend(events=[Event("never-heard-of", EventKind.BUY)], k=3)
    assert [item.id for item in reply.items] == ["item-00", "item-01", "item-02"]
    assert reply.unknown_item_ids == ("never-heard-of",)


def test_killing_triton_degrades_the_answers_until_all_models_are_back(learned_gateway, client):
    events = [Event(item_id, EventKind.BUY) for item_id in BOUGHT]

    def full() -> bool:
        with contextlib.suppress(ShortlistCallError):
            reasons = {one.reason for one in client.recommend("word5 word6", events=events).degradations}
            return reasons <= {DegradationReason.NOTHING_RELEVANT}
        return False

    before = [item.id for item in client.recommend(events=events).items]
    children = psutil.Process(learned_gateway.process.pid).children(recursive=True)
    next(one for one in children if "tritonserver" in one.name()).send_signal(signal.SIGKILL)
    reply = client.recommend("word5 word6", events=events)
    assert len(reply.items) == 10
    assert {one.reason for one in reply.degradations} == {
        DegradationReason.ENCODER_UNAVAILABLE,
        DegradationReason.USER_TOWER_UNAVAILABLE,
        DegradationReason.RANKER_UNAVAILABLE,
    }
    assert {item.match_probability for item in reply.items} == {None}
    until(full, 60, "full answers again")
    assert [item.id for item in client.recommend(events=events).items] == before
