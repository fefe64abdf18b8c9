"""A running service as a method of an evaluation: its lists for the same cases, by the same metrics."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import numpy as np

from core.events import EventSequence
from domain.errors import SplitRefused
from domain.event import EventKind
from domain.progress import SilentProgress
from domain.text import is_visible
from shortlist import AsyncClient, Event
from shortlist import EventKind as SentKind
from shortlist.requests import RecommendFields
from training.evaluation.search.service import ServiceList, ServiceRequest, ask_service
from training.splits.split import Split

THROUGH_SERVICE = "through the service"
# Metrics look at the first hundred places; what a case hides, such as validation choices, is taken out of them.
_ASKED = 200
_MOST_EXCLUDED = 10_000
_MOST_EVENTS = 1_000
_MOST_TEXT_BYTES = 8_192
_KINDS = tuple(SentKind[kind.name] for kind in EventKind)

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ServiceScorer:
    """Lists of a gateway as scores: a list's first item has the largest, what it does not list has none.

    Each history goes along as events, the newest thousand of them with their kinds and ages; items that are not
    candidates are excluded, so that the gateway chooses among the same items as every other method.

    Attributes:
        connect: opens a client of the gateway.
        item_ids: the catalogue's, by row.
        candidates: bool[n], rows that may be recommended.
    """

    connect: Callable[[], AsyncClient]
    item_ids: Sequence[str]
    candidates: np.ndarray

    def __post_init__(self) -> None:
        others = int((~self.candidates).sum())
        if others > _MOST_EXCLUDED:
            raise SplitRefused(
                f"{others:,} items are not candidates of this split, and a gateway takes at most {_MOST_EXCLUDED:,} to "
                "exclude: evaluate the service by a split whose candidates are the catalogue"
            )

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]: the more the earlier an item stands in the list, -inf for what is not listed.

        Raises:
            ServiceFailed: a call failed.
        """
        now = datetime.now(UTC)
        return self._listed([{"events": self._events(history, now)} for history in histories])

    def text_scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[B, n], as `scores`, for callers of whom only a line is known: it goes along as the profile.

        Raises:
            ServiceFailed: a call failed.
        """
        lines = [_cut(text) for text in texts]
        return self._listed([{"profile": line} if is_visible(line) else {} for line in lines])

    def _listed(self, known: Sequence[RecommendFields]) -> np.ndarray:
        """Returns float32[B, n] for what is known of each caller."""
        row_of = {item_id: row for row, item_id in enumerate(self.item_ids)}
        excluded = [self.item_ids[row] for row in np.flatnonzero(~self.candidates).tolist()]
        common: RecommendFields = {"exclude_item_ids": excluded, "k": _ASKED, "item_mask": ()}
        requests = [ServiceRequest(None, {**common, **fields}) for fields in known]
        scores = np.full((len(known), len(self.item_ids)), -np.inf, np.float32)
        for row, answer in zip(scores, _run(self._ask(requests)), strict=True):
            if answer.refusal:
                raise SplitRefused(f"the gateway refused a caller: {answer.refusal}")
            listed = [row_of[item_id] for item_id in answer.ids if item_id in row_of]
            row[listed] = _ASKED - np.arange(len(listed), dtype=np.float32)
        return scores

    async def _ask(self, requests: Sequence[ServiceRequest]) -> list[ServiceList]:
        async with self.connect() as client:
            return await ask_service(client, requests, SilentProgress())

    def _events(self, history: EventSequence, now: datetime) -> list[Event]:
        comments = history.comments if len(history.comments) else [""] * len(history)
        places = range(max(0, len(history) - _MOST_EVENTS), len(history))
        return [
            Event(
                self.item_ids[int(history.rows[place])],
                _KINDS[int(history.kind[place])],
                comment=_cut(comments[place]),
                # Equal ages keep the order of the history.
                time=now - timedelta(seconds=float(history.age_s[place]), microseconds=len(history) - place),
            )
            for place in places
        ]


def _cut(text: str) -> str:
    """Returns as much of a text as a request takes."""
    return text.encode()[:_MOST_TEXT_BYTES].decode(errors="ignore")


def _run(work: Coroutine[object, object, _Result]) -> _Result:
    """Runs a coroutine to its end, also where the caller runs in an event loop."""
    found: list[_Result] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(asyncio.run(work))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def service_scorer(connect: Callable[[], AsyncClient], split: Split) -> ServiceScorer:
    """Returns a service as a method of a split.

    Raises:
        SplitRefused: its tests have different candidates, or too many items are not candidates.
    """
    candidates = split.tests[0].candidates
    if any(not np.array_equal(part.candidates, candidates) for part in split.tests):
        raise SplitRefused("the tests of this split have candidates of their own; a service is evaluated by one set")
    return ServiceScorer(connect, split.item_ids, candidates)
