"""Lexical recall: items that share words with the text."""

from typing import ClassVar

import numpy as np

from core.retrieval.lexical_match import LexicalIndex
from core.retrieval.source import SourceQuery, SourceScores
from core.scaling import Population
from domain.recommendation import Source


class LexicalSource:
    """Items that share words with the text."""

    name: ClassVar[str] = Source.LEXICAL.value

    def __init__(self, index: LexicalIndex) -> None:
        self.index = index

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True with words to match."""
        return query.lexical is not None and bool(query.lexical.terms)

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; scores are shares of the largest possible BM25."""
        assert query.lexical is not None
        return self.index.search(query.lexical, count, blocked)

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`."""
        assert query.lexical is not None
        scores = np.zeros(len(self.index), np.float32)
        found, values = self.index.search(query.lexical, len(self.index), np.zeros(len(self.index), bool))
        scores[found] = values
        return SourceScores.of_catalogue(np.where(scores > 0, scores, -np.inf), rows, population)
