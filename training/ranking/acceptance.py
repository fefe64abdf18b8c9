"""Compares the ranker with the blend on training users that neither its network nor their sources learned from.

A protocol's validation part may be a few dozen people, too few to tell one per cent.
"""

from dataclasses import dataclass

import numpy as np

from core.metrics import binary_ndcg
from training.ranking.examples import Examples
from training.ranking.ranker import RankModel
from training.splits.validation import DEPTH


@dataclass(frozen=True)
class HeldOut:
    """NDCG@100 over questions that were held out, about people whose whole history was given.

    Attributes:
        ranker: in the ranker's order.
        blend: of what the blend would serve.
        count: how many questions.
    """

    ranker: float
    blend: float
    count: int


def evaluate_held_out(model: RankModel, examples: Examples, held: np.ndarray) -> HeldOut:
    """Compares the two orders.

    Args:
        model: trained on the other questions.
        examples: all questions, with the metric of what the blend would serve.
        held: bool[B], those that it was not trained on.
    """
    places = np.flatnonzero(held & examples.whole)
    if not len(places):
        return HeldOut(0.0, 0.0, 0)
    ranker = examples_ndcg(model.logits(examples.features[places]), examples, places)
    return HeldOut(float(ranker.mean()), float(examples.blend_ndcg[places].mean()), len(places))


def examples_ndcg(scores: np.ndarray, examples: Examples, places: np.ndarray) -> np.ndarray:
    """Returns float64[m], NDCG@100 of each question's candidates in this order; targets that were not recalled count.

    Args:
        scores: float32[m, C].
        examples: the questions.
        places: int64[m], which of them.
    """
    order = np.argsort(-np.where(examples.mask[places], scores, -np.inf), axis=1, kind="stable")[:, :DEPTH]
    hits = np.take_along_axis(examples.chosen[places] & examples.mask[places], order, axis=1)
    return binary_ndcg(hits, examples.target_count[places], DEPTH)
