"""The caller's history, looked up in the catalogue."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from core.aspects.profile import user_aspects
from core.events import EventSequence
from domain.event import Event, EventKind, disliked_items, in_order
from domain.recommendation import RecommendQuery
from domain.text import history_text
from server.catalogue.catalogue import Catalogue
from server.stages.aspects import comments_of
from server.stages.release import ServingRelease

_KIND_PLACES = {kind: place for place, kind in enumerate(EventKind)}


@dataclass(frozen=True)
class History:
    """A request's history.

    Attributes:
        rows: catalogue rows that speak for similar items, each once, oldest first; none where the history is text.
        seen_rows: every catalogue row that occurs, disliked ones too.
        disliked_rows: those of them that are still disliked: they never come back, and push what is like them down.
        text: the sentence to encode; empty where nothing is put into words.
        titles: the titles in it, for shared words; its verbs must not find anything.
        unknown_item_ids: ids that the catalogue does not have and that carry no title, in the order given.
        events: every event on an item of the catalogue that is not disliked, readable or not: what trained models go
            by. Empty where the history is read as text, as the caller asked.
        read_as_text: whether the caller asked for similarity to what the history says.
        comments: the caller's comments on items, newest first; none where the release does not know what reviews say.
    """

    rows: tuple[int, ...]
    seen_rows: tuple[int, ...]
    disliked_rows: tuple[int, ...]
    text: str
    titles: str
    unknown_item_ids: tuple[str, ...]
    events: EventSequence = field(default_factory=EventSequence)
    read_as_text: bool = False
    comments: tuple[str, ...] = ()

    @property
    def speaks(self) -> bool:
        """True where an item speaks for others, by its vector, as an event or in words."""
        return bool(self.rows or self.text or len(self.events))

    @cached_property
    def aspects(self) -> np.ndarray | None:
        """float32[A], the comments by aspect; None where they say nothing of any."""
        scores = user_aspects(self.comments) if self.comments else None
        return scores if scores is not None and scores.any() else None


def read_history(query: RecommendQuery, release: ServingRelease) -> History:
    """Looks the history's items up.

    Known items count by their own vectors. Put into words are items that the catalogue lacks (by the title the caller
    gave) and items whose vectors say nothing, since the encoder cannot read them; with `tell_history`, all. A disliked
    item does not speak at all, whatever else was done with it: see `domain.event.disliked_items`. Liked items without
    an event come last, but do not take a dislike back: they have no time, the dislike has.
    """
    events = in_order(query.events)
    disliked = disliked_items(events)
    events += tuple(Event(item_id, EventKind.LIKE) for item_id in query.item_ids)
    known = release.catalogue.rows_of(dict.fromkeys(event.item_id for event in events))
    unknown = tuple(dict.fromkeys(e.item_id for e in events if e.item_id not in known and not e.item_title))
    speaking = [e for e in events if e.kind is not EventKind.DISLIKE and e.item_id not in disliked]
    readable = _readable(known, release.catalogue)
    worded = [event for event in speaking if query.tell_history or event.item_id not in readable]
    counted = [] if query.tell_history else [event for event in speaking if event.item_id in readable]
    titles = _titles(worded, known, release.catalogue)
    return History(
        rows=tuple(dict.fromkeys(known[event.item_id] for event in counted)),
        seen_rows=tuple(known.values()),
        disliked_rows=tuple(row for item_id, row in known.items() if item_id in disliked),
        text=history_text(worded, titles, release.template),
        titles="\n".join(dict.fromkeys(title for title in titles.values() if title)),
        unknown_item_ids=unknown,
        comments=() if release.aspects is None else comments_of(events),
        events=EventSequence() if query.tell_history else _sequence(speaking, known),
        read_as_text=query.tell_history,
    )


def _readable(known: Mapping[str, int], catalogue: Catalogue) -> set[str]:
    """Returns the ids whose vectors say something."""
    if not known:
        return set()
    readable = np.flatnonzero(np.any(catalogue.vectors_of(list(known.values())), axis=1))
    ids = list(known)
    return {ids[place] for place in readable.tolist()}


def _sequence(events: Sequence[Event], known: Mapping[str, int]) -> EventSequence:
    """Returns the events on items of the catalogue as arrays."""
    on_known = [(known[event.item_id], event) for event in events if event.item_id in known]
    now_s = time.time()
    ages_s = [0.0 if event.time_s is None else max(0.0, now_s - event.time_s) for _, event in on_known]
    return EventSequence(
        rows=np.asarray([row for row, _ in on_known], dtype=np.int64),
        kind=np.asarray([_KIND_PLACES[event.kind] for _, event in on_known], dtype=np.int64),
        age_s=np.asarray(ages_s, dtype=np.float32),
    )


def _titles(events: Sequence[Event], known: Mapping[str, int], catalogue: Catalogue) -> dict[str, str]:
    """Returns the catalogue's title by id, or its text where it has none; for other items, the caller's title."""
    ids = [item_id for item_id in dict.fromkeys(event.item_id for event in events) if item_id in known]
    items = dict(zip(ids, catalogue.items_of([known[item_id] for item_id in ids]), strict=True))
    return {
        event.item_id: items[event.item_id].title or items[event.item_id].text
        if event.item_id in items
        else event.item_title
        for event in events
    }
