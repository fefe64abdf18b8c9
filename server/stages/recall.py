"""Looks for candidates in every source that applies. Runs in a worker thread: the indexes release the GIL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from core.ranking.fusion import Candidate, RecalledList, SourceView, fuse
from core.retrieval.proxy_history import ProxyHistory
from core.vectors import exact_search
from domain.recommendation import RecommendQuery, Source
from server.release.data import ReleaseData
from server.release.live_release import LiveRelease
from server.stages.history import History
from server.stages.represent import Represented
from server.stages.told import read_proxy_history

# Where lists are joined, each must reach deeper than k: what is tenth in both can be first together.
_DEPTH_FACTOR = 4
_DEPTH_LEAST = 100
_FILL_STEP = 1e-6
_LAST_EVENTS = 5


@dataclass(frozen=True)
class Recalled:
    """What the sources found.

    Attributes:
        lists: one list a source.
        matched_terms: terms shared with the text, by row; of the lexical source only.
        weak: what the sources found below their thresholds; for a list that is too short.
        popular: rows that were chosen by many; for a list that is too short, before what is weak.
        fill_rows: rows that may be returned but that no vector can speak for; for the end of a list that is too short.
        told: the history where it is only told and training learned how to answer such; else None.
    """

    lists: tuple[RecalledList, ...]
    matched_terms: Mapping[int, tuple[str, ...]]
    weak: tuple[RecalledList, ...]
    popular: RecalledList
    fill_rows: np.ndarray
    told: ProxyHistory | None = None


def recall(query: RecommendQuery, history: History, represented: Represented, release: LiveRelease) -> Recalled:
    """Returns each source's candidates; blocked items are in none of them.

    Raises:
        InvalidRequest: a condition does not fit the catalogue's attributes.
    """
    blocked = _blocked(query, history, release)
    searches = _searches(history, represented, release)
    told = read_proxy_history(history, represented, release)
    if told is not None:
        searches += _told_searches(told, release)
    # What suits the caller's comments, or what is popular too, may move up into the list from below.
    single = len(searches) + bool(represented.lexical_text) == 1 and not history.comments and told is None
    wide = max(_DEPTH_FACTOR * query.k, _DEPTH_LEAST)
    lists = []
    for source, search in searches:
        # The ranker has learned from candidates of that depth.
        depth = query.k if single else max(wide, release.data.blend.list_lengths.get(source, 0))
        lists.append(RecalledList(source, *search(depth, blocked)))
    matched: dict[int, tuple[str, ...]] = {}
    if represented.lexical_text:
        matches = release.data.lexical.search(represented.lexical_text, query.k if single else wide, blocked)
        lists.append(RecalledList(Source.LEXICAL, matches.rows, matches.scores))
        matched = dict(zip(matches.rows.tolist(), matches.matched_terms, strict=True))
    fill = release.unreadable & ~blocked if represented.queries else np.zeros_like(blocked)
    # Where a ranker judges each candidate, no source needs to be cut off for its precision. The thresholds of whole
    # histories say nothing of what a few stand-ins' neighbours sum up to.
    judged = told is not None or (release.ranker is not None and history.past is not None)
    strong, weak = _divided(lists, {} if judged else release.data.thresholds)
    return Recalled(strong, matched, weak, _popular(release, query.k, blocked), np.flatnonzero(fill), told)


# What to ask a source: (how many, what is blocked) -> rows and scores.
_Searches = list[tuple[Source, Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]]]]


def _searches(history: History, represented: Represented, release: LiveRelease) -> _Searches:
    """Returns what to ask for candidates, by source."""
    trained, past_rows = release.data, history.past_rows
    searches: _Searches = [(one.source, partial(_nearest, release, one.vector)) for one in represented.queries]
    if trained.tower_vectors is not None and represented.user_embedding is not None:
        searches.append((Source.USER_TOWER, partial(_nearest_of_tower, trained, represented.user_embedding)))
    if len(past_rows) and trained.neighbours is not None:
        searches.append((Source.COLLABORATIVE, partial(trained.neighbours.search, past_rows)))
    if history.past is not None and trained.item_transitions is not None:
        searches.append((Source.NEXT_ITEM, partial(trained.item_transitions.search, last_rows(history))))
    return searches


def _told_searches(told: ProxyHistory, release: LiveRelease) -> _Searches:
    """Returns what is asked besides for a history that is only told: the stand-ins' neighbours, where they count."""
    neighbours, blend = release.data.neighbours, release.data.blend.told
    if neighbours is None or blend is None or not blend.weights.get(Source.COLLABORATIVE):
        return []
    return [(Source.COLLABORATIVE, partial(neighbours.search, told.rows, shares=told.shares))]


def last_rows(history: History) -> np.ndarray:
    """Returns the distinct rows, int64[m], of the events that the next one is thought to follow."""
    return np.empty(0, np.int64) if history.past is None else np.unique(history.past.rows[-_LAST_EVENTS:])


def _nearest(release: LiveRelease, query: np.ndarray, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return release.data.index.search(query, count, blocked | release.unreadable)


def _nearest_of_tower(
    data: ReleaseData, user: np.ndarray, count: int, blocked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    assert data.tower_vectors is not None and data.tower_silent is not None
    return exact_search(data.tower_vectors, user, count, blocked | data.tower_silent)


def with_fill(candidates: list[Candidate], recalled: Recalled, count: int) -> list[Candidate]:
    """Lengthens a list with fewer candidates than asked for: what is popular, what is weak, then what is unreadable.

    Scores go on falling, except that unreadable items, in catalogue order, share one.
    """
    found = {candidate.row for candidate in candidates}
    filled = list(candidates)
    for candidate in (*_candidates_of(recalled.popular), *fuse(recalled.weak, count + len(found))):
        if len(filled) >= count:
            return filled
        if candidate.row not in found:
            found.add(candidate.row)
            filled.append(Candidate(candidate.row, _below(filled) - _FILL_STEP, candidate.views))
    if len(filled) >= count or not len(recalled.fill_rows):
        return filled
    rows = [row for row in recalled.fill_rows.tolist() if row not in found][: count - len(filled)]
    score = _below(filled)
    fill = (Candidate(row, score, (SourceView(Source.FILL, place, 0.0),)) for place, row in enumerate(rows, start=1))
    return [*filled, *fill]


def _below(candidates: Sequence[Candidate]) -> float:
    """Returns the score that nothing which merely fills a list lies above."""
    return min([0.0, *(candidate.score for candidate in candidates[-1:])])


def _candidates_of(found: RecalledList) -> list[Candidate]:
    return [
        Candidate(row, score, (SourceView(found.source, place, score),))
        for place, (row, score) in enumerate(zip(found.rows.tolist(), found.scores.tolist(), strict=True), start=1)
    ]


def _popular(release: LiveRelease, count: int, blocked: np.ndarray) -> RecalledList:
    """As many as are asked for, and as many again, since some of them may be in the list already."""
    popularity = release.data.popularity
    if popularity is None:
        return RecalledList(Source.POPULAR, np.empty(0, np.int64), np.empty(0, np.float32))
    depth = release.data.blend.list_lengths.get(Source.POPULAR, 0)
    return RecalledList(Source.POPULAR, *popularity.search(max(2 * count, depth), blocked))


def _divided(
    lists: Sequence[RecalledList], thresholds: Mapping[str, float]
) -> tuple[tuple[RecalledList, ...], tuple[RecalledList, ...]]:
    """Returns the lists down to their sources' thresholds, and what lies below."""
    strong, weak = [], []
    for found in lists:
        alpha = thresholds.get(found.source, -np.inf)
        end = int((found.scores >= alpha).sum())
        strong.append(RecalledList(found.source, found.rows[:end], found.scores[:end]))
        if end < len(found.rows):
            weak.append(RecalledList(found.source, found.rows[end:], found.scores[end:]))
    return tuple(strong), tuple(weak)


def _blocked(query: RecommendQuery, history: History, release: LiveRelease) -> np.ndarray:
    """Returns bool[n]: unavailable, excluded, seen, or failing a condition."""
    blocked = release.data.items.unavailable.copy()
    blocked[release.data.items.rows_of(query.exclude_item_ids)] = True
    blocked[list(history.disliked_rows if query.include_seen else history.seen_rows)] = True
    if query.conditions:
        blocked |= release.data.items.blocked_by(query.conditions)
    return blocked


def nearest_of_history(history: History, rows: Sequence[int], release: LiveRelease) -> list[tuple[int, float] | None]:
    """Returns for each row the history's row that it resembles most, and the cosine; None without such rows."""
    if not history.rows or not rows:
        return [None] * len(rows)
    cosines = release.data.index.vectors[list(rows)] @ release.data.index.vectors[list(history.rows)].T
    best = np.argmax(cosines, axis=1)
    return [(history.rows[place], float(row[place])) for row, place in zip(cosines, best, strict=True)]


def chosen_with(
    history: History, told: ProxyHistory | None, candidates: Sequence[Candidate], release: LiveRelease
) -> list[tuple[str, float] | None]:
    """Returns the history's item that most people chose together with each candidate, and the cosine to it.

    Of a history that is only told, the item among those that stand in for it. None for candidates that collaborative
    recall did not find.
    """
    neighbours = release.data.neighbours
    rows = [
        candidate.row
        for candidate in candidates
        if any(view.source == Source.COLLABORATIVE for view in candidate.views)
    ]
    if neighbours is None or not rows:
        return [None] * len(candidates)
    vectors = release.data.index.vectors
    asked, shares = (history.past_rows, None) if told is None else (told.rows, told.shares)
    partners = {
        row: (release.data.items.ids[other], float(vectors[row] @ vectors[other]))
        for row, other in zip(rows, neighbours.strongest_of(asked, np.asarray(rows), shares), strict=True)
        if other is not None
    }
    return [partners.get(candidate.row) for candidate in candidates]


def similarities(represented: Represented, rows: Sequence[int], release: LiveRelease) -> list[float | None]:
    """Returns the cosine of each row to the request's first query; None where it would say nothing."""
    if not represented.queries:
        return [None] * len(rows)
    cosines = release.data.index.vectors[list(rows)] @ represented.queries[0].vector
    unreadable = release.unreadable[list(rows)]
    return [None if blank else float(cosine) for cosine, blank in zip(cosines, unreadable, strict=True)]
