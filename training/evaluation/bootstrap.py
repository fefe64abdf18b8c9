"""Confidence of means over users: percentile intervals of the bootstrap (Efron 1979), paired between methods."""

from dataclasses import dataclass

import numpy as np

_RESAMPLES = 2_000
_AT_ONCE = 100


@dataclass(frozen=True)
class Interval:
    """A mean and the 95 % interval around it."""

    point: float
    low: float
    high: float


class Resampled:
    """Means of several columns over the same resamples of users, so that any two can be compared in pairs."""

    def __init__(self, values: np.ndarray, seed: int, resamples: int = _RESAMPLES) -> None:
        """Draws users with replacement; blocking.

        Args:
            values: float64[users, columns]; NaN where a user has no value, which is then left out of that mean.
            seed: of the draws.
            resamples: how often.
        """
        present = ~np.isnan(values)
        filled = np.where(present, values, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            self.means = filled.sum(axis=0) / present.sum(axis=0)
            rng = np.random.default_rng(seed)
            parts = []
            for start in range(0, resamples, _AT_ONCE):
                weights = _weights(rng, len(values), min(_AT_ONCE, resamples - start))
                sums = weights @ filled
                counts = np.full((len(weights), 1), float(len(values))) if present.all() else weights @ present
                parts.append(sums / counts)
        self._draws = np.concatenate(parts)

    def mean(self, column: int) -> Interval:
        """Returns a column's mean and its interval."""
        return _interval(float(self.means[column]), self._draws[:, column])

    def ratio(self, column: int, other: int) -> Interval:
        """Returns mean(column) / mean(other) and the paired interval; NaN or infinite where the other is 0."""
        with np.errstate(invalid="ignore", divide="ignore"):
            point = float(np.divide(self.means[column], self.means[other]))
            return _interval(point, self._draws[:, column] / self._draws[:, other])

    def difference(self, column: int, other: int) -> Interval:
        """Returns mean(column) - mean(other) and the paired interval."""
        point = float(self.means[column] - self.means[other])
        return _interval(point, self._draws[:, column] - self._draws[:, other])


def _weights(rng: np.random.Generator, user_count: int, resamples: int) -> np.ndarray:
    """Returns float64[resamples, users], how often each user was drawn."""
    drawn = rng.integers(0, user_count, (resamples, user_count))
    drawn += np.arange(resamples)[:, None] * user_count
    return np.bincount(drawn.ravel(), minlength=resamples * user_count).reshape(resamples, -1).astype(np.float64)


def _interval(point: float, draws: np.ndarray) -> Interval:
    valid = draws[~np.isnan(draws)]
    if not len(valid):
        return Interval(point, float("nan"), float("nan"))
    low, high = np.quantile(valid, [0.025, 0.975], method="nearest")
    return Interval(point, float(low), float(high))
