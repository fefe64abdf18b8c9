"""Live recall: a sample of queries is also answered exactly in the background, and compared with the search."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import structlog

from core.vectors import ROUNDING
from domain.prompts import TextRole
from domain.recommendation import Recommendation, RecommendQuery
from server.admission.level import ServiceLevel
from server.catalogue.catalogue import Catalogue
from server.catalogue.exact import exact_nearest
from server.deadline import Deadline
from server.observability.logs import message_of
from server.stages.release import ServingRelease
from server.trace import Trace

DEPTH = 10
# One behind the other; what comes meanwhile is left out.
_MOST_WAITING = 4
_DEADLINE_S = 5.0
_SMOOTHED_OVER = 200


class RecallObserver(Protocol):
    """Counter of sampled queries."""

    def recall_sampled(self, found: int, expected: int, recall: float) -> None:
        """Counts a query.

        Args:
            found: of the exact nearest, those that the search has too.
            expected: the exact nearest, `DEPTH` or as many as there are.
            recall: over the last queries, 0 to 1.
        """


class RecallSample:
    """Measures recall@10 of the vector search on a share of the live queries. Belongs to one event loop."""

    def __init__(
        self,
        live: Callable[[], ServingRelease],
        share: float,
        observer: RecallObserver,
        searcher: ThreadPoolExecutor,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Keeps its parts.

        Args:
            live: returns the live release.
            share: of the queries with a text that are measured, 0 to 1.
            observer: takes the figures.
            searcher: a thread of low priority, so that live queries go first.
            draw: returns a number from 0 to below 1.
        """
        self._live = live
        self._share = share
        self._observer = observer
        self._searcher = searcher
        self._draw = draw
        self._waiting: asyncio.Queue[RecommendQuery] = asyncio.Queue(_MOST_WAITING)
        self._last: deque[tuple[int, int]] = deque(maxlen=_SMOOTHED_OVER)

    def offer(
        self, query: RecommendQuery, answer: Recommendation, live_s: float, level: ServiceLevel = ServiceLevel.FULL
    ) -> None:
        """Takes a query where the share falls on it and the gateway has time; never waits, never raises."""
        if not query.text or level is not ServiceLevel.FULL or self._draw() >= self._share:
            return
        if not self._waiting.full():
            self._waiting.put_nowait(query)

    async def run(self) -> None:
        """Measures until cancelled."""
        log = structlog.get_logger("recall")
        while True:
            query = await self._waiting.get()
            try:
                await self._measure(query)
            except Exception as error:
                log.warning("the recall of a query could not be measured", error=message_of(error))

    async def _measure(self, query: RecommendQuery) -> None:
        release = self._live()
        # Most often of the cache: the text was encoded a moment ago.
        tokens = await release.encoder.tokenize([query.text], Trace(), TextRole.QUERY)
        vectors = await release.encoder.encode(tokens, Deadline.after(_DEADLINE_S), Trace())
        run = asyncio.get_running_loop().run_in_executor
        found, expected = await run(self._searcher, _measured, release.catalogue, vectors[0], query)
        if not expected:
            return
        self._last.append((found, expected))
        total = sum(expected for _, expected in self._last)
        self._observer.recall_sampled(found, expected, sum(found for found, _ in self._last) / total)


def _measured(catalogue: Catalogue, vector: np.ndarray, query: RecommendQuery) -> tuple[int, int]:
    """Returns how many of the exact nearest the search finds, and how many there are; equally near ones count."""
    blocked = catalogue.blocked_by(query.conditions)
    _, exact = exact_nearest(catalogue, vector, DEPTH, np.flatnonzero(~blocked))
    if not len(exact):
        return 0, 0
    rows, _ = catalogue.search(vector, len(exact), blocked)
    found = catalogue.vectors_of(rows) @ vector
    return min(int((found >= exact[-1] - ROUNDING).sum()), len(exact)), len(exact)
