"""Statistics of the terms of a word index, read once each: in how many items a term is, and how much it can add."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from core.retrieval.lexical_document import TEXT
from core.retrieval.lexical_index import EXTRA, TITLE, VALUES, WordIndex

# How much a term counts in each field.
WEIGHTS: Mapping[str, float] = {TITLE: 2.0, VALUES: 1.5, TEXT: 1.0, EXTRA: 0.6}
# Of Lucene and tantivy: the most that one term of idf 1 can give is k1 + 1.
_MOST_OF_IDF = 2.2
_KEPT = 65_536


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """Statistics of one term.

    Attributes:
        counts: in how many items each field of `WEIGHTS` has it.
        frequency: the largest of them.
        most: the largest score that it can give an item.
    """

    counts: Mapping[str, int]
    frequency: int
    most: float


class CatalogueStatistics:
    """Statistics of all terms. Any thread may ask."""

    def __init__(self, index: WordIndex) -> None:
        self._index = index
        self.of = lru_cache(maxsize=_KEPT)(self._of)

    def frequency(self, term: str) -> int:
        """Returns in how many items a field has a term: the field with most."""
        return self.of(term).frequency

    @property
    def most_of_rarest(self) -> float:
        """The largest score that a term of a single item can give."""
        return _MOST_OF_IDF * max(WEIGHTS.values()) * self._idf(1)

    def in_all(self, field: str, terms: Sequence[str]) -> bool:
        """Returns whether each of some terms is in a field of any item."""
        return all(self.of(term).counts[field] for term in terms)

    def _of(self, term: str) -> TermStatistics:
        counts = {field: self._index.frequency(field, term) for field in WEIGHTS}
        most = max(weight * self._idf(counts[field]) for field, weight in WEIGHTS.items())
        return TermStatistics(counts, max(counts.values()), _MOST_OF_IDF * most)

    def _idf(self, count: int) -> float:
        return idf(count, self._index.count)


def idf(count: int, total: int) -> float:
    """Returns BM25's rarity of a term in `count` of `total` items: ln(1 + (N - n + .5) / (n + .5)), 0 for none."""
    return float(np.log1p((max(total - count, 0) + 0.5) / (count + 0.5))) if count else 0.0
