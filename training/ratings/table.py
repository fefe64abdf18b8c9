"""Ratings as arrays, and their division for an evaluation."""

from dataclasses import dataclass

import numpy as np

from domain.errors import NothingToLearnFrom
from training.interactions.table import Interactions

_TEST_SHARE = 0.1
_VALIDATION_SHARE = 0.1
# Fewer ratings cannot tell predictors apart.
_FEWEST = 100


@dataclass(frozen=True)
class RatingTable:
    """Ratings of users for items.

    Attributes:
        user: int64[m], 0 to user_count - 1.
        item: int64[m], 0 to item_count - 1.
        value: float64[m].
        user_count: users of the whole file.
        item_count: items of the whole file.
    """

    user: np.ndarray
    item: np.ndarray
    value: np.ndarray
    user_count: int
    item_count: int

    def __len__(self) -> int:
        return len(self.value)

    def take(self, places: np.ndarray) -> "RatingTable":
        """Returns the ratings at places or of a mask."""
        return RatingTable(self.user[places], self.item[places], self.value[places], self.user_count, self.item_count)

    def joined(self, other: "RatingTable") -> "RatingTable":
        """Returns the ratings of both."""
        user, item = np.concatenate([self.user, other.user]), np.concatenate([self.item, other.item])
        return RatingTable(user, item, np.concatenate([self.value, other.value]), self.user_count, self.item_count)


@dataclass(frozen=True)
class RatingSplit:
    """A division of ratings.

    Attributes:
        train: what predictors are fitted to.
        validation: chooses their settings, and fits the head that joins them.
        test: evaluated once.
    """

    train: RatingTable
    validation: RatingTable
    test: RatingTable


def read_ratings(interactions: Interactions) -> RatingTable:
    """Returns the ratings of a file; of a user's several ratings of an item the last one.

    Raises:
        NothingToLearnFrom: the file has too few ratings.
    """
    if interactions.rating is None:
        raise NothingToLearnFrom("the interactions have no column rating; ratings cannot be evaluated")
    known = np.flatnonzero(~np.isnan(interactions.rating))
    by_time = known[np.argsort(interactions.order[known], kind="stable")]
    pair = interactions.user[by_time] * len(interactions.item_ids) + interactions.item[by_time]
    last = by_time[len(pair) - 1 - np.unique(pair[::-1], return_index=True)[1]]
    if len(last) < _FEWEST:
        raise NothingToLearnFrom(f"{len(last)} ratings are too few to compare predictors; give {_FEWEST} or more")
    return RatingTable(
        interactions.user[last],
        interactions.item[last],
        interactions.rating[last],
        len(interactions.user_ids),
        len(interactions.item_ids),
    )


def split_ratings(ratings: RatingTable, seed: int) -> RatingSplit:
    """Draws a tenth of all ratings as the test part and a tenth of the rest for validation."""
    order = np.random.default_rng(seed).permutation(len(ratings))
    test = max(1, int(_TEST_SHARE * len(order)))
    validation = test + max(1, int(_VALIDATION_SHARE * (len(order) - test)))
    parts = np.split(order, [test, validation])
    return RatingSplit(ratings.take(parts[2]), ratings.take(parts[1]), ratings.take(parts[0]))
