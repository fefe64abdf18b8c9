"""Items that no vector can speak for, at the end of a list that would be too short."""

from dataclasses import dataclass

import numpy as np

from core.retrieval.source import SourceQuery, SourceScores
from core.scaling import Population, ScoreScaler
from domain.recommendation import Source


@dataclass(frozen=True)
class FillSource:
    """Items whose text the encoder cannot read, in catalogue order.

    Attributes:
        unreadable: bool[n].
        name: of the source.
    """

    unreadable: np.ndarray
    name: str = Source.FILL.value

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True where vectors were searched, which cannot find these items."""
        return query.text_vector is not None or query.history_vector is not None

    def search(self, _: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; all scores are 0."""
        rows = np.flatnonzero(self.unreadable & ~blocked)[:count]
        return rows, np.zeros(len(rows), np.float32)

    def scores(self, _: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`: nothing is scored."""
        return SourceScores(np.full(len(rows), -np.inf, np.float32), ScoreScaler(0.0, 0.0, 0.0))
