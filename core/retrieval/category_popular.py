"""Popular items of the categories of the caller's history."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from core.retrieval.popular import PopularSource
from core.retrieval.source import SourceQuery, SourceScores
from core.scaling import Population
from core.vectors import top_rows
from domain.recommendation import Source

_NAMES_CATEGORIES = re.compile(r"(^|_)(category|categories|subcategory|genre|genres|topic|topics|department)(_|$)")
# Events that say what the caller is after now.
_LAST_EVENTS = 50
# Events after which one counts half, the last one counting most.
_HALF_LIFE = 10.0


def names_categories(attribute: str) -> bool:
    """Returns whether an attribute of such a name groups items."""
    return _NAMES_CATEGORIES.search(attribute.casefold()) is not None


@dataclass(frozen=True)
class ItemCategories:
    """The categories of a catalogue's items, as pairs.

    Attributes:
        rows: int64[p], items.
        codes: int64[p], their categories; an item with several has several pairs.
        count: categories.
    """

    rows: np.ndarray
    codes: np.ndarray
    count: int

    @classmethod
    def of(cls, columns: Mapping[str, Mapping[str, Sequence[int] | np.ndarray]]) -> "ItemCategories":
        """Takes rows by value, by attribute."""
        values = [rows for name in sorted(columns) for rows in columns[name].values()]
        pairs = [np.asarray(rows, np.int64) for rows in values]
        codes = [np.full(len(rows), code) for code, rows in enumerate(pairs)]
        none = np.empty(0, np.int64)
        return cls(np.concatenate([none, *pairs]), np.concatenate([none, *codes]), len(pairs))

    @cached_property
    def sizes(self) -> np.ndarray:
        """int64[categories], the items of each."""
        return np.bincount(self.codes, minlength=self.count)

    def weights(self, rows: np.ndarray, weights: np.ndarray, item_count: int) -> np.ndarray:
        """Returns float64[categories], the sum of the weights, float64[m], of the items, int64[m], in each."""
        by_row = np.bincount(rows, weights, minlength=item_count)
        return np.bincount(self.codes, by_row[self.rows], minlength=self.count)


class CategoryPopularSource:
    """Items by log P(i) + log of how much the history is in their categories. Only where a scene names it.

    That is the sum, over the item's categories, of each one's share of the history's weight, divided by the square
    root of its number of items.
    """

    name: ClassVar[str] = Source.CATEGORY_POPULAR.value

    def __init__(self, popular: PopularSource, categories: ItemCategories) -> None:
        self._popular = popular
        self._categories = categories

    def with_popularity(self, popular: PopularSource) -> "CategoryPopularSource":
        """Returns the source by another prior."""
        return CategoryPopularSource(popular, self._categories)

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True for a history, where the request names this source."""
        return self.name in query.named and bool(len(query.events)) and self._categories.count > 0

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; only items that somebody chose, in a category of the history."""
        scores = self._scores(query)
        rows = np.flatnonzero(np.isfinite(scores) & ~blocked[: len(scores)] & self._popular.chosen)
        return top_rows(scores[rows], rows, count)

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`; -inf for an item in none of the history's categories."""
        return SourceScores.of_catalogue(self._scores(query), rows, population)

    def _scores(self, query: SourceQuery) -> np.ndarray:
        count, categories = len(self._popular), self._categories
        rows = query.events.rows[-_LAST_EVENTS:]
        weights = 0.5 ** (np.arange(len(rows))[::-1] / _HALF_LIFE)
        liked = categories.weights(rows, weights, count)
        # A category that most items have says little: its weight is compared with what chance would give it.
        liked = liked / max(float(weights.sum()), 1e-9) / np.sqrt(np.maximum(categories.sizes, 1))
        affinity = np.bincount(categories.rows, liked[categories.codes], minlength=count)
        with np.errstate(divide="ignore"):
            scores: np.ndarray = self._popular.log_prior + np.log(affinity)
        return scores.astype(np.float32)
