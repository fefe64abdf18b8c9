"""User tower recall: items nearest to the user's embedding."""

from dataclasses import dataclass

import numpy as np

from core.retrieval.source import SourceQuery, SourceScores
from core.retrieval.vector_store import VectorStore
from core.scaling import Population
from domain.recommendation import Source


@dataclass(frozen=True)
class UserTowerSource:
    """Nearest to the user's embedding, which the user tower makes of the events.

    Attributes:
        items: the item side of the tower, e numbers an item.
        name: of the source.
    """

    items: VectorStore
    name: str = Source.USER_TOWER.value

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True where the tower answered."""
        return query.user_embedding is not None

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; scores are cosines."""
        assert query.user_embedding is not None
        return self.items.search(query.user_embedding, count, blocked)

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`."""
        assert query.user_embedding is not None
        return self.items.scores(query.user_embedding, rows, population)
