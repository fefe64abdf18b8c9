"""The strength of a history beside a text, and the text ranker, over files as people bring them."""

import csv
import json

import numpy as np
import pytest

from core.ranking.blend import Blend
from core.ranking.text_features import TEXT_FEATURE_NAMES
from domain.progress import SilentProgress
from tests.support.small_encoder import write_encoder
from training.collaborative.ease import EaseSettings
from training.ranking.history_strength import StrengthSettings
from training.ranking.ranker import RankerSettings, RankModel
from training.ranking.recall_settings import RecallSettings
from training.ranking.text_ranker import TextRankerSettings
from training.run.dataset import BaseEncoder
from training.run.folder import RunFolder
from training.run.load import DataRequest, load_data
from training.run.runner import run_steps
from training.run.steps.blend import BlendStep, BlendStepSettings
from training.run.steps.collaborative import CollaborativeStep
from training.run.steps.text_ranker import TextRankerStep

ITEMS, USERS = 30, 60
QUICK = RankerSettings(hidden=(4,), members=1, epochs=8)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Items that share each word of their texts with one or two others; a user chooses every third item."""
    folder = tmp_path_factory.mktemp("texts")
    write_encoder(folder / "encoder", positions=32)
    lines = [
        {
            "id": f"i{n:02}",
            "title": f"Item {n}",
            "text": f"word{n // 2} word{20 + n // 3} word{40 + n % 10} word{50 + n % 15}",
        }
        for n in range(ITEMS)
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rng = np.random.default_rng(0)
    with (folder / "interactions.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "item_id", "rating", "timestamp"])
        for user in range(USERS):
            for place, item in enumerate(rng.permutation(np.arange(user % 3, ITEMS, 3))):
                writer.writerow([f"u{user}", f"i{item:02d}", 5, 1000 * user + place])
    return folder


def trained(files, out, settings: TextRankerSettings, strength: StrengthSettings, *, texts: bool = True):
    request = DataRequest(files / "items.jsonl" if texts else None, files / "interactions.csv", "next-item", 42, None)
    steps = (
        CollaborativeStep(RecallSettings(ease=EaseSettings(tried=(1.0, 10.0)))),
        BlendStep(BlendStepSettings(strength=strength)),
        TextRankerStep(settings),
    )
    encoder = BaseEncoder(files / "encoder", "small", 32)
    with RunFolder(out).open() as run:
        loaded = load_data(request, lambda: encoder, out, files / "cache", SilentProgress())
        summary = run_steps(steps, loaded.data, run, (), lambda line: None)
    return summary


def test_both_are_learned_and_kept_only_where_they_are_better(files, tmp_path):
    summary = trained(
        files, tmp_path / "model", TextRankerSettings(fewest=20, ranker=QUICK), StrengthSettings(fewest=20)
    )
    notes = " ".join(summary.steps["blend"].notes)
    strength = Blend.load(tmp_path / "model" / "blend.json").history_strength
    assert f"history beside a text: strength {strength:g}" in notes
    assert strength in StrengthSettings().tried
    record = summary.steps["text_ranker"]
    assert {"ndcg_at_10", "plain_ndcg_at_10", "linear_ndcg_at_10"} <= record.metrics.keys()
    folder = tmp_path / "model" / "text_ranker"
    assert folder.is_dir() == record.accepted == (record.metrics["gain_low"] > 0)
    if record.accepted:
        model = RankModel.load(folder, TEXT_FEATURE_NAMES)
        assert model.logits(np.zeros((2, 3, len(TEXT_FEATURE_NAMES)), np.float32)).shape == (2, 3)
        with pytest.raises(ValueError, match="other features"):
            RankModel.load(folder)
    again = trained(files, tmp_path / "model", TextRankerSettings(fewest=10_000), StrengthSettings(fewest=20))
    refused = again.steps["text_ranker"]
    assert not refused.accepted
    assert "no text ranker" in refused.notes[0]
    assert not folder.exists()


def test_ids_alone_have_neither(files, tmp_path):
    summary = trained(files, tmp_path / "model", TextRankerSettings(), StrengthSettings(), texts=False)
    assert summary.skipped["text_ranker"] == "no item has a text"
