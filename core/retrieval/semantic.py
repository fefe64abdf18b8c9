"""Semantic recall: items whose content vectors are nearest to the text, or to the history."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.retrieval.source import SourceQuery, SourceScores
from core.scaling import Population
from domain.recommendation import Source


class ContentVectors(Protocol):
    """The catalogue's content vectors."""

    def search(self, query: np.ndarray, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the nearest rows int64[k] and their inner products float32[k], best first."""

    def scores(self, query: np.ndarray, rows: np.ndarray, population: Population) -> SourceScores:
        """Returns the inner products of these rows, int64[C]."""


@dataclass(frozen=True)
class SemanticTextSource:
    """Nearest to the request's text."""

    content: ContentVectors
    name: str = Source.SEMANTIC_TEXT.value

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True where the text has a vector."""
        return query.text_vector is not None

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; scores are cosines."""
        assert query.text_vector is not None
        return self.content.search(query.text_vector, count, blocked)

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`."""
        assert query.text_vector is not None
        return self.content.scores(query.text_vector, rows, population)


@dataclass(frozen=True)
class SemanticHistorySource:
    """Nearest to the history's vector."""

    content: ContentVectors
    name: str = Source.SEMANTIC_HISTORY.value

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True where the history has a vector."""
        return query.history_vector is not None

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; scores are inner products with the unit history vector."""
        assert query.history_vector is not None
        return self.content.search(query.history_vector, count, blocked)

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`."""
        assert query.history_vector is not None
        return self.content.scores(query.history_vector, rows, population)
