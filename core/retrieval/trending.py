"""Items that many chose of late, by counts that the gateway keeps of recent events."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from core.retrieval.source import SourceQuery, SourceScores
from core.row_order import RowOrder, best_first
from core.scaling import Population
from domain.recommendation import Source


@dataclass(frozen=True)
class Trends:
    """The items that were chosen most of late.

    Attributes:
        item_ids: the most chosen first.
        counts: of each, above 0: events by the weights of their kinds, an old one counting less.
    """

    item_ids: tuple[str, ...] = ()
    counts: tuple[float, ...] = ()


class TrendingSource:
    """Items by how much they were chosen of late, the same for every history. Only where a scene names it."""

    name: ClassVar[str] = Source.TRENDING.value

    def __init__(
        self,
        trends: Trends,
        rows_of: Callable[[Iterable[str]], Mapping[str, int]],
        order: RowOrder | None = None,
    ) -> None:
        """Keeps the counts of one moment.

        Args:
            trends: the counts.
            rows_of: finds the rows of the ids that a catalogue has.
            order: of equal counts; None where rows ascend by id.
        """
        self._order = order
        self._trends = trends
        self._rows_of = rows_of

    @cached_property
    def _listed(self) -> tuple[np.ndarray, np.ndarray]:
        """int64[m], the catalogue's rows, and float32[m], their counts; the largest first, equal ones by id."""
        found = self._rows_of(self._trends.item_ids)
        counts = dict(zip(self._trends.item_ids, self._trends.counts, strict=True))
        rows = np.fromiter(found.values(), np.int64, len(found))
        scores = np.fromiter((counts[item_id] for item_id in found), np.float32, len(found))
        best = best_first(scores, rows, self._order)
        return rows[best], scores[best]

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True where the request names this source and something was chosen of late."""
        return self.name in query.named and bool(self._trends.item_ids) and len(self._listed[0]) > 0

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; items that nobody chose of late are not among them."""
        rows, scores = self._listed
        allowed = np.flatnonzero(~blocked[rows])[:count]
        return rows[allowed], scores[allowed]

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`; -inf for an item that nobody chose of late."""
        listed, counts = self._listed
        every = np.full(max(len(population.chosen), int(listed.max(initial=-1)) + 1), -np.inf, np.float32)
        every[listed] = counts
        return SourceScores.of_catalogue(every, rows, population)
