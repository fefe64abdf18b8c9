"""RMSE and MAE of rating predictors on ratings that none of them has seen."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from domain.progress import Progress
from training.evaluation.bootstrap import Interval, Resampled
from training.ratings.head import HeadInputs, RatingHead
from training.ratings.predictors import (
    Biases,
    Factorisation,
    GlobalMean,
    RatingPredictor,
    best_biases,
    best_factors,
)
from training.ratings.table import RatingSplit, RatingTable

GLOBAL_MEAN = "global mean"
BIASES = "user and item bias"
FACTORS = "matrix factorisation (ALS)"
HEAD = "rating head"
_DAMPING = (2.0, 5.0, 10.0, 20.0)
_FACTORS = ((8, 0.1), (32, 0.05), (32, 0.1), (32, 0.2), (64, 0.05), (64, 0.1), (64, 0.2))


@dataclass(frozen=True)
class RatingErrors:
    """Errors of one predictor.

    Attributes:
        rmse: root of the mean squared error over all ratings, with its interval over users.
        mae: mean absolute error, likewise.
        of_biases: RMSE as a multiple of that of `BIASES`, paired.
    """

    rmse: Interval
    mae: Interval
    of_biases: Interval


@dataclass(frozen=True)
class RatingReport:
    """Errors by predictor.

    Attributes:
        errors: by name.
        settings: what validation chose, in words, by name.
        counts: ratings of training, validation and test.
        user_count: users with a test rating.
    """

    errors: Mapping[str, RatingErrors]
    settings: Mapping[str, str]
    counts: tuple[int, int, int]
    user_count: int

    def to_json(self) -> dict[str, object]:
        """Returns plain values."""
        return asdict(self)


def evaluate_ratings(split: RatingSplit, seed: int, progress: Progress) -> RatingReport:
    """Fits the predictors, chooses settings on validation, and evaluates them once on the test part.

    Every predictor of the table is fitted to training and validation together; settings and the head's weights come
    from predictors that know training alone.

    Args:
        split: the division.
        seed: of the bootstrap.
        progress: hears of the steps.
    """
    progress.step(f"ratings: biases and factors, chosen by {len(split.validation):,} ratings")
    biases, damping = best_biases(split.train, split.validation, _DAMPING)
    factors, chosen = best_factors(split.train, split.validation, biases, _FACTORS)
    head = RatingHead.fit(HeadInputs.of(factors, split.train), split.validation)
    progress.step("ratings: fitted again to training and validation")
    every = split.train.joined(split.validation)
    biases = Biases.fit(every, damping)
    factors = Factorisation.fit(every, biases, chosen)
    predictors: dict[str, RatingPredictor] = {
        GLOBAL_MEAN: GlobalMean.fit(every),
        BIASES: biases,
        FACTORS: factors,
        HEAD: head.on(HeadInputs.of(factors, every)),
    }
    settings = {
        BIASES: f"damping {damping:g}",
        FACTORS: f"{chosen.factors} factors, lambda {chosen.regularisation:g} a rating",
    }
    counts = (len(split.train), len(split.validation), len(split.test))
    return RatingReport(rating_errors(predictors, split.test, seed), settings, counts, len(np.unique(split.test.user)))


def rating_errors(
    predictors: Mapping[str, RatingPredictor], ratings: RatingTable, seed: int
) -> dict[str, RatingErrors]:
    """Returns the errors of each predictor; users are resampled with all of their ratings.

    Args:
        predictors: by name, `BIASES` among them.
        ratings: to be predicted.
        seed: of the bootstrap.
    """
    users, place = np.unique(ratings.user, return_inverse=True)
    columns = [np.bincount(place, minlength=len(users)).astype(float)]
    for predictor in predictors.values():
        error = predictor.predict(ratings.user, ratings.item) - ratings.value
        columns += [np.bincount(place, error**2, len(users)), np.bincount(place, np.abs(error), len(users))]
    resampled = Resampled(np.stack(columns, axis=1), seed)
    base = 1 + 2 * list(predictors).index(BIASES)
    return {
        name: RatingErrors(
            _root(resampled.ratio(1 + 2 * number, 0)),
            resampled.ratio(2 + 2 * number, 0),
            _root(resampled.ratio(1 + 2 * number, base)),
        )
        for number, name in enumerate(predictors)
    }


def _root(interval: Interval) -> Interval:
    return Interval(*(float(np.sqrt(value)) for value in (interval.point, interval.low, interval.high)))
