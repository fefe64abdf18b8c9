"""A recall source added from outside: one registered class is fitted, blended, evaluated, packed, served, explained."""

import csv
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from core.events import EventSequence
from core.ranking.blend import Blend
from core.retrieval.registry import TABLE_SOURCES
from core.retrieval.source import SourceQuery, SourceScores
from core.scaling import Population
from core.vectors import top_rows
from domain.event import Event, EventKind
from domain.progress import SilentProgress
from domain.recommendation import RecommendQuery
from server.deadline import Deadline
from server.observability.metrics import Metrics
from server.recommender import Recommender
from server.release.loader import ReleaseLoader
from server.release.model_loader import ModelLoader
from server.rpc.call import Call
from server.rpc.reply import recommend_reply
from server.trace import Trace
from shortlist.v1 import recommender_pb2 as pb
from tests.support.torch_triton import TorchTriton
from tests.support.trained import COUNT, item_ids, make_workshop
from training.evaluation.trained import HYBRID, ModelInputs, trained_methods
from training.ranking.recall_settings import RecallSettings
from training.run.folder import RunFolder
from training.run.load import DataRequest, load_data
from training.run.runner import run_steps
from training.run.steps.blend import BlendStep, BlendStepSettings
from training.run.steps.collaborative import CollaborativeStep
from training.splits.validation import validation_ndcg

REMAINDERS = 15


class RemainderSource:
    """Items whose number has the same remainder as the last event's: a toy that knows the catalogue's secret."""

    name: ClassVar[str] = "remainder"
    file: ClassVar[str] = "remainder.npy"

    def __init__(self, remainders: np.ndarray) -> None:
        self._remainders = remainders

    def __len__(self) -> int:
        return len(self._remainders)

    @classmethod
    def fit(cls, histories: Sequence[EventSequence], item_count: int) -> "RemainderSource":
        assert histories
        return cls(np.arange(item_count) % REMAINDERS)

    @classmethod
    def load(cls, path: Path) -> "RemainderSource":
        return cls(np.load(path, allow_pickle=False))

    def save(self, path: Path) -> None:
        np.save(path, self._remainders)

    def remapped(self, target: np.ndarray, item_count: int) -> "RemainderSource":
        moved = np.full(item_count, -1)
        moved[target[target >= 0]] = self._remainders[target >= 0]
        return RemainderSource(moved)

    def can_answer(self, query: SourceQuery) -> bool:
        return bool(len(query.events))

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero((self._scores(query) > 0) & ~blocked)
        return top_rows(np.ones(len(rows), np.float32), rows, count)

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        return SourceScores.of_catalogue(self._scores(query), rows, population)

    def _scores(self, query: SourceQuery) -> np.ndarray:
        last = self._remainders[query.events.rows[-1]]
        return (self._remainders == last).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    TABLE_SOURCES[RemainderSource.name] = RemainderSource
    yield
    del TABLE_SOURCES[RemainderSource.name]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object]:
    """A model folder of people who go from any item to one with the same remainder, and the data of its training."""
    folder = tmp_path_factory.mktemp("toy")
    draw = np.random.default_rng(5)
    with (folder / "interactions.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "item_id", "timestamp"])
        ids = item_ids()
        for user in range(60):
            # Few share a pair of items, so that neighbours and transitions learn little.
            chosen = draw.permutation(np.arange(user % REMAINDERS, COUNT, REMAINDERS))[:4]
            for place, row in enumerate(chosen):
                writer.writerow([f"u{user}", ids[row], 1000 * user + place])
    (folder / "items.jsonl").write_text("".join(json.dumps({"id": one, "title": "x"}) + "\n" for one in item_ids()))
    request = DataRequest(folder / "items.jsonl", folder / "interactions.csv", "next-item", 42, None)
    with RunFolder(folder / "model").open() as run:
        data = load_data(request, lambda: None, folder / "model", folder / "cache", SilentProgress()).data
        data = replace(data, items=None, encoder=None)
        run_steps((CollaborativeStep(RecallSettings()), BlendStep(BlendStepSettings())), data, run, (), lambda _: None)
    return folder / "model", data


def test_it_is_fitted_blended_and_evaluated(trained) -> None:
    model, data = trained
    assert (model / "collaborative" / RemainderSource.file).is_file()
    blend = Blend.load(model / "blend.json")
    assert blend.weights[RemainderSource.name] > 0
    inputs = ModelInputs(data.split, None, None, None, lambda *_: None, lambda *_: None)
    method = trained_methods(model, inputs)[HYBRID]
    without = replace(method, blend=replace(blend, weights=dict(blend.weights) | {RemainderSource.name: 0}, short=None))
    test = data.split.tests[0]
    assert validation_ndcg(method, test) > validation_ndcg(without, test)


async def test_it_is_packed_served_explained_and_counted(trained, tmp_path, exports) -> None:
    model, _ = trained
    workshop = make_workshop(tmp_path / "workshop", exports)
    for name in ("collaborative", "blend.json"):
        source, target = model / name, workshop.folder / "model" / name
        for path in source.rglob("*") if source.is_dir() else (source,):
            (target / path.name if source.is_dir() else target).write_bytes(path.read_bytes())
    release = workshop.build(workshop.folder / "model")
    assert RemainderSource.file in release.manifest.files

    triton = TorchTriton(workshop.folder / "model", release.path / "models/encoder.onnx", np.arange(COUNT))
    with ThreadPoolExecutor(2) as workers:
        models = ModelLoader(triton, tmp_path / "models", workers, shared=False)
        metrics = Metrics()
        live = replace(await ReleaseLoader(models, metrics, 0.3).load(release), ranker=None)
        recommender = Recommender(lambda: live, workers, 0.3)
        query = RecommendQuery(events=(Event("item-03", EventKind.BUY),), k=5, explain=True)
        answer = await recommender.recommend(query, Deadline.after(10), Trace())
        metrics.recommended(answer)
        only = replace(live.sources, sources=tuple(one for one in live.sources if one.name == RemainderSource.name))
        live = replace(live, sources=only)
        alone = await recommender.recommend(query, Deadline.after(10), Trace())
        await live.encoder.batcher.aclose()
    by_toy = [item for item in answer.items if RemainderSource.name in {view.source for view in item.provenance}]
    assert by_toy
    assert {int(item.id[-2:]) % REMAINDERS for item in by_toy} == {3 % REMAINDERS}
    # It has no line in the wordings, so it is explained in general terms.
    assert alone.items[0].explanation.text == "It was recalled for the request."
    assert answer.recalled_counts[RemainderSource.name] == COUNT // REMAINDERS - 1
    counted = metrics.registry.get_sample_value("shortlist_recalled_candidates_total", {"source": RemainderSource.name})
    assert counted == COUNT // REMAINDERS - 1
    reply = recommend_reply(answer, Call("Recommend", "request", Deadline.after(10), 0.0), pb.RecommendRequest())
    assert pb.RECALL_SOURCE_UNSPECIFIED in {view.source for item in reply.items for view in item.provenance}
