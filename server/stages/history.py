"""What the caller did, looked up in the catalogue."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.aspects.profile import user_aspects
from core.events import EventSequence
from domain.errors import FieldViolation, NothingToGoOn
from domain.event import Event, EventKind, in_order
from domain.recommendation import RecommendQuery
from domain.text import history_text
from server.release.live_release import LiveRelease
from server.stages.aspects import comments_of

_KIND_PLACES = {kind: place for place, kind in enumerate(EventKind)}


@dataclass(frozen=True)
class History:
    """A request's history.

    Attributes:
        rows: catalogue rows that speak for similar items, each once, oldest first; none where the history is told.
        seen_rows: every catalogue row that occurs, disliked ones too.
        disliked_rows: those of them that must not come back in any case.
        told: the sentence to encode; empty where nothing is told.
        told_titles: the titles in it, for shared words; its verbs must not find anything.
        unknown_item_ids: ids that the catalogue does not have and that carry no title, in the order given.
        past: every event on an item of the catalogue that was not disliked, readable or not: what trained models go
            by. None where the history is told, for then the caller wants it read as text.
        read_as_text: whether the caller asked for all of it to be told, and so for likeness to what it says.
        comments: what the caller said of items, newest first; none where the release does not know what reviews say.
    """

    rows: tuple[int, ...]
    seen_rows: tuple[int, ...]
    disliked_rows: tuple[int, ...]
    told: str
    told_titles: str
    unknown_item_ids: tuple[str, ...]
    past: EventSequence | None = None
    read_as_text: bool = False
    comments: tuple[str, ...] = ()

    @cached_property
    def aspects(self) -> np.ndarray | None:
        """float32[A], what the comments say by aspect; None where they say nothing."""
        said = user_aspects(self.comments) if self.comments else None
        return said if said is not None and said.any() else None

    @property
    def past_rows(self) -> np.ndarray:
        """int64[H], the rows of `past`, each once, oldest first."""
        rows = () if self.past is None else self.past.rows.tolist()
        return np.asarray(list(dict.fromkeys(rows)), dtype=np.int64)


def read_history(query: RecommendQuery, release: LiveRelease) -> History:
    """Looks the history's items up.

    Known items count by their own vectors. Told by their titles instead are items that the catalogue lacks (by the
    title the caller gave) and items whose vectors say nothing, since the encoder can't read them; with `tell_history`,
    all. A dislike never speaks for an item.

    Raises:
        NothingToGoOn: there is no text, no item of the history is known or has a title, and the release does not know
            either what is popular.
    """
    events = in_order(query.events) + tuple(Event(item_id, EventKind.LIKE) for item_id in query.item_ids)
    rows = {event.item_id: release.data.items.row_of(event.item_id) for event in events}
    known = {item_id: row for item_id, row in rows.items() if row is not None}
    unknown = tuple(dict.fromkeys(e.item_id for e in events if e.item_id not in known and not e.item_title))
    speaking = [event for event in events if event.kind is not EventKind.DISLIKE]
    readable = {item_id for item_id, row in known.items() if not release.unreadable[row]}
    told = [event for event in speaking if query.tell_history or event.item_id not in readable]
    counted = [] if query.tell_history else [event for event in speaking if event.item_id in readable]
    titles = {event.item_id: _title(event, known, release) for event in told}
    history = History(
        rows=tuple(dict.fromkeys(known[event.item_id] for event in counted)),
        seen_rows=tuple(known.values()),
        disliked_rows=tuple(known[e.item_id] for e in events if e.kind is EventKind.DISLIKE and e.item_id in known),
        told=history_text(told, titles, release.manifest.template),
        told_titles="\n".join(dict.fromkeys(title for title in titles.values() if title)),
        unknown_item_ids=unknown,
        comments=() if release.data.aspects is None else comments_of(events),
        past=None if query.tell_history else _past(speaking, known),
        read_as_text=query.tell_history,
    )
    if not (query.text or history.rows or history.told or release.data.popularity is not None):
        raise NothingToGoOn(
            FieldViolation(
                "events" if query.events else "item_ids",
                "none of these items can be recommended from (not in the catalogue, without a title, or only disliked) "
                "and there is no text; pass text, or events on items of the catalogue",
            )
        )
    return history


def _past(events: Sequence[Event], known: Mapping[str, int]) -> EventSequence | None:
    """The events as arrays; None where none is on an item of the catalogue."""
    found = [(known[event.item_id], event) for event in events if event.item_id in known]
    if not found:
        return None
    now_s = time.time()
    ages_s = [0.0 if event.time_s is None else max(0.0, now_s - event.time_s) for _, event in found]
    return EventSequence(
        rows=np.asarray([row for row, _ in found], dtype=np.int64),
        kind=np.asarray([_KIND_PLACES[event.kind] for _, event in found], dtype=np.int64),
        age_s=np.asarray(ages_s, dtype=np.float32),
    )


def _title(event: Event, known: Mapping[str, int], release: LiveRelease) -> str:
    """The catalogue's title, or its text where it has none; for other items, the caller's title."""
    if event.item_id not in known:
        return event.item_title
    item = release.data.items.item(known[event.item_id])
    return item.title or item.text
