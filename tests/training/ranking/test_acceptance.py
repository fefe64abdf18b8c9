from dataclasses import dataclass

import numpy as np
import pytest

from core.ranking.features import FEATURE_NAMES
from training.ranking.acceptance import HeldOut, evaluate_held_out, examples_ndcg
from training.ranking.examples import Examples

COLLABORATIVE = FEATURE_NAMES.index("collaborative_standardised")
BLEND_NDCG = np.array([0.25, 0.5, 0.75])


@dataclass(frozen=True)
class Knowing:
    """Ranks by the first feature, in which the tests write the answer."""

    def logits(self, features):
        return features[..., 0]


@pytest.fixture
def examples():
    """Three questions of four candidates: one with a place that is empty, one about somebody hardly known."""
    features = np.zeros((3, 4, len(FEATURE_NAMES)), np.float32)
    features[:, :, COLLABORATIVE] = [4, 3, 2, 1]
    chosen = np.zeros((3, 4), bool)
    chosen[:, 1] = True
    features[:, :, 0] = chosen
    mask = np.ones((3, 4), bool)
    mask[0, 0] = False
    rows = np.where(mask, np.arange(4), -1)
    return Examples(
        features, mask, chosen, rows, np.array([1, 1, 2]), np.arange(3), np.array([True, True, False]), BLEND_NDCG
    )


def test_ndcg_counts_places_and_targets_that_were_not_recalled(examples):
    scores = examples.features[:, :, COLLABORATIVE]
    second, ideal = 1 / np.log2(3), 1 + 1 / np.log2(3)
    assert examples_ndcg(scores, examples, np.arange(3)).tolist() == pytest.approx([1, second, second / ideal])


def test_only_whole_histories_that_were_held_out_are_compared(examples):
    assert evaluate_held_out(Knowing(), examples, np.array([False, True, True])) == HeldOut(1.0, 0.5, 1)
    assert evaluate_held_out(Knowing(), examples, np.ones(3, bool)) == HeldOut(1.0, pytest.approx(0.375), 2)
    assert evaluate_held_out(Knowing(), examples, np.zeros(3, bool)).count == 0
