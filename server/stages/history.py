"""The caller's history, looked up in the catalogue."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from core.aspects.profile import own_aspects
from core.events import EventSequence, history_weights
from domain.event import Event, EventKind, disliked_items, in_order
from domain.recommendation import RecommendQuery
from domain.text import history_text
from server.catalogue.catalogue import Catalogue
from server.stages.release import ServingRelease

_KIND_PLACES = {kind: place for place, kind in enumerate(EventKind)}
# Events in words that are read one by one where the whole cannot be read; older ones are one part.
_SINGLE_PARTS = 32


@dataclass(frozen=True)
class ToldPart:
    """Part of a history in words, which can be read where others cannot.

    Attributes:
        text: the sentence to encode, or the caller's statement.
        words: what of it may be matched: titles without verbs, or the statement.
    """

    text: str
    words: str


@dataclass(frozen=True)
class History:
    """A request's history.

    Attributes:
        rows: catalogue rows that speak for similar items, each once, oldest first; none where the history is text.
        seen_rows: every catalogue row that occurs, disliked ones too.
        disliked_rows: those of them that are still disliked: they never come back, and push what is like them down.
        text: the sentence to encode; empty where nothing is put into words.
        titles: the titles in it, for shared words; its verbs must not find anything.
        parts: the same in parts, in that order.
        unknown_item_ids: ids that the catalogue does not have and that carry no title, in the order given.
        events: every event on an item of the catalogue that is not disliked, readable or not: what trained models go
            by. Empty where the history is read as text, as the caller asked.
        read_as_text: whether the caller asked for similarity to what the history says.
        comments: the caller's comments on items, oldest first; none where the release does not know what reviews say.
        ignored: how often items were shown and never touched, by row.
        weights: float64[len(rows)], how much each of `rows` counts in the history's vector, summing to 1.
    """

    rows: tuple[int, ...]
    seen_rows: tuple[int, ...]
    disliked_rows: tuple[int, ...]
    text: str
    titles: str
    unknown_item_ids: tuple[str, ...]
    parts: tuple[ToldPart, ...] = ()
    events: EventSequence = field(default_factory=EventSequence)
    read_as_text: bool = False
    comments: tuple[str, ...] = ()
    ignored: Mapping[int, int] = field(default_factory=dict)
    weights: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def speaks(self) -> bool:
        """True where an item speaks for others, by its vector, as an event or in words."""
        return bool(self.rows or self.text or len(self.events))

    @cached_property
    def aspects(self) -> np.ndarray | None:
        """float32[A], the comments by aspect; None where they say nothing of any."""
        return own_aspects(self.comments) if self.comments else None


def read_history(query: RecommendQuery, release: ServingRelease) -> History:
    """Looks the history's items up.

    Known items count by their own vectors. Put into words are items that the catalogue lacks (by the title the caller
    gave) and items whose vectors say nothing, since the encoder cannot read them; with `tell_history`, all. A disliked
    item does not speak at all, whatever else was done with it: see `domain.event.disliked_items`. Liked items without
    an event come last, but do not take a dislike back: they have no time, the dislike has. Statements of the caller
    are read as they are.
    """
    if not (query.events or query.item_ids or query.statements or query.ignored):
        return _NO_HISTORY if query.tell_history is False else replace(_NO_HISTORY, read_as_text=True)
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
    said = " ".join(query.statements)
    return History(
        rows=tuple(dict.fromkeys(known[event.item_id] for event in counted)),
        seen_rows=tuple(
            row for item_id, row in known.items() if item_id in disliked or item_id not in query.returnable_item_ids
        ),
        disliked_rows=tuple(row for item_id, row in known.items() if item_id in disliked),
        text=" ".join(part for part in (history_text(worded, titles, release.template), said) if part),
        titles="\n".join(dict.fromkeys(title for title in (*titles.values(), *query.statements) if title)),
        unknown_item_ids=unknown,
        parts=_parts(worded, titles, query.statements, release),
        comments=() if release.aspects is None else tuple(event.comment for event in events if event.comment),
        events=EventSequence() if query.tell_history else _sequence(speaking, known),
        read_as_text=query.tell_history,
        weights=_weights(counted, known),
        ignored={row: query.ignored[item_id] for item_id, row in release.catalogue.rows_of(query.ignored).items()},
    )


def _parts(
    worded: Sequence[Event], titles: Mapping[str, str], statements: Sequence[str], release: ServingRelease
) -> tuple[ToldPart, ...]:
    """Returns the history in words by event and statement; what has no words is left out."""
    older = max(0, len(worded) - _SINGLE_PARTS)
    groups = [worded[:older], *([event] for event in worded[older:])]
    told = [
        ToldPart(
            history_text(group, titles, release.template),
            "\n".join(dict.fromkeys(titles[event.item_id] for event in group if titles[event.item_id])),
        )
        for group in groups
    ]
    return tuple(part for part in (*told, *(ToldPart(said, said) for said in statements)) if part.text)


_NO_HISTORY = History((), (), (), "", "", ())


def _weights(events: Sequence[Event], known: Mapping[str, int]) -> np.ndarray:
    rows = np.asarray([known[event.item_id] for event in events], np.int64)
    kinds = np.asarray([_KIND_PLACES[event.kind] for event in events], np.int64)
    return history_weights(rows, kinds, np.asarray([event.weight for event in events]))


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
