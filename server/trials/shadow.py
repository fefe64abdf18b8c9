"""Shadow: a second release answers copies of queries in the background, and its answers are compared."""

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from domain.errors import ShortlistError
from domain.recommendation import Recommendation, RecommendQuery
from server.admission.level import ServiceLevel
from server.deadline import Deadline
from server.observability.comparison import Comparison, ShadowFigures, compared
from server.observability.logs import message_of
from server.recommender import Recommender
from server.trace import Trace
from server.trials.running import RunningTrial

_MOST_WAITING = 32
_DEADLINE_S = 10.0


class ShadowObserver(Protocol):
    """Counter of compared answers."""

    def shadow_compared(self, comparison: Comparison, live_s: float, shadow_s: float) -> None:
        """Counts a query that both releases answered, in so many seconds."""

    def shadow_lost(self, outcome: str) -> None:
        """Counts a query that was not compared: "failed" or "dropped"."""


@dataclass(frozen=True)
class _Copy:
    """A query to ask again.

    Attributes:
        trial: of the shadow.
        query: as the live release answered it.
        answer: of the live release.
        live_s: how long it took, in seconds.
    """

    trial: RunningTrial
    query: RecommendQuery
    answer: Recommendation
    live_s: float


class Shadow:
    """Takes copies of queries and has the shadow answer them, one at a time. Belongs to one event loop."""

    def __init__(
        self,
        recommender: Recommender,
        trial: Callable[[], RunningTrial | None],
        observer: ShadowObserver,
        searcher: ThreadPoolExecutor,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Keeps its parts.

        Args:
            recommender: of the gateway.
            trial: returns the shadow; None where there is none.
            observer: counts what is compared.
            searcher: a thread of low priority, so that live queries go first.
            draw: returns a number from 0 to below 1.
        """
        self._recommender = replace(recommender, searchers=searcher)
        self._trial = trial
        self._observer = observer
        self._draw = draw
        self._waiting: asyncio.Queue[_Copy] = asyncio.Queue(_MOST_WAITING)
        self._log = structlog.get_logger("shadow")

    def offer(
        self, query: RecommendQuery, answer: Recommendation, live_s: float, level: ServiceLevel = ServiceLevel.FULL
    ) -> None:
        """Takes a copy of a query where the shadow's share falls on it; never waits, never raises.

        Later pages are left out: they continue the live release's list. So is what a gateway answers that has too much
        to do, and what comes while enough waits; it is counted as dropped.
        """
        trial = self._trial()
        if trial is None or query.page is not None or self._draw() >= trial.plan.share:
            return
        if level is not ServiceLevel.FULL or self._waiting.full():
            self._lost(trial.figures, "dropped")
            return
        self._waiting.put_nowait(_Copy(trial, query, answer, live_s))

    async def run(self) -> None:
        """Answers and compares until cancelled."""
        while True:
            await self._next()

    async def _next(self) -> None:
        """Takes the next copy; on its own, so that nothing holds an ended trial's release while none comes."""
        copy = await self._waiting.get()
        # A trial that ended meanwhile may be unloaded.
        if copy.trial is self._trial():
            await self._compare(copy)

    async def _compare(self, copy: _Copy) -> None:
        figures, since_s = copy.trial.figures, time.monotonic()
        try:
            # A shadow shows nothing, so that nothing is remembered of what it would show.
            query = replace(copy.query, without_repeats=False)
            answer = await self._recommender.recommend(
                query, Deadline.after(_DEADLINE_S), Trace(), release=copy.trial.view()
            )
        except ShortlistError as error:
            self._log.info("the shadow could not answer", error=message_of(error))
            self._lost(figures, "failed")
            return
        except Exception as error:
            self._log.error("the shadow failed", exc_info=error)
            self._lost(figures, "failed")
            return
        shadow_s = time.monotonic() - since_s
        comparison = compared(copy.answer.items, answer.items)
        figures.add(comparison, copy.live_s, shadow_s)
        self._observer.shadow_compared(comparison, copy.live_s, shadow_s)

    def _lost(self, figures: ShadowFigures, outcome: str) -> None:
        if outcome == "failed":
            figures.failed_count += 1
        else:
            figures.dropped_count += 1
        self._observer.shadow_lost(outcome)
