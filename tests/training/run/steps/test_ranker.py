"""The collaborative step and the ranker's, over files as people bring them."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from core.ranking.blend import Blend
from core.ranking.item_facts import ItemFacts
from domain.progress import SilentProgress
from tests.support.histories import history
from training.collaborative.ease import EaseSettings
from training.ranking.blend import BlendScorer
from training.ranking.examples import ExampleSettings
from training.ranking.folder import load_ranker, load_sources, with_chosen
from training.ranking.ranker import RankerSettings
from training.ranking.recall_settings import RecallSettings
from training.ranking.thresholds import ThresholdSettings
from training.run.folder import RunFolder
from training.run.item_facts import item_facts
from training.run.load import DataRequest, load_data
from training.run.runner import run_steps
from training.run.steps.blend import BlendStep, BlendStepSettings
from training.run.steps.collaborative import CollaborativeStep
from training.run.steps.ranker import RankerStep, RankingSettings
from training.run.steps.thresholds import ThresholdsStep
from training.splits.split import Scorer

ITEMS = 18
QUICK = RankingSettings(examples=ExampleSettings(draws=1), ranker=RankerSettings(hidden=(4,), members=1, epochs=2))


@pytest.fixture(params=["warm-users", "next-item", "cold-items", None])
def request_for(tmp_path, request):
    rng = np.random.default_rng(0)
    path = tmp_path / "interactions.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "item_id", "rating", "timestamp"])
        for user in range(60):
            liked = np.arange(user % 3, ITEMS, 3)
            for place, item in enumerate(rng.permutation(liked)):
                writer.writerow([f"u{user}", f"i{item:02d}", 5, 1000 * user + place])
            writer.writerow([f"u{user}", f"i{(user + 1) % ITEMS:02d}", 2, 1000 * user + 99])
    return DataRequest(None, path, request.param, 42, None)


def test_a_run_leaves_a_pipeline_that_recommends(tmp_path, request_for):
    out = tmp_path / "model"
    steps = (
        CollaborativeStep(RecallSettings(ease=EaseSettings(tried=(1.0, 10.0)))),
        BlendStep(BlendStepSettings()),
        ThresholdsStep(ThresholdSettings()),
        RankerStep(QUICK),
    )
    with RunFolder(out).open() as run:
        loaded = load_data(request_for, lambda: None, out, tmp_path / "cache", SilentProgress())
        run_steps(steps, loaded.data, run, (), lambda line: None)
        record = run.steps["ranker"]
    data = loaded.data
    assert set(run.steps["blend"].metrics) == {"hybrid_ndcg_at_100", "source_ndcg_at_100"}
    # Nothing speaks for new items without texts: no ranker, and that is said.
    ranked = {"ndcg_at_100", "held_out_ndcg_at_100", "held_out_hybrid_ndcg_at_100"}
    assert set(record.metrics) == (set() if request_for.protocol == "cold-items" else ranked)
    assert any("no ranker" in note for note in record.notes) == (request_for.protocol == "cold-items")
    assert with_chosen(RecallSettings(), out / "collaborative").ease.regularisation in (1.0, 10.0)
    assert "collaborative" in json.loads((out / "thresholds.json").read_text())
    facts = item_facts(data)
    rows: list[Scorer] = [BlendScorer(load_sources(out, facts), Blend.load(out / "blend.json"))]
    assert (out / "ranker" / "model.safetensors").exists() == record.accepted, "only what is better is kept"
    if record.accepted:
        rows.append(load_ranker(out, facts))
    for row in rows:
        scores = row.scores([history(0, 3), history()])
        assert np.isfinite(scores).all()
        if request_for.protocol != "cold-items":  # without texts nothing is known of new items
            assert (np.argsort(-scores[0])[:3] % 3 == 0).all()


def test_without_a_catalogue_there_are_no_facts(tmp_path, request_for):
    data = load_data(request_for, lambda: None, tmp_path, tmp_path, SilentProgress()).data
    assert item_facts(data) == ItemFacts(count=ITEMS)


def test_low_ratings_are_met_not_chosen(tmp_path, request_for):
    split = load_data(request_for, lambda: None, tmp_path, tmp_path, SilentProgress()).data.split
    impressions = [one for one in split.train if len(one.impressions)]
    if split.protocol in ("next-item", "cold-items"):
        assert not impressions
    else:
        assert impressions
        assert all(len(one.impressions) == 1 for one in impressions)
    cases = [case for part in (split.validation, *split.tests) for case in part.cases]
    assert not any(len(case.history.impressions) for case in cases)


def test_another_export_of_one_name_is_learned_from(tmp_path):
    path = tmp_path / "served.parquet"
    step, found = RankerStep(replace(QUICK, served=str(path))), []
    for content in (b"one", b"two"):
        path.write_bytes(content)
        found.append(step.settings(None))
    assert found[0] != found[1]
