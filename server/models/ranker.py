"""The ranker on Triton: features of candidates -> logits and match probabilities."""

from dataclasses import dataclass

import numpy as np

from core.ranking.features import FeatureScaler
from core.ranking.item_facts import ItemFacts
from server.deadline import Deadline
from server.models.served_model import ServedModel


@dataclass(frozen=True)
class RankScaling:
    """Scaling of the ranker's features and calibration of its logits.

    Attributes:
        scaler: of the features.
        slope: with `intercept`, logit to probability: 1 / (1 + exp(-(slope x logit + intercept))) (Platt 1999).
        intercept: see there.
    """

    scaler: FeatureScaler
    slope: float
    intercept: float

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Returns float64 probabilities of the same shape."""
        exponent = np.clip(self.slope * logits.astype(np.float64) + self.intercept, -500, 500)
        probabilities: np.ndarray = 1 / (1 + np.exp(-exponent))
        return probabilities


@dataclass(frozen=True)
class Ranker:
    """The ranker of a live release.

    Attributes:
        model: on Triton.
        scaling: of its features and logits.
        facts: item data that the features are made from.
        most_candidates: the largest number of candidates in one request.
    """

    model: ServedModel
    scaling: RankScaling
    facts: ItemFacts
    most_candidates: int

    @property
    def judges_texts(self) -> bool:
        """True for the ranker of a text's candidates, which gives probabilities and no order."""
        return self.model.spec.name == "text_ranker"

    async def logits(self, features: np.ndarray, deadline: Deadline) -> np.ndarray:
        """Returns float32[1, W], one logit for each candidate of float32[1, W, F] scaled features.

        Raises:
            ModelUnavailable, DeadlineExceeded: as `ServedModel.ask`.
        """
        return await self.model.ask({"features": features}, deadline)
