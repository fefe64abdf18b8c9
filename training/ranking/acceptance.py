"""Is the ranker better than the blend? Asked of training users that neither its network nor their sources learned from.

A protocol's validation part may be a few dozen people, too few to tell one per cent.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.ranking.features import FEATURE_NAMES
from training.ranking.examples import Examples
from training.ranking.ranker import RankModel
from training.splits.validation import DEPTH

# What each source says of a candidate, among the features.
_FEATURES = {
    "semantic_history": "semantic_standardised",
    "collaborative": "collaborative_standardised",
    "next_item": "next_item_standardised",
    "user_tower": "tower_standardised",
    "popular": "log_popularity_standardised",
}


@dataclass(frozen=True)
class HeldOut:
    """NDCG@100 over questions that were held out, about people whose whole history was told.

    Attributes:
        ranker: in the ranker's order.
        blend: in the order of the blend among the same candidates.
        count: how many questions.
    """

    ranker: float
    blend: float
    count: int


def evaluate_held_out(model: RankModel, examples: Examples, held: np.ndarray, weights: Mapping[str, float]) -> HeldOut:
    """Compares the two orders.

    Args:
        model: trained on the other questions.
        examples: all questions.
        held: bool[B], those that it was not trained on.
        weights: of the blend, by source; its scores are standardised over a question's candidates here.
    """
    places = np.flatnonzero(held & examples.whole)
    if not len(places):
        return HeldOut(0.0, 0.0, 0)
    features = examples.features[places]
    blend = np.zeros(features.shape[:2], np.float32)
    for source, weight in weights.items():
        blend += np.float32(weight) * features[:, :, FEATURE_NAMES.index(_FEATURES[source])]
    orders = (model.logits(features), blend)
    ranker, blended = (float(examples_ndcg(scores, examples, places).mean()) for scores in orders)
    return HeldOut(ranker, blended, len(places))


def examples_ndcg(scores: np.ndarray, examples: Examples, places: np.ndarray) -> np.ndarray:
    """Returns float64[m], NDCG@100 of each question's candidates in this order; targets that were not recalled count.

    Args:
        scores: float32[m, C].
        examples: the questions.
        places: int64[m], which of them.
    """
    order = np.argsort(-np.where(examples.mask[places], scores, -np.inf), axis=1, kind="stable")[:, :DEPTH]
    hits = np.take_along_axis(examples.chosen[places] & examples.mask[places], order, axis=1)
    discount = 1 / np.log2(np.arange(DEPTH) + 2)
    ideal = np.cumsum(discount)[np.minimum(examples.target_count[places], DEPTH) - 1]
    found: np.ndarray = hits @ discount[: order.shape[1]] / ideal
    return found
