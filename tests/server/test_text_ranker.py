"""A text's candidates get probabilities by the text ranker, through the real Triton; without it the order stands."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.ranking.blend import Blend
from server.observability.metrics import Metrics
from server.release.loader import ReleaseLoader
from server.release.model_loader import ModelLoader
from shortlist import Client, Event, EventKind
from tests.conftest import skip_without_triton
from tests.support.counted_source import Counted, with_sources
from tests.support.running import RunningGateway, start_gateway
from tests.support.served import HISTORY, REASONS, Served, reasons
from tests.support.small_model import write_model
from tests.support.torch_triton import TorchTriton
from tests.support.trained import COUNT, WIDTH, item_ids

pytestmark = pytest.mark.xdist_group("workshop")

PARTS = ("collaborative", "user_tower", "ranker", "text_ranker")
TEXT = "word3 word21"
BOUGHT = [Event("item-03", EventKind.BUY), Event("item-20", EventKind.BUY)]


@pytest.fixture(scope="module")
def model(workshop, tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("text") / "model", item_ids(), dimension=WIDTH, parts=PARTS)


@pytest.fixture(scope="module")
def release(workshop, model):
    return workshop.build(model, promote=False, accept_worse=True)


@pytest.fixture
async def served(model, release, tmp_path):
    triton = TorchTriton(model, release.path / "models/encoder.onnx", np.arange(COUNT))
    with ThreadPoolExecutor(2) as workers:
        loader = ReleaseLoader(ModelLoader(triton, tmp_path / "models", workers, shared=False), Metrics(), 0.3)
        live = await loader.load(release)
        yield Served(live, triton, workers)
        await live.encoder.batcher.aclose()


def test_the_release_holds_it_to_what_torch_computes(release):
    entry = release.manifest.models["text_ranker"]
    assert entry.parity_worst_difference <= 1e-5
    assert {"text_score", "history_z"} <= set(entry.feature_names)
    assert {"models/text_ranker.onnx", "text_scaler.json"} <= set(release.manifest.files)
    assert "training/text_ranker/model.safetensors" in release.manifest.files


async def test_a_text_alone_has_probabilities_that_sum_to_one(served):
    answer = await served.ask(text=TEXT, k=COUNT)
    assert answer.degradations == ()
    ranked = [item for item in answer.items if item.choice_probability is not None]
    assert len(ranked) > 20
    assert sum(item.choice_probability for item in ranked) == pytest.approx(1, abs=1e-6)
    assert all(0 < item.match_probability < 1 for item in ranked)
    assert served.triton.asked.count("text_ranker") - served.triton.asked.count("ranker") > 0
    few = await served.ask(text=TEXT, k=3)
    assert [item.choice_probability for item in few.items] == [item.choice_probability for item in answer.items[:3]]


async def test_a_history_changes_them_unless_it_is_not_to_count(served):
    def shares(answer):
        return {item.id: item.choice_probability for item in answer.items if item.choice_probability is not None}

    rows = [item_id for item_id in item_ids() if item_id not in {event.item_id for event in HISTORY}]
    alone, beside, without = [
        shares(await served.ask(text=TEXT, k=COUNT, candidate_item_ids=tuple(rows), **fields))
        for fields in ({}, {"events": HISTORY}, {"events": HISTORY, "personalization": 0.0})
    ]
    assert alone.keys() == beside.keys() == without.keys() == set(rows)
    assert max(abs(alone[item_id] - beside[item_id]) for item_id in rows) > 1e-4
    assert without == pytest.approx(alone, abs=1e-7)


async def test_candidates_are_scored_once_for_the_ranker_and_the_order(served):
    source = Counted("weighted")
    served.without(blend=Blend({"weighted": 1.0}))
    with_sources(served, source)
    for away in (set(), {"text_ranker"}):
        source.scored, served.triton.away = 0, away
        answer = await served.ask(text=TEXT, events=HISTORY, k=5)
        assert "weighted" in {view.source for item in answer.items for view in item.provenance}
        assert source.scored == 1


async def test_without_it_the_order_is_the_same(served):
    whole = await served.ask(text=TEXT, k=10, events=HISTORY)
    served.triton.away = {"text_ranker"}
    degraded = await served.ask(text=TEXT, k=10, events=HISTORY)
    assert reasons(degraded) == [REASONS.RANKER_UNAVAILABLE]
    assert "text ranker" in degraded.degradations[0].detail
    assert [item.id for item in degraded.items] == [item.id for item in whole.items]
    assert all(item.choice_probability is None and item.match_probability is None for item in degraded.items)


async def test_a_history_alone_is_ranked_by_the_ranker(served):
    served.triton.away = {"text_ranker"}
    answer = await served.ask(events=HISTORY, k=10)
    assert answer.degradations == ()
    assert any(item.match_probability is not None for item in answer.items)


@pytest.fixture(scope="module")
def gateway(release, tmp_path_factory) -> Iterator[RunningGateway]:
    skip_without_triton()
    folder = tmp_path_factory.mktemp("text-gateway")
    flags = ("--release", str(release.path), "--model-repository", str(folder / "models"), "--precision", "float32")
    running = start_gateway(folder, *flags)
    yield running
    assert running.stop() == 0, running.text()


@pytest.mark.triton
async def test_through_the_real_triton_as_by_torch(gateway, served):
    expected = await served.ask(text=TEXT, k=COUNT)
    with Client(gateway.address, deadline_s=10.0) as client:
        reply = client.recommend(TEXT, k=COUNT)
        with_history = client.recommend(TEXT, events=BOUGHT, k=COUNT)
    assert [item.id for item in reply.items] == [item.id for item in expected.items]
    for found, known in zip(reply.items, expected.items, strict=True):
        assert found.choice_probability == pytest.approx(known.choice_probability, abs=1e-5)
        assert found.match_probability == pytest.approx(known.match_probability, abs=1e-5)
    for answer in (reply, with_history):
        shares = [item.choice_probability for item in answer.items if item.choice_probability is not None]
        assert sum(shares) == pytest.approx(1, abs=1e-6)
    assert reply.stage_times.rank_triton_ms > 0
