"""Next-item recall: items that people chose soon after the history's last ones."""

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.source import SourceQuery, SourceScores
from core.scaling import Population
from domain.recommendation import Source

# The events that the next one is taken to follow.
_LAST_EVENTS = 5


class NextItemSource:
    """Successors of the history's last items, by a table of transitions from item to item."""

    name: ClassVar[str] = Source.NEXT_ITEM.value
    file: ClassVar[str] = "item_transitions.npz"

    def __init__(self, table: NeighbourTable) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True with events on known items."""
        return bool(len(query.events))

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; scores are sums of weights, above 0."""
        return self.table.search(*self._last(query), count, blocked)

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`."""
        return SourceScores.of_catalogue(self.table.scores(*self._last(query)), rows, population)

    @classmethod
    def load(cls, path: Path) -> Self:
        """See `NeighbourTable.load`."""
        return cls(NeighbourTable.load(path))

    def save(self, path: Path) -> None:
        """Writes what `load` reads."""
        self.table.save(path)

    def remapped(self, target: np.ndarray, item_count: int) -> "NextItemSource":
        """See `TableSource.remapped`."""
        return NextItemSource(self.table.remapped(target, item_count))

    @staticmethod
    def _last(query: SourceQuery) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns distinct rows, int64[H], and their weights, float64[H]; None for all alike."""
        rows = np.unique(query.events.rows[-_LAST_EVENTS:])
        half_life = query.half_lives.get(NextItemSource.name, 0.0)
        return rows, query.events.recency(rows, half_life) if half_life > 0 else None
