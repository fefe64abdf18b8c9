"""Collaborative recall: items chosen by the same people as the history's."""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.source import SourceQuery, SourceScores
from core.scaling import Population
from domain.recommendation import Source


class CollaborativeSource:
    """Neighbours of the history's items, their weights summed; of a proxy history's items where it has only text."""

    name: ClassVar[str] = Source.COLLABORATIVE.value
    file: ClassVar[str] = "neighbours.npz"

    def __init__(self, table: NeighbourTable) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True with events, or a proxy history, on known items."""
        return bool(len(query.events)) or (query.proxy_history is not None and bool(len(query.proxy_history.rows)))

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; scores are sums of weights, above 0."""
        return self.table.search(*self._history(query), count, blocked)

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`."""
        return SourceScores.of_catalogue(self.table.scores(*self._history(query)), rows, population)

    def strongest(self, query: SourceQuery, rows: np.ndarray) -> list[int | None]:
        """Returns for each row, int64[C], the history's row that speaks most for it; None where none does."""
        return self.table.strongest_of(*self._history(query), rows)

    @classmethod
    def load(cls, path: Path) -> Self:
        """See `NeighbourTable.load`."""
        return cls(NeighbourTable.load(path))

    def save(self, path: Path) -> None:
        """Writes what `load` reads."""
        self.table.save(path)

    def remapped(self, target: np.ndarray, item_count: int) -> "CollaborativeSource":
        """See `TableSource.remapped`."""
        return CollaborativeSource(self.table.remapped(target, item_count))

    @staticmethod
    def _history(query: SourceQuery) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns distinct rows, int64[H], and their weights, float[H]; None for all alike."""
        if len(query.events) or query.proxy_history is None:
            rows = query.events.distinct_rows
            half_life = query.half_lives.get(CollaborativeSource.name, 0.0)
            return rows, query.events.recency(rows, half_life) if half_life > 0 else None
        return query.proxy_history.rows, query.proxy_history.weights


def unusable_as_proxy(source: object, item_count: int) -> np.ndarray:
    """Returns bool[n], items without neighbours to speak for; all where there is no collaborative source."""
    if not isinstance(source, CollaborativeSource):
        return np.ones(item_count, bool)
    return source.table.without_neighbours
