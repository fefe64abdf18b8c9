import dataclasses
import json

import numpy as np
import pytest

from domain.errors import EncoderNotUsable, NothingToLearnFrom
from domain.progress import SilentProgress
from tests.support.small_encoder import write_encoder
from tests.support.synthetic import cold_split, history, texts_and_groups
from training.encoder.contrastive import ContrastiveSettings
from training.encoder.folder import load_encoder
from training.encoder.item_vectors import item_vectors
from training.encoder.pairs import PairSettings
from training.encoder.semantic import SemanticScorer
from training.encoder.train import (
    FINE_TUNED,
    PROJECTION_HELD_OUT,
    ZERO_SHOT_HELD_OUT,
    EncoderInputs,
    EncoderSettings,
    text_may_be_seen,
    train_encoder,
)
from training.splits.split import EvalSet, Split

SETTINGS = EncoderSettings(
    whitening=(0.5,),
    bag_gain=(0.0, 1.0),
    latent_gain=(0.0, 0.5),
    bag_width=24,
    latent_width=4,
    contrastive=ContrastiveSettings("off"),
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = write_encoder(tmp_path_factory.mktemp("encoder") / "base")
    texts, groups = texts_and_groups(160)
    texts[3] = ""
    vectors = item_vectors(texts, folder, 32, folder.parent / "cache", SilentProgress())
    return EncoderInputs(texts, vectors, folder, 32, cold_split(groups))


@pytest.fixture(scope="module")
def result(inputs):
    return train_encoder(inputs, SETTINGS, 0, SilentProgress())


def test_the_trained_encoder_finds_new_items_better(inputs, result):
    assert result.accepted
    assert result.validation_ndcg[1] > result.validation_ndcg[0]
    assert str(result.choice).endswith("token bag 1, latent factors 0.5")
    assert set(result.metrics) > {"zero-shot"}
    part = inputs.split.tests[0]

    def hits(vectors):
        scores = SemanticScorer.of(vectors).scores([case.history for case in part.cases])
        scores[:, ~part.candidates] = -np.inf
        return np.mean([row.argmax() in case.targets for row, case in zip(scores, part.cases, strict=True)])

    assert hits(result.vectors) > hits(inputs.vectors) + 0.1


def test_the_saved_folder_computes_the_same_vectors(inputs, result, tmp_path):
    result.save(tmp_path / "out")
    result.save(tmp_path / "out")  # over an earlier one
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    again = item_vectors(inputs.texts, tmp_path / "out", 32, tmp_path / "cache", SilentProgress())
    np.testing.assert_allclose(again, result.vectors, atol=1e-5)
    assert not again[3].any()


def test_training_from_a_trained_folder_puts_a_new_head_upon_the_same_base(inputs, result, tmp_path):
    result.save(tmp_path / "out")
    vectors = item_vectors(inputs.texts, tmp_path / "out", 32, tmp_path / "cache", SilentProgress())
    again = train_encoder(
        EncoderInputs(inputs.texts, vectors, tmp_path / "out", 32, inputs.split), SETTINGS, 0, SilentProgress()
    )
    assert [type(module).__name__ for module in again.model] == [type(module).__name__ for module in result.model]
    np.testing.assert_allclose(again.vectors, result.vectors, atol=1e-5)


def test_texts_of_validation_and_test_items_are_not_seen(inputs):
    split = inputs.split
    seen = text_may_be_seen(split)
    assert not seen[split.validation.candidates].any()
    assert not seen[split.tests[0].candidates].any()
    warm = Split("warm-users", split.item_ids, split.train, EvalSet((), split.known), (), split.known)
    assert text_may_be_seen(warm).all()


def test_one_text_for_all_is_refused(inputs):
    same = dataclasses.replace(inputs, texts=["word1"] * 160, vectors=np.tile(inputs.vectors[0], (160, 1)))
    with pytest.raises(NothingToLearnFrom, match="same text"):
        train_encoder(same, SETTINGS, 0, SilentProgress())


def test_no_texts_and_no_pairs_are_refused(inputs):
    few = ["word1"] * 3 + [""] * 157
    vectors = np.where(np.arange(160)[:, None] < 3, inputs.vectors, 0).astype(np.float32)
    with pytest.raises(NothingToLearnFrom, match="3 items have a text"):
        train_encoder(EncoderInputs(few, vectors, inputs.encoder, 32, inputs.split), SETTINGS, 0, SilentProgress())
    known = inputs.split.known
    lonely = Split("x", inputs.split.item_ids, (history([1]), history([2])), inputs.split.validation, (), known)
    with pytest.raises(NothingToLearnFrom, match="no user has two items"):
        train_encoder(
            EncoderInputs(inputs.texts, inputs.vectors, inputs.encoder, 32, lonely), SETTINGS, 0, SilentProgress()
        )


def test_a_folder_without_tokenizer_or_with_code_of_its_own_is_refused(tmp_path):
    folder = write_encoder(tmp_path / "e")
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "path": "", "type": "strange.Module"}]))
    with pytest.raises(EncoderNotUsable, match=r"strange\.Module; supported"):
        load_encoder(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(EncoderNotUsable, match=r"no tokenizer\.json"):
        load_encoder(folder)


@pytest.mark.parametrize("wrong", [{"whitening": ()}, {"whitening": (1.5,)}, {"folds": 6}, {"shrinkage": 0.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must|need"):
        EncoderSettings(**wrong)


@pytest.mark.parametrize("rate", [1e-3, 30.0])
def test_a_fine_tuned_transformer_stays_only_if_it_beats_the_map(inputs, tmp_path, rate):
    contrastive = ContrastiveSettings(
        "full", steps=6, batch_size=32, max_tokens=32, learning_rate=rate, validations=1,
        pairs=PairSettings(history_share=0.0, hard_negatives=False),
    )  # fmt: skip
    result = train_encoder(inputs, dataclasses.replace(SETTINGS, contrastive=contrastive), 0, SilentProgress())
    before, after = (result.metrics[name] for name in (PROJECTION_HELD_OUT, FINE_TUNED))
    assert result.fine_tuned == (after.ndcg_at_100 > before.ndcg_at_100)
    result.save(tmp_path / "out")
    again = item_vectors(inputs.texts, tmp_path / "out", 32, tmp_path / "cache", SilentProgress())
    np.testing.assert_allclose(again, result.vectors, atol=1e-4)


def test_a_fine_tuned_transformer_is_held_against_the_base_where_neither_saw_the_items(inputs):
    contrastive = ContrastiveSettings(
        "full", steps=20, passes=50, batch_size=32, max_tokens=32, learning_rate=1e-3, validations=1,
        pairs=PairSettings(history_share=0.0, hard_negatives=False),
    )  # fmt: skip
    narrow = dataclasses.replace(SETTINGS, dimension=3, bag_gain=(0.0,), latent_gain=(0.0,))
    plain = train_encoder(inputs, narrow, 0, SilentProgress())
    assert not plain.accepted  # a map as narrow as this is worse than no map
    tuned = train_encoder(inputs, dataclasses.replace(narrow, contrastive=contrastive), 0, SilentProgress())
    assert tuned.fine_tuned
    assert tuned.metrics[FINE_TUNED].ndcg_at_100 > tuned.metrics[ZERO_SHOT_HELD_OUT].ndcg_at_100
    assert tuned.accepted


def test_a_warm_start_builds_upon_the_earlier_transformer_and_must_beat_the_base(inputs, result, tmp_path):
    earlier = write_encoder(tmp_path / "earlier", seed=5)
    found = train_encoder(dataclasses.replace(inputs, warm_start=earlier), SETTINGS, 0, SilentProgress())
    assert found.metrics["zero-shot"] == result.metrics["zero-shot"]
    words = found.model[0].model.embeddings.word_embeddings.weight
    assert np.allclose(
        words.detach().cpu(), load_encoder(earlier)[0].model.embeddings.word_embeddings.weight.detach().cpu()
    )
