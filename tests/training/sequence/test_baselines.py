"""SASRec and GPT-2 as baseline rows: they learn, and too little is said to be too little."""

import numpy as np
import pytest

from domain.errors import NothingToLearnFrom
from domain.progress import SilentProgress
from tests.support.sequences import Recorder, history, ring_split
from training.fit import Resume
from training.sequence.gpt2 import Gpt2Settings, train_gpt2_baseline
from training.sequence.sasrec import SasrecSettings, train_sasrec
from training.splits.split import Split

SASREC = SasrecSettings(factors=16, length=5, batch=64, negatives=8, epochs=20, learning_rate=1e-2, dropout=0.0)
GPT2 = Gpt2Settings(width=16, length=6, batch=16, epochs=12, learning_rate=1e-2, dropout=0.0)


@pytest.mark.parametrize(("train", "settings"), [(train_sasrec, SASREC), (train_gpt2_baseline, GPT2)])
def test_a_baseline_learns_what_follows(train, settings):
    progress = Recorder()
    model = train(ring_split(unseen=(5,)), settings, Resume(1, "test", None), progress)
    assert model.validation.recall == 1
    scores = model.scores([history([1, 2, 3]), history([])])
    assert scores.shape == (2, 12)
    assert np.isneginf(scores[:, 5]).all()
    scores[0, [1, 2, 3]] = -np.inf
    assert scores[0].argmax() == 4
    losses = next(curve for name, curve in progress.curves.items() if name.endswith("loss"))
    assert losses[-1] < losses[0] / 2


def test_sasrec_resumes_to_the_same_result(tmp_path):
    split, path = ring_split(), tmp_path / "sasrec.pt"
    whole = train_sasrec(split, SASREC, Resume(1, "test", None), SilentProgress())
    with pytest.raises(KeyboardInterrupt):
        train_sasrec(split, SASREC, Resume(1, "test", path), Recorder(stop_after=5))
    resumed = train_sasrec(split, SASREC, Resume(1, "test", path), SilentProgress())
    assert np.array_equal(resumed.scores([history([1])]), whole.scores([history([1])]))


@pytest.mark.parametrize(("train", "settings"), [(train_sasrec, SASREC), (train_gpt2_baseline, GPT2)])
def test_too_little_to_learn_from_is_said(train, settings):
    split = ring_split()
    one = Split(split.protocol, split.item_ids, (history([1]),), split.validation, (), split.known)
    with pytest.raises(NothingToLearnFrom, match="two events"):
        train(one, settings, Resume(1, "test", None), SilentProgress())
