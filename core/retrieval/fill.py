"""Items that no vector can speak for, at the end of a list that would be too short."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.retrieval.source import SourceQuery, SourceScores, first_free
from core.row_order import RowOrder
from core.scaling import Population, ScoreScaler
from domain.recommendation import Source


@dataclass(frozen=True)
class FillSource:
    """Items whose text the encoder cannot read, in the order of their ids.

    Attributes:
        unreadable: bool[n].
        name: of the source.
        order: of the rows; None where they ascend by id.
    """

    unreadable: np.ndarray
    name: str = Source.FILL.value
    order: RowOrder | None = None

    @cached_property
    def _rows(self) -> np.ndarray:
        rows = np.flatnonzero(self.unreadable)
        return rows if self.order is None else self.order.by_id(rows)

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True where vectors were searched, which cannot find these items."""
        return query.text_vector is not None or query.history_vector is not None

    def search(self, _: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; all scores are 0."""
        rows = self._rows[first_free(self._rows, blocked, count)]
        return rows, np.zeros(len(rows), np.float32)

    def scores(self, _: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`: nothing is scored."""
        return SourceScores(np.full(len(rows), -np.inf, np.float32), ScoreScaler(0.0, 0.0, 0.0))
