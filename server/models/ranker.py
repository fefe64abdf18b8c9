"""The ranker on Triton: features of candidates -> logits and match probabilities."""

from dataclasses import dataclass

import numpy as np

from core.ranking.features import FeatureScaler
from core.ranking.item_facts import ItemFacts
from core.ranking.match_calibration import MatchCalibration
from server.deadline import Deadline
from server.models.served_model import ServedModel


@dataclass(frozen=True)
class RankScaling:
    """Scaling of the ranker's features and calibration of its logits.

    Attributes:
        scaler: of the features.
        calibration: of the logits.
    """

    scaler: FeatureScaler
    calibration: MatchCalibration

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Returns float64 probabilities of the same shape."""
        return self.calibration.probabilities(logits)


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
