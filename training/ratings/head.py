"""The rating head: joins biases, factors and what is known of how sure they are; fitted where they were not."""

from dataclasses import dataclass

import numpy as np

from training.ratings.predictors import Biases, Factorisation, RatingPredictor
from training.ratings.table import RatingTable

_RIDGE = 1.0


@dataclass(frozen=True)
class HeadInputs:
    """Predictors that the head joins, and how much they know.

    Attributes:
        factors: with their biases.
        user_count: float64[users], training ratings.
        item_count: float64[items], likewise.
        low: least rating in use.
        high: highest rating in use.
    """

    factors: Factorisation
    user_count: np.ndarray
    item_count: np.ndarray
    low: float
    high: float

    @classmethod
    def of(cls, factors: Factorisation, ratings: RatingTable) -> "HeadInputs":
        """Counts the ratings that the predictors were fitted to."""
        return cls(
            factors,
            np.bincount(ratings.user, minlength=ratings.user_count).astype(float),
            np.bincount(ratings.item, minlength=ratings.item_count).astype(float),
            float(ratings.value.min()),
            float(ratings.value.max()),
        )

    @property
    def biases(self) -> Biases:
        """The biases beneath the factors."""
        return self.factors.biases

    def features(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Returns float64[m, F]: both biases and the factors' share, each plain and as far as it is well founded."""
        left, right = self.biases.user[user], self.biases.item[item]
        extra = self.factors.residual(user, item)
        known_user, known_item = (1 / np.sqrt(1 + counts) for counts in (self.user_count[user], self.item_count[item]))
        # Where users and items are both extreme, biases that simply add up go beyond the scale.
        columns = (left, right, extra, left * right, left * known_user, right * known_item, extra * known_user)
        return np.stack([*columns, extra * known_item, known_user, known_item, np.ones(len(user))], axis=1)


@dataclass(frozen=True)
class RatingHead:
    """Ratings by a ridge regression over the inputs, within the scale.

    Attributes:
        inputs: predictors, which may have been fitted again to more ratings.
        weights: float64[F].
    """

    inputs: HeadInputs
    weights: np.ndarray

    @classmethod
    def fit(cls, inputs: HeadInputs, unseen: RatingTable) -> "RatingHead":
        """Fits the weights.

        Args:
            inputs: predictors.
            unseen: ratings that these were not fitted to: of others the head would trust them too much.
        """
        features = inputs.features(unseen.user, unseen.item)
        left = unseen.value - inputs.biases.predict(unseen.user, unseen.item)
        ridge = _RIDGE * np.eye(features.shape[1])
        return cls(inputs, np.linalg.solve(features.T @ features + ridge, features.T @ left))

    def on(self, inputs: HeadInputs) -> "RatingHead":
        """Returns the head over predictors that were fitted again."""
        return RatingHead(inputs, self.weights)

    def predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """See `RatingPredictor.predict`."""
        plain: RatingPredictor = self.inputs.biases
        adjusted = plain.predict(user, item) + self.inputs.features(user, item) @ self.weights
        within: np.ndarray = np.clip(adjusted, self.inputs.low, self.inputs.high)
        return within
