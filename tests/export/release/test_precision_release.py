"""Releases in other precisions: built, and served by the real Triton with the gateway's own checks."""

import json

import numpy as np
import pytest

from domain.errors import CalibrationNotUsable
from export.precision.calibration import Precision, read_calibration
from tests.support.trained import make_workshop


@pytest.fixture(scope="module")
def workshop(tmp_path_factory, exports):
    return make_workshop(tmp_path_factory.mktemp("precision-release"), exports)


@pytest.mark.parametrize("name", ["int8", "float16"])
def test_vectors_and_canaries_come_from_the_very_file(workshop, name):
    texts = read_calibration(workshop.folder / "items.jsonl")
    exact = workshop.build(None)
    release = workshop.build(None, precision=Precision(name, texts))
    encoder = release.manifest.encoder
    assert (encoder.precision, exact.manifest.encoder.precision) == (name, "float32")
    assert 0.99 < encoder.parity_worst_cosine < exact.manifest.encoder.parity_worst_cosine
    vectors, before = (np.load(one.path / "vectors.npy") for one in (release, exact))
    cosines = (vectors * before).sum(axis=1)
    assert 0.99 < cosines.min() < 1
    assert np.abs(vectors - before).max() > 1e-4
    canary, other = (json.loads((one.path / "canary.json").read_text())["vectors"] for one in (release, exact))
    assert np.abs(np.array(canary) - np.array(other)).max() > 1e-4


def test_no_texts_leave_no_release(workshop):
    before = sorted(path.name for path in workshop.releases.iterdir()) if workshop.releases.exists() else []
    with pytest.raises(CalibrationNotUsable, match="give --calibration FILE"):
        workshop.build(None, precision=Precision("int8", ()))
    after = sorted(path.name for path in workshop.releases.iterdir()) if workshop.releases.exists() else []
    assert after == before
