"""A release with trained parts behind the real Triton and the real gRPC, against what torch computes."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from core.events import EventSequence
from domain.event import Event as PastEvent
from domain.event import EventKind as PastKind
from domain.recommendation import RecommendQuery
from networks.storage import load_user_tower, tower_vectors
from networks.user_tower_ensemble import unit_states
from server.deadline import Deadline
from server.observability.metrics import Metrics
from server.recommender import Recommender
from server.release.loader import ReleaseLoader
from server.release.model_loader import ModelLoader
from server.trace import Trace
from shortlist import (
    Client,
    DegradationReason,
    Event,
    EventKind,
    RecallSource,
    RecommendRequest,
    Shortlist,
    ShortlistCallError,
)
from shortlist.requests import RecommendFields
from tests.conftest import skip_without_triton
from tests.support.running import RunningGateway, start_gateway, until
from tests.support.torch_triton import TorchTriton
from tests.support.trained import COUNT, item_ids
from training.sequence.packing import event_table, last_windows, pack
from training.sequence.user_tower.loss import packed_states

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("workshop")]

BOUGHT = ("item-03", "item-20", "item-31")


@pytest.fixture(scope="module")
def learned_gateway(workshop, trained_release, tmp_path_factory) -> Iterator[RunningGateway]:
    skip_without_triton()
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
    expected = asyncio.run(by_torch(workshop, trained_release, tmp_path, RecommendQuery(events=events, k=COUNT)))
    reply = client.recommend(events=[Event(item_id, EventKind.BUY) for item_id in BOUGHT], k=COUNT)
    assert reply.degradations == ()
    assert [item.id for item in reply.items] == [item.id for item in expected.items]
    found = [item.match_probability for item in reply.items]
    assert found == pytest.approx([item.match_probability for item in expected.items], abs=1e-5)
    assert all(0 <= probability <= 1 for probability in found)
    sources = {view.source for item in reply.items for view in item.provenance}
    assert {RecallSource.COLLABORATIVE, RecallSource.USER_TOWER, RecallSource.NEXT_ITEM} <= sources
    assert reply.stage_times.rank_triton_ms > 0


class TestChoices:
    """T7: a softmax over the request's candidates, which sums to 1."""

    events = tuple(Event(item_id, EventKind.BUY) for item_id in BOUGHT)

    @pytest.mark.parametrize("count", [1, 2, 20, 57])
    def test_over_a_callers_own_list(self, client, count: int) -> None:
        listed = [item_id for item_id in item_ids() if item_id not in BOUGHT][:count]
        items = client.recommend(events=self.events, candidate_item_ids=listed).items
        assert {item.id for item in items} == set(listed)
        self._is_softmax(items)

    def test_over_all_that_was_recalled_whatever_the_page_shows(self, client) -> None:
        items = client.recommend(events=self.events, k=COUNT).items
        ranked = [item for item in items if item.choice_probability is not None]
        assert len(ranked) > 20
        self._is_softmax(ranked)
        first = client.recommend(events=self.events, k=5).items
        assert [item.choice_probability for item in first] == [item.choice_probability for item in ranked[:5]]

    def test_over_texts_that_are_in_no_catalogue(self, client) -> None:
        ranking = client.rank("word3", ["word1 word2", "word3", "word4 word5 word6"])
        assert sum(result.choice_probability for result in ranking.results) == pytest.approx(1, abs=1e-6)

    @staticmethod
    def _is_softmax(items) -> None:
        logits = np.array([item.score for item in items], np.float64)
        assert (np.diff(logits) <= 0).all()
        shares = np.exp(logits - logits.max())
        found = [item.choice_probability for item in items]
        assert found == pytest.approx((shares / shares.sum()).tolist(), abs=1e-6)
        assert sum(found) == pytest.approx(1, abs=1e-6)


class TestStates:
    """T7: a state asked for event by event is the one computed at once, and later events never change it."""

    rows = (3, 20, 31, 7, 20, 44)
    kinds = (PastKind.BUY, PastKind.VIEW, PastKind.LIKE, PastKind.CLICK, PastKind.BUY, PastKind.SHARE)
    # Seconds before now; gaps that lie well within the tower's buckets.
    ages_s = (900_000, 800_000, 300_000, 100_000, 700, 0)

    def test_event_by_event_and_at_once(self, client, workshop, trained_release) -> None:
        by_event = [_tower_scores(self._ask(client, end)) for end in self._ends()]
        stated = self._at_once(workshop, trained_release)
        for served, scores in zip(by_event, stated, strict=True):
            assert len(served) > COUNT / 2
            assert served == pytest.approx({item_id: scores[item_id] for item_id in served}, abs=1e-6)
        assert by_event[0] != pytest.approx({item_id: stated[1][item_id] for item_id in by_event[0]}, abs=1e-3)

    def test_longer_histories_beside_it_change_nothing(self, client) -> None:
        alone = [_tower_scores(self._ask(client, end)) for end in self._ends()]
        together = client.batch_recommend([RecommendRequest(**self._fields(end)) for end in self._ends()])
        assert [_tower_scores(reply) for reply in together] == [pytest.approx(scores, abs=1e-6) for scores in alone]

    def _ends(self) -> range:
        return range(1, len(self.rows) + 1)

    def _ask(self, client: Client, end: int) -> Shortlist:
        return client.recommend(**self._fields(end))

    def _fields(self, end: int) -> RecommendFields:
        now = datetime.now(UTC)
        described = zip(self.rows[:end], self.kinds[:end], self.ages_s[:end], strict=True)
        events = [
            Event(item_ids()[row], EventKind[kind.name], time=now - timedelta(seconds=age_s))
            for row, kind, age_s in described
        ]
        return {"events": events, "candidate_item_ids": item_ids(), "include_seen": True}

    def _at_once(self, workshop, release) -> list[dict[str, float]]:
        """Returns the scores after each event, of one pass over the whole history as in training."""
        network = load_user_tower(workshop.model / "user_tower")
        content = torch.from_numpy(np.load(release.path / "vectors.npy"))
        kinds = np.array([list(PastKind).index(kind) for kind in self.kinds])
        history = EventSequence(np.array(self.rows), kinds, np.array(self.ages_s, np.float32))
        table, length = event_table([history]), network.shape.length
        batch = pack(table, last_windows(table, length), length)
        with torch.no_grad():
            states = network.joined([packed_states(member, batch, content) for member in network.members])
            scores = unit_states(states.flatten(0, 1)[: len(self.rows)]) @ tower_vectors(network, content).T
        return [dict(zip(item_ids(), row, strict=True)) for row in scores.tolist()]


def _tower_scores(reply: Shortlist) -> dict[str, float]:
    return {
        item.id: view.score
        for item in reply.items
        for view in item.provenance
        if view.source is RecallSource.USER_TOWER
    }


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
