"""Looks for candidates in every source that applies. Runs in a worker thread: the indexes release the GIL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from domain.recommendation import RecommendQuery, Source
from pipeline.fuse import Candidate, RecalledList, SourceView
from server.history import History
from server.live_release import LiveRelease
from server.represent import Represented

# Where lists are joined, each must reach deeper than k: what is tenth in both can be first together.
_DEPTH_FACTOR = 4
_DEPTH_LEAST = 100


@dataclass(frozen=True)
class Recalled:
    """What the sources found.

    Attributes:
        lists: one list a source.
        matched_terms: terms shared with the text, by row; of the lexical source only.
        fill_rows: rows that may be returned but that no vector can speak for; for the end of a list that is too short.
    """

    lists: tuple[RecalledList, ...]
    matched_terms: Mapping[int, tuple[str, ...]]
    fill_rows: np.ndarray


def recall(query: RecommendQuery, history: History, represented: Represented, release: LiveRelease) -> Recalled:
    """Returns each source's candidates; blocked items are in none of them.

    Raises:
        InvalidRequest: a condition does not fit the catalogue's attributes.
    """
    blocked = _blocked(query, history, release)
    source_count = len(represented.queries) + bool(represented.lexical_text)
    depth = query.k if source_count == 1 else max(_DEPTH_FACTOR * query.k, _DEPTH_LEAST)
    meaningless = blocked | release.unreadable
    lists = [
        RecalledList(one.source, *release.index.search(one.vector, depth, meaningless)) for one in represented.queries
    ]
    matched: dict[int, tuple[str, ...]] = {}
    if represented.lexical_text:
        matches = release.lexical.search(represented.lexical_text, depth, blocked)
        lists.append(RecalledList(Source.LEXICAL, matches.rows, matches.scores))
        matched = dict(zip(matches.rows.tolist(), matches.matched_terms, strict=True))
    fill = release.unreadable & ~blocked if represented.queries else np.zeros_like(blocked)
    return Recalled(tuple(lists), matched, np.flatnonzero(fill))


def with_fill(candidates: list[Candidate], recalled: Recalled, count: int) -> list[Candidate]:
    """Appends fill rows, in catalogue order, where there are fewer candidates than asked for."""
    if len(candidates) >= count or not len(recalled.fill_rows):
        return candidates
    found = {candidate.row for candidate in candidates}
    rows = [row for row in recalled.fill_rows.tolist() if row not in found][: count - len(candidates)]
    lowest = min((candidate.score for candidate in candidates), default=0.0)
    score = min(0.0, lowest)
    fill = (Candidate(row, score, (SourceView(Source.FILL, place, 0.0),)) for place, row in enumerate(rows, start=1))
    return [*candidates, *fill]


def _blocked(query: RecommendQuery, history: History, release: LiveRelease) -> np.ndarray:
    """Returns bool[n]: unavailable, excluded, seen, or failing a condition."""
    blocked = release.items.unavailable.copy()
    blocked[release.items.rows_of(query.exclude_item_ids)] = True
    blocked[list(history.disliked_rows if query.include_seen else history.seen_rows)] = True
    if query.conditions:
        blocked |= release.items.blocked_by(query.conditions)
    return blocked


def nearest_of_history(history: History, rows: Sequence[int], release: LiveRelease) -> list[tuple[int, float] | None]:
    """Returns for each row the history's row that it resembles most, and the cosine; None without such rows."""
    if not history.rows or not rows:
        return [None] * len(rows)
    cosines = release.index.vectors[list(rows)] @ release.index.vectors[list(history.rows)].T
    best = np.argmax(cosines, axis=1)
    return [(history.rows[place], float(row[place])) for row, place in zip(cosines, best, strict=True)]


def similarities(represented: Represented, rows: Sequence[int], release: LiveRelease) -> list[float | None]:
    """Returns the cosine of each row to the request's first query; None where it would say nothing."""
    if not represented.queries:
        return [None] * len(rows)
    cosines = release.index.vectors[list(rows)] @ represented.queries[0].vector
    unreadable = release.unreadable[list(rows)]
    return [None if blank else float(cosine) for cosine, blank in zip(cosines, unreadable, strict=True)]
