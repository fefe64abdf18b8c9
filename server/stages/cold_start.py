"""A list for a caller of whom nothing is known: what is popular, with some of what is new; else a cross-section.

A scene may put a list of its own, and what is trending, before them.
"""

from collections.abc import Sequence
from itertools import islice, zip_longest

import numpy as np

from core.ranking.blend import PRIOR
from core.ranking.dislikes import STRENGTH
from core.ranking.fusion import candidates_of
from core.retrieval.source import RecalledList, SourceQuery
from core.vectors import unit
from domain.recommendation import Source
from domain.scene import FallbackList
from server.stages.order import Ordered, lowered
from server.stages.release import ServingRelease

# After so many popular items comes a new one.
_POPULAR_RUN = 4
# Items that a cross-section is drawn from, and that it has.
_DRAWN_FROM = 500
_CROSS_SECTION = 64
# Items of each source of a fallback list.
_FALLBACK_ITEMS = 500
TRENDING = Source.TRENDING.value
_NO_ROWS = np.empty(0, np.int64)


def cold_start(  # noqa: PLR0913 -- each is a fact of the list
    release: ServingRelease,
    blocked: np.ndarray,
    count: int,
    disliked: Sequence[int] = (),
    fallback: FallbackList | None = None,
    *,
    named: frozenset[str] = frozenset(),
) -> Ordered:
    """Returns the first `count` items, what something speaks for first; without dislikes, scores fall from 1.

    Args:
        release: the release.
        blocked: bool[n].
        count: how many; the order does not depend on it.
        disliked: rows that the caller dislikes; what is like them sinks.
        fallback: list whose items come before all others; None for none.
        named: sources that the request names: what is trending comes before what is popular only where it is named.
    """
    listed_by = frozenset(() if fallback is None else fallback.sources)
    query, size = SourceQuery(named=named | listed_by), len(blocked)
    lists = [
        RecalledList(name, *source.search(query, size, blocked))
        for name in (TRENDING, PRIOR, Source.FRESH.value)
        if (source := release.sources.get(name)) is not None and source.can_answer(query)
    ]
    needed = size if disliked else count
    trending, popular, fresh = (
        next((found.rows for found in lists if found.source == name), _NO_ROWS)
        for name in (TRENDING, PRIOR, Source.FRESH.value)
    )
    # A new one may be among the popular ones, and is skipped.
    spoken = _interleaved(popular[:needed].tolist(), fresh[: 2 * needed].tolist()) if len(popular) else fresh
    if TRENDING in named:
        spoken = np.concatenate([trending, spoken[~np.isin(spoken, trending)]])
    # A few new items do not speak for the others.
    said = len(popular) or len(spoken) >= needed
    unlike = _NO_ROWS if said else _cross_section(release, blocked, needed)
    unlike = unlike[~np.isin(unlike, spoken)]
    spoken = np.concatenate([spoken, unlike])
    if fallback is not None:
        listed = fallback_rows(fallback, release, blocked)
        spoken = np.concatenate([listed, spoken[~np.isin(spoken, listed)]])
        unlike = unlike[~np.isin(unlike, listed)]
    rest = np.flatnonzero(~blocked)
    rest = rest[~np.isin(rest, spoken)]
    if len(spoken) < needed:
        rest = release.sources.by_id(rest)
    scores = 1 - np.minimum(np.arange(len(spoken) + len(rest)), len(spoken)) / max(size, 1)
    everything = np.concatenate([spoken, rest])
    if disliked:
        scores = lowered(scores, everything, disliked, release, STRENGTH)
        order = np.argsort(-scores, kind="stable")
        everything, scores = everything[order], scores[order]
    unspoken = np.concatenate([unlike, rest])
    filled = RecalledList(release.fill.name, unspoken, np.zeros(len(unspoken), np.float32))
    return Ordered(candidates_of((*lists, filled), everything[:count], scores[:count]))


def fallback_rows(fallback: FallbackList, release: ServingRelease, blocked: np.ndarray) -> np.ndarray:
    """Returns int64[m], the rows of a fallback list that may be returned: its items, or one of each source in turn."""
    if fallback.item_ids:
        rows = list(release.catalogue.rows_of(fallback.item_ids).values())
        return np.asarray([row for row in rows if not blocked[row]], np.int64)
    query = SourceQuery(named=frozenset(fallback.sources))
    found = [
        source.search(query, _FALLBACK_ITEMS, blocked)[0].tolist()
        for name in fallback.sources
        if (source := release.sources.get(name)) is not None and source.can_answer(query)
    ]
    turns = (row for turn in zip_longest(*found) for row in turn if row is not None)
    return np.asarray(list(dict.fromkeys(turns)), np.int64)


def _interleaved(popular: list[int], fresh: list[int]) -> np.ndarray:
    """Returns int64[m], the popular rows with a new one after each run of them, each row once."""
    listed: dict[int, None] = {}
    new = iter(fresh)
    for place, row in enumerate(popular, start=1):
        listed.setdefault(row)
        if place % _POPULAR_RUN == 0:
            listed.update(dict.fromkeys(islice((row for row in new if row not in listed), 1)))
    listed.update(dict.fromkeys(new))
    return np.asarray(list(listed), np.int64)


def _cross_section(release: ServingRelease, blocked: np.ndarray, count: int) -> np.ndarray:
    """Returns the rows of at most `count` or 64 items unlike one another, the most typical first (farthest-point)."""
    allowed = np.flatnonzero(~blocked)
    rows = allowed[:: max(1, -(-len(allowed) // _DRAWN_FROM))]
    vectors = release.catalogue.vectors_of(rows.tolist())
    rows, vectors = rows[vectors.any(axis=1)], vectors[vectors.any(axis=1)]
    if not len(rows):
        return _NO_ROWS
    centred = unit(vectors - release.catalogue.mean)
    chosen = [int(np.argmax(vectors @ release.catalogue.mean))]
    nearest = centred @ centred[chosen[0]]
    while len(chosen) < min(_CROSS_SECTION, count, len(rows)):
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, centred @ centred[chosen[-1]])
    first: np.ndarray = rows[chosen]
    return first
