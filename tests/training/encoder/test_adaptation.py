import dataclasses

import numpy as np
import pytest
import torch

from domain.errors import NothingToLearnFrom
from domain.progress import SilentProgress
from tests.support.small_encoder import write_encoder
from tests.support.synthetic import texts_and_groups
from training.encoder.adaptation import AdaptationSettings, adapt, halves_found, without_words
from training.encoder.folder import load_encoder
from training.encoder.trainer import TuningRun

SETTINGS = AdaptationSettings(
    steps=3, batch_size=8, mini_batch_size=4, max_tokens=16, learning_rate=1e-3, validations=1
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_encoder(write_encoder(tmp_path_factory.mktemp("e") / "e"))


@pytest.mark.parametrize("method", ["simcse", "tsdae"])
def test_adapted_to_texts_and_kept_only_if_halves_find_each_other_better(model, tmp_path, method):
    texts, _ = texts_and_groups(40)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    settings = dataclasses.replace(SETTINGS, method=method)
    found = adapt(model, [*texts, ""], settings, TuningRun(tmp_path / "c", 0, SilentProgress()))
    assert found.accepted == (found.after > found.before)
    vectors = found.model.encode(texts[:3])
    assert (np.abs(vectors - model.encode(texts[:3])).max() > 1e-6) == found.accepted
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    found.model.save(str(tmp_path / "out"), create_model_card=False)
    np.testing.assert_allclose(load_encoder(tmp_path / "out").encode(texts[:3]), vectors, atol=1e-5)


def test_halves_are_judged_by_rank():
    class Halves:
        def encode(self, texts, **_):
            places = {"a b": 0, "c d": 0, "e f": 1, "g h": 1, "i j": 0, "k l": 1}
            return np.eye(2)[[places[text] for text in texts]]

    # The third's halves lie apart: both other second halves of its group come before.
    assert halves_found(Halves(), ["a b c d", "e f g h", "i j k l"]) == pytest.approx((1 + 1 + 1 / 2) / 3)


def test_too_few_texts_are_refused(model, tmp_path):
    with pytest.raises(NothingToLearnFrom, match="1 different texts"):
        adapt(model, ["word1 word2 word3 word4"] * 20, SETTINGS, TuningRun(tmp_path, 0, SilentProgress()))


def test_words_are_taken_out_but_never_all():
    generator = np.random.default_rng(0)
    found = [without_words("a b c d", 0.6, generator) for _ in range(200)]
    assert "" not in found
    assert 1.2 < np.mean([len(text.split()) for text in found]) < 2.2


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"deleted": 1.0}, {"batch_size": 1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be|between"):
        AdaptationSettings(**wrong)
