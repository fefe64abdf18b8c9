import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer.modules import Dense

from domain.errors import ConfigurationError
from training.encoder.matryoshka import MatryoshkaSettings, fit_matryoshka


@pytest.fixture
def vectors():
    """What matters lies in 6 directions of 24, none of them along an axis."""
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 24)) + 0.05 * rng.normal(size=(300, 24))
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def test_a_rotation_changes_nothing_at_full_width(vectors):
    head = fit_matryoshka(vectors, MatryoshkaSettings(softening=0))
    full = head.shorten(vectors, 24)
    assert np.abs(full @ full.T - vectors @ vectors.T).max() < 1e-5


def test_first_components_keep_what_plain_truncation_loses(vectors):
    head = fit_matryoshka(vectors, MatryoshkaSettings(softening=0))
    similarity, short, cut = vectors @ vectors.T, head.shorten(vectors, 6), vectors[:, :6]
    cut = cut / np.linalg.norm(cut, axis=1, keepdims=True)
    assert np.abs(short @ short.T - similarity).mean() < 0.1 * np.abs(cut @ cut.T - similarity).mean()


def test_softening_brings_variances_together(vectors):
    spread = []
    for softening in (0.0, 0.5, 1.0):
        weighted = vectors @ fit_matryoshka(vectors, MatryoshkaSettings(softening)).weights[:, :6]
        energy = (weighted**2).mean(axis=0)
        spread.append(energy[0] / energy[5])
    assert spread[0] > spread[1] > spread[2]
    assert spread[2] == pytest.approx(1, abs=1e-3)


def test_sentence_transformers_computes_the_same(vectors, tmp_path):
    head = fit_matryoshka(vectors)
    head.save_dense(tmp_path, 8)
    dense = Dense.load(str(tmp_path))
    found = dense({"sentence_embedding": torch.from_numpy(vectors)})["sentence_embedding"]
    unit = torch.nn.functional.normalize(found, dim=1).detach().numpy()
    assert np.abs(unit - head.shorten(vectors, 8)).max() < 1e-6


def test_bad_input_is_told(vectors):
    with pytest.raises(ConfigurationError, match="softening"):
        fit_matryoshka(vectors, MatryoshkaSettings(2))
    with pytest.raises(ConfigurationError, match="no vectors"):
        fit_matryoshka(vectors[:0])
    with pytest.raises(ConfigurationError, match="1 to 24"):
        fit_matryoshka(vectors).shorten(vectors, 25)
    assert not fit_matryoshka(vectors).shorten(np.zeros((1, 24), np.float32), 4).any()
