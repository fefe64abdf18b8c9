"""The collaborative neighbour table: EASE with content and low rank, or ridge on neighbours for a large catalogue."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.events import EventSequence
from core.ranking.item_facts import ItemFacts
from core.retrieval.item_neighbours import NeighbourTable
from domain.progress import Progress
from training.collaborative.ease import Ease, EaseSettings, fit_ease
from training.collaborative.local_ridge import CooccurrenceGraph
from training.collaborative.low_rank import LowRankWeights, add_low_rank, low_rank_weights
from training.ranking.recall_settings import RecallSettings


class TableFitter:
    """Fits tables to the same histories by several settings; what two of them share is computed once."""

    def __init__(self, histories: Sequence[EventSequence], facts: ItemFacts, progress: Progress | None = None) -> None:
        self._histories, self._facts, self._progress = histories, facts, progress
        self._side = None if facts.vectors is None or facts.mean is None else facts.vectors - facts.mean
        rows = [np.empty(0, np.int64), *(history.rows for history in histories)]
        self._known = len(np.unique(np.concatenate(rows)))
        self._ease: tuple[object, Ease] | None = None
        self._low_rank: tuple[object, LowRankWeights] | None = None
        self._graph: tuple[object, CooccurrenceGraph] | None = None

    def is_local(self, settings: RecallSettings) -> bool:
        """Returns True where the ridge on neighbours is asked for, or EASE's matrix would be too large.

        That limit is on memory: above it "ease" is the ridge too.
        """
        return settings.solver == "local" or self._known > settings.ease.item_cap

    def table(self, settings: RecallSettings) -> NeighbourTable:
        """Returns each item's strongest neighbours."""
        if self.is_local(settings):
            return self._local(settings)
        solved = self._solved(settings)
        if settings.low_rank <= 0:
            return solved.table(settings.neighbour_count)
        key = settings.als
        if self._low_rank is None or self._low_rank[0] != key:
            factors = low_rank_weights(self._histories, solved.rows, solved.item_count, settings.als)
            self._low_rank = (key, factors)
        model = Ease(solved.rows, solved.weights.copy(), solved.item_count)
        add_low_rank(model, self._histories, self._low_rank[1], settings.low_rank)
        return model.table(settings.neighbour_count)

    def _solved(self, settings: RecallSettings) -> Ease:
        key = (_solution(settings.ease), settings.side_weight)
        if self._ease is None or self._ease[0] != key:
            self._ease = None  # two matrices at once would double the memory
            model = fit_ease(self._histories, self._facts.count, settings.ease, self._side, settings.side_weight)
            self._ease = (key, model)
        return self._ease[1]

    def _local(self, settings: RecallSettings) -> NeighbourTable:
        key = (settings.local, settings.ease.impression_weight)
        if self._graph is None or self._graph[0] != key:
            weight = settings.ease.impression_weight
            graph = CooccurrenceGraph(self._histories, self._facts.count, settings.local, weight, self._progress)
            self._graph = (key, graph)
        regularisation, count = settings.ease.regularisation, settings.neighbour_count
        return self._graph[1].table(regularisation, count, self._side, settings.side_weight, self._progress)


def _solution(settings: EaseSettings) -> EaseSettings:
    return replace(settings, tried=())
