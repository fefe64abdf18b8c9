"""Content vectors for honest questions: fitted without those who are asked."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from domain.progress import SilentProgress
from tests.support.small_encoder import WORDS, write_encoder
from training.collaborative.ease import EaseSettings
from training.encoder.contrastive import ContrastiveSettings
from training.encoder.item_vectors import item_vectors
from training.encoder.train import EncoderSettings
from training.ranking.examples import ExampleSettings
from training.ranking.ranker import RankerSettings
from training.ranking.recall_settings import RecallSettings
from training.run.dataset import BaseEncoder
from training.run.folder import RunFolder
from training.run.item_facts import item_facts
from training.run.load import DataRequest, load_data
from training.run.out_of_fold import TEXT_PROJECTION, ProjectionRecipe, out_of_fold_vectors
from training.run.runner import run_steps
from training.run.steps.blend import BlendStep, BlendStepSettings
from training.run.steps.collaborative import CollaborativeStep
from training.run.steps.encoder import EncoderStep
from training.run.steps.ranker import RankerStep, RankingSettings

ITEMS, USERS = 120, 60
MAP = EncoderSettings(
    whitening=(0.5,),
    bag_gain=(1.0,),
    latent_gain=(0.5,),
    bag_width=24,
    latent_width=32,
    shrinkage=1e-3,
    contrastive=ContrastiveSettings("off"),
)
QUICK = RankingSettings(
    examples=ExampleSettings(draws=2, short_share=0),
    ranker=RankerSettings(hidden=(4,), members=1, epochs=6, learning_rate=1e-2, held_out=0.3),
)


@pytest.fixture
def data(tmp_path):
    """Half of the items and users keep to one half of the words; beyond that everybody chooses by chance."""
    rng = np.random.default_rng(0)
    with (tmp_path / "items.jsonl").open("w") as stream:
        for item in range(ITEMS):
            words = rng.choice(WORDS[:47] if item % 2 else WORDS[47:], 8)
            stream.write(json.dumps({"id": f"i{item:03d}", "title": " ".join(words)}) + "\n")
    with (tmp_path / "interactions.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user_id", "item_id"])
        for user in range(USERS):
            chosen = rng.choice(np.arange(user % 2, ITEMS, 2), 8, replace=False)
            writer.writerows((f"u{user}", f"i{item:03d}") for item in chosen)
    request = DataRequest(tmp_path / "items.jsonl", tmp_path / "interactions.csv", "warm-users", 42, None)
    base = BaseEncoder(write_encoder(tmp_path / "base"), "small", 64)
    return load_data(request, lambda: base, tmp_path / "model", tmp_path / "cache", SilentProgress()).data


def run(data, *steps):
    with RunFolder(data.out).open() as folder:
        run_steps(steps, data, folder, (), lambda line: None)
        return dict(folder.steps)


def test_fitted_to_everybody_it_is_the_encoder_and_to_others_it_knows_nothing_of_somebody(data):
    assert out_of_fold_vectors(data, items_hidden=False) is None  # no encoder yet
    assert run(data, EncoderStep(MAP))["encoder"].accepted
    content, train = out_of_fold_vectors(data, items_hidden=False), data.split.train
    assert content is not None
    np.testing.assert_allclose(content(train), item_facts(data).vectors, atol=1e-4)
    again = item_vectors(data.texts, data.out / "encoder", 64, data.out / "empty", SilentProgress())
    np.testing.assert_allclose(item_facts(data).vectors, again, atol=1e-4)

    def own_similarity(vectors):
        """Mean cosine of items that one user chose together."""
        chosen = vectors[train[0].rows]
        return float(((chosen @ chosen.T).sum() - len(chosen)) / (len(chosen) * (len(chosen) - 1)))

    assert own_similarity(content(train[1:])) < own_similarity(content(train)) - 0.05


def test_texts_of_items_that_stand_for_new_ones_are_not_read(data):
    run(data, EncoderStep(MAP))
    train = data.split.train
    some = [one.take(one.rows < ITEMS // 2) for one in train if (one.rows < ITEMS // 2).any()]
    hidden, seen = (out_of_fold_vectors(data, items_hidden=items_hidden)(some) for items_hidden in (True, False))
    assert not np.allclose(hidden, seen, atol=1e-3)


def test_what_the_encoder_knows_of_those_asked_does_not_flatter_the_ranker(data):
    steps = (
        EncoderStep(MAP),
        CollaborativeStep(RecallSettings(ease=EaseSettings(tried=(10.0,)))),
        BlendStep(BlendStepSettings()),
        RankerStep(QUICK),
    )
    honest = run(data, *steps)["ranker"].metrics
    # A map fitted to everybody, as earlier versions asked with.
    (data.out / TEXT_PROJECTION).unlink()
    flattered = RankerStep(QUICK).make(data, data.out / "again").metrics
    assert honest["held_out_ndcg_at_100"] < flattered["held_out_ndcg_at_100"] - 0.02


def test_a_fine_tuned_transformer_has_seen_everybody_so_the_base_stands_below_the_map(data):
    eager = ContrastiveSettings(
        "full", steps=3, batch_size=8, mini_batch_size=8, max_tokens=16, learning_rate=1e-2, validations=1
    )
    tuned, plain = replace(MAP, contrastive=eager), MAP
    run(data, EncoderStep(plain))
    train = data.split.train
    before = out_of_fold_vectors(data, items_hidden=False)(train)
    recipe = ProjectionRecipe.load(data.out / TEXT_PROJECTION)
    run(data, EncoderStep(tuned))
    assert ProjectionRecipe.load(data.out / TEXT_PROJECTION) == recipe
    np.testing.assert_allclose(out_of_fold_vectors(data, items_hidden=False)(train), before, atol=1e-5)
