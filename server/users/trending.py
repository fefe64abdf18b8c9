"""Counts of recent events by item, of all users together, an old event counting less. No user is kept in them.

Salted hashes of user and item, in memory alone, remember what each pair counts: repeating makes nothing trend.

A gateway counts what it acknowledged itself. The counts are written to a file every minute and when the gateway ends,
and read from it at the next start.
"""

import asyncio
import heapq
import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Container, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.events import KIND_WEIGHTS
from core.retrieval.trending import Trends
from domain.durable import write_atomic
from domain.event import Event, EventKind

FILE_NAME = "trending.json"

# Items that are counted; beyond a quarter more, those with the smallest counts are dropped with the next refresh.
MOST_ITEMS = 100_000
_SLACK = 1.25
# Pairs of user and item of which it is remembered what they count.
_PAIRS = 100_000
# Items of which lists are made.
_LISTED = 10_000
# An item with less than this is forgotten: one event of full weight lasts for nearly seven half-lives.
_LEAST = 0.01
# Exponents of two that a count may have before all are counted from a later moment.
_REBASE_AT = 500.0
# By so much a clock may go back without more ado.
_CLOCK_SLACK_S = 60.0
_REFRESH_S = 1.0
# Counts fall without events too.
_REFRESH_IDLE_S = 60.0
_SAVE_S = 60.0


@dataclass(frozen=True)
class CountsAt:
    """The counts of one moment.

    Attributes:
        counts: by item id, as they are at that moment.
        time_s: the moment, seconds since 1970.
    """

    counts: Mapping[str, float]
    time_s: float

    def trends(self) -> Trends:
        """Returns the items with the largest counts, equal ones by id."""
        top = heapq.nsmallest(_LISTED, self.counts.items(), key=lambda one: (-one[1], one[0]))
        return Trends(tuple(item_id for item_id, _ in top), tuple(count for _, count in top))

    def save(self, path: Path) -> None:
        """Writes JSON, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps({"time_s": self.time_s, "counts": dict(self.counts)}))

    @classmethod
    def load(cls, path: Path) -> "CountsAt":
        """Reads what `save` wrote.

        Raises:
            OSError, ValueError: it cannot be read.
        """
        try:
            raw = json.loads(path.read_text("utf-8"))
            counts = {str(item_id): float(count) for item_id, count in raw["counts"].items()}
            found = cls(counts, float(raw["time_s"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} holds no counts") from error
        if not all(map(math.isfinite, (found.time_s, *counts.values()))):
            raise ValueError(f"{path} holds a count that is not a number")
        return found


class TrendCounts:
    """Sums of event weights by item, halved with every half-life. Not thread-safe.

    By forward decay (Cormode, Shkapenyuk, Srivastava and Xu 2009): an event adds weight * 2^((its time - origin) /
    half-life), so that nothing has to be touched as time goes by.
    """

    def __init__(
        self, half_life_s: float, clock: Callable[[], float] = time.time, most_items: int = MOST_ITEMS
    ) -> None:
        """Starts at nothing.

        Args:
            half_life_s: after which an event counts half.
            clock: seconds since 1970.
            most_items: that are counted, see `is_full`.
        """
        self._half_life_s = half_life_s
        self._clock = clock
        self._most_items = most_items
        self._origin_s = self._latest_s = clock()
        self._sums: dict[str, float] = {}
        # What a user's events on an item count, by a hash of both; the last ones to change.
        self._given: OrderedDict[int, float] = OrderedDict()
        self.change_count = 0

    def __len__(self) -> int:
        return len(self._sums)

    def add(self, events: Iterable[Event], known: Container[str], user: Hashable = None) -> None:
        """Counts what one user did with items; each item once, by the event that counts most.

        Args:
            events: dislikes do not count, and an event later than now counts as of now.
            known: ids of the items that are counted.
            user: whose earlier events on an item count no more beside a stronger or newer one, as far as they are
                remembered; None counts every call.
        """
        now_s = self._now_s()
        strongest: dict[str, float] = {}
        for event in events:
            if event.kind is EventKind.DISLIKE or event.item_id not in known:
                continue
            time_s = now_s if event.time_s is None else min(event.time_s, now_s)
            weight = KIND_WEIGHTS.get(event.kind, 1.0) * event.weight * self._growth(time_s)
            strongest[event.item_id] = max(weight, strongest.get(event.item_id, 0.0))
        least = _LEAST * self._growth(now_s)
        for item_id, weight in strongest.items():
            more = weight if user is None else weight - self._given.get(hash((user, item_id)), 0.0)
            if weight >= least and more > 0:
                self._sums[item_id] = self._sums.get(item_id, 0.0) + more
                self.change_count += 1
                if user is not None:
                    self._remember(hash((user, item_id)), weight)

    def _remember(self, pair: int, weight: float) -> None:
        self._given[pair] = weight
        self._given.move_to_end(pair)
        if len(self._given) > _PAIRS:
            self._given.popitem(last=False)

    @property
    def is_full(self) -> bool:
        """Returns whether more items are counted than may be, see `smallest`."""
        return len(self._sums) > self._most_items * _SLACK

    def smallest(self) -> Callable[[], Mapping[str, float]]:
        """Returns what finds the items to `drop`, in any thread."""
        sums, count = dict(self._sums), len(self._sums) - self._most_items

        def found() -> Mapping[str, float]:
            return dict(heapq.nsmallest(count, sums.items(), key=lambda one: one[1]))

        return found

    def drop(self, smallest: Mapping[str, float]) -> None:
        """Drops items, but not those that were counted again meanwhile."""
        for item_id, value in smallest.items():
            if self._sums.get(item_id) == value:
                del self._sums[item_id]

    def now(self) -> Callable[[], CountsAt]:
        """Returns what makes the counts of this moment, in any thread; items that count too little are left out."""
        now_s = self._now_s()
        sums, growth = dict(self._sums), self._growth(now_s)

        def made() -> CountsAt:
            return CountsAt(
                {item_id: value / growth for item_id, value in sums.items() if value >= _LEAST * growth}, now_s
            )

        return made

    def restore(self, saved: CountsAt) -> None:
        """Goes on from counts of an earlier moment; of a later one, by a clock that was set back, as if it were now."""
        now_s = self._now_s()
        growth = self._growth(min(saved.time_s, now_s))
        self._sums = {item_id: count * growth for item_id, count in saved.counts.items() if count > 0}
        self.change_count += 1

    def _growth(self, time_s: float) -> float:
        return math.exp2((time_s - self._origin_s) / self._half_life_s)

    def _now_s(self) -> float:
        """Returns the time, and sees to it that `_growth` of it is a number of a size that can be added to."""
        now_s = self._clock()
        if now_s < self._latest_s - _CLOCK_SLACK_S:
            # A clock that was set back: what was counted until now counts as of now.
            self._begin(now_s, self._growth(self._latest_s))
        now_s = max(now_s, self._latest_s)
        if (now_s - self._origin_s) / self._half_life_s > _REBASE_AT:
            # After so many half-lives nothing is left; more would not be a number.
            steps = min((now_s - self._origin_s) / self._half_life_s, 2 * _REBASE_AT)
            self._begin(now_s, 2.0**steps)
        self._latest_s = now_s
        return now_s

    def _begin(self, origin_s: float, growth: float) -> None:
        self._sums = {item_id: value / growth for item_id, value in self._sums.items()}
        self._given = OrderedDict((pair, value / growth) for pair, value in self._given.items())
        self._origin_s = self._latest_s = origin_s


class Trending:
    """The counts of a gateway, the list that is made of them, and their file. To be used on the event loop.

    Attributes:
        trends: what was chosen most, made anew a second after a change at the latest.
    """

    def __init__(self, counts: TrendCounts, path: Path) -> None:
        """Keeps the parts; `open` reads the file."""
        self.trends = Trends()
        self._counts = counts
        self._path = path
        self._listed_count = self._saved_count = 0
        self._listed_s = self._saved_s = time.monotonic()
        self._log = structlog.get_logger("events")

    async def open(self) -> None:
        """Goes on from the file of the last run, where there is one that can be read."""
        try:
            saved = await asyncio.to_thread(CountsAt.load, self._path)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self._log.warning("the counts of trending items could not be read; they begin anew", cause=str(error))
            return
        self._counts.restore(saved)
        self._saved_count = self._counts.change_count
        await self.refresh()

    def add(self, events: Iterable[Event], known: Container[str], user: Hashable = None) -> None:
        """Counts acknowledged events of one user, see `TrendCounts.add`."""
        self._counts.add(events, known, user)

    async def refresh(self) -> None:
        """Makes the list of what was chosen most; drops items that are too many."""
        if self._counts.is_full:
            self._counts.drop(await asyncio.to_thread(self._counts.smallest()))
        self._listed_count, self._listed_s = self._counts.change_count, time.monotonic()
        self.trends = await asyncio.to_thread(_listed, self._counts.now())

    async def run(self) -> None:
        """Keeps the list and the file up to date until cancelled."""
        while True:
            await asyncio.sleep(_REFRESH_S)
            now_s = time.monotonic()
            changed = self._counts.change_count != self._listed_count
            if changed or (self.trends.item_ids and now_s - self._listed_s > _REFRESH_IDLE_S):
                await self.refresh()
            if now_s - self._saved_s > _SAVE_S:
                await self.save()

    async def save(self) -> None:
        """Writes the file where something changed; a failure is logged."""
        changes, self._saved_s = self._counts.change_count, time.monotonic()
        if changes == self._saved_count:
            return
        try:
            await asyncio.to_thread(_save, self._counts.now(), self._path)
        except OSError as error:
            self._log.warning("the counts of trending items could not be written", cause=str(error))
            return
        self._saved_count = changes


def _listed(counts: Callable[[], CountsAt]) -> Trends:
    return counts().trends()


def _save(counts: Callable[[], CountsAt], path: Path) -> None:
    counts().save(path)
