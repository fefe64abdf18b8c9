"""Plain predictors of ratings: the global mean, damped biases of users and items, matrix factorisation by ALS."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from training.ratings.table import RatingTable


class RatingPredictor(Protocol):
    """Anything that predicts ratings."""

    def predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Returns float64[m] for int64[m] users and items, also such that have no rating in training."""


@dataclass(frozen=True)
class GlobalMean:
    """The mean of all training ratings.

    Attributes:
        mean: of the ratings.
    """

    mean: float

    @classmethod
    def fit(cls, ratings: RatingTable) -> "GlobalMean":
        """Takes the mean."""
        return cls(float(ratings.value.mean()))

    def predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """See `RatingPredictor.predict`."""
        return np.full(len(user), self.mean)


@dataclass(frozen=True)
class Biases:
    """mean + user bias + item bias (Koren 2010), each drawn towards 0 the fewer ratings it has.

    Attributes:
        mean: of all ratings.
        user: float64[users], 0 for a user without ratings.
        item: float64[items], likewise.
    """

    mean: float
    user: np.ndarray
    item: np.ndarray

    @classmethod
    def fit(cls, ratings: RatingTable, damping: float, rounds: int = 15) -> "Biases":
        """Alternates between users and items.

        Args:
            ratings: to fit.
            damping: ratings of the mean that everybody and everything is given besides, at least 0.
            rounds: of the alternation.
        """
        mean = float(ratings.value.mean())
        users = np.bincount(ratings.user, minlength=ratings.user_count) + damping
        items = np.bincount(ratings.item, minlength=ratings.item_count) + damping
        user, item = np.zeros(ratings.user_count), np.zeros(ratings.item_count)
        for _ in range(rounds):
            left = ratings.value - mean - user[ratings.user]
            item = np.bincount(ratings.item, left, ratings.item_count) / np.maximum(items, 1e-9)
            left = ratings.value - mean - item[ratings.item]
            user = np.bincount(ratings.user, left, ratings.user_count) / np.maximum(users, 1e-9)
        return cls(mean, user, item)

    def predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """See `RatingPredictor.predict`."""
        predicted: np.ndarray = self.mean + self.user[user] + self.item[item]
        return predicted


@dataclass(frozen=True)
class FactorSettings:
    """Settings of the factorisation.

    Attributes:
        factors: width of user and item factors.
        regularisation: ridge on a factor, for each of its ratings (Zhou et al. 2008).
        rounds: alternations.
        seed: of the initial factors.
    """

    factors: int = 32
    regularisation: float = 0.1
    rounds: int = 12
    seed: int = 42


@dataclass(frozen=True)
class Factorisation:
    """Biases, and the product of user and item factors for what they leave over.

    Attributes:
        biases: fitted before.
        user: float64[users, factors], zeros for a user without ratings.
        item: float64[items, factors], likewise.
    """

    biases: Biases
    user: np.ndarray
    item: np.ndarray

    @classmethod
    def fit(cls, ratings: RatingTable, biases: Biases, settings: FactorSettings) -> "Factorisation":
        """Alternates ridge regressions on the residuals of the biases."""
        left = ratings.value - biases.predict(ratings.user, ratings.item)
        of_user = _Grouped.of(ratings.user, ratings.item, left, ratings.user_count)
        of_item = _Grouped.of(ratings.item, ratings.user, left, ratings.item_count)
        rng = np.random.default_rng(settings.seed)
        item = rng.normal(scale=settings.factors**-0.5, size=(ratings.item_count, settings.factors))
        user = np.zeros((ratings.user_count, settings.factors))
        for _ in range(settings.rounds):
            user = of_user.solved(item, settings.regularisation)
            item = of_item.solved(user, settings.regularisation)
        return cls(biases, user, item)

    def predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """See `RatingPredictor.predict`."""
        predicted: np.ndarray = self.biases.predict(user, item) + self.residual(user, item)
        return predicted

    def residual(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Returns float64[m], what the factors add to the biases."""
        product: np.ndarray = np.einsum("mf,mf->m", self.user[user], self.item[item])
        return product


@dataclass(frozen=True)
class _Grouped:
    """Residuals by the side that is solved for: group g has places starts[g]:starts[g + 1]."""

    starts: np.ndarray
    other: np.ndarray
    left: np.ndarray

    @classmethod
    def of(cls, group: np.ndarray, other: np.ndarray, left: np.ndarray, count: int) -> "_Grouped":
        order = np.argsort(group, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=count))])
        return cls(starts, other[order], left[order])

    def solved(self, factors: np.ndarray, regularisation: float) -> np.ndarray:
        """Returns float64[groups, factors], each group's ridge solution; zeros for an empty group."""
        width = factors.shape[1]
        found = np.zeros((len(self.starts) - 1, width))
        ridge = regularisation * np.eye(width)
        for group in np.flatnonzero(np.diff(self.starts)):
            span = slice(self.starts[group], self.starts[group + 1])
            seen = factors[self.other[span]]
            found[group] = np.linalg.solve(seen.T @ seen + len(seen) * ridge, seen.T @ self.left[span])
        return found


def best_biases(train: RatingTable, validation: RatingTable, tried: tuple[float, ...]) -> tuple[Biases, float]:
    """Returns the biases with the least squared error on validation, and their damping."""
    fitted = {damping: Biases.fit(train, damping) for damping in tried}
    best = min(fitted, key=lambda damping: squared_error(fitted[damping], validation))
    return fitted[best], best


def best_factors(
    train: RatingTable, validation: RatingTable, biases: Biases, tried: tuple[tuple[int, float], ...]
) -> tuple[Factorisation, FactorSettings]:
    """Returns the factorisation with the least squared error on validation, of (factors, regularisation) pairs."""
    settings = [replace(FactorSettings(), factors=count, regularisation=ridge) for count, ridge in tried]
    fitted = [Factorisation.fit(train, biases, one) for one in settings]
    best = min(range(len(settings)), key=lambda place: squared_error(fitted[place], validation))
    return fitted[best], settings[best]


def squared_error(predictor: RatingPredictor, ratings: RatingTable) -> float:
    """Returns the mean squared error."""
    return float(np.mean((predictor.predict(ratings.user, ratings.item) - ratings.value) ** 2))
