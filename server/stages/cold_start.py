"""A list for a caller of whom nothing is known: what is popular, with some of what is new; else a cross-section."""

from itertools import islice

import numpy as np

from core.ranking.blend import PRIOR
from core.ranking.fusion import Candidate, SourceView
from core.retrieval.source import RecalledList, SourceQuery
from core.vectors import unit
from domain.recommendation import Source
from server.stages.order import Ordered
from server.stages.release import ServingRelease

# After so many popular items comes a new one.
_POPULAR_RUN = 4
# Items that a cross-section is drawn from, and that it has.
_DRAWN_FROM = 500
_CROSS_SECTION = 64


def cold_start(release: ServingRelease, blocked: np.ndarray) -> Ordered:
    """Returns every item, what something speaks for first; scores fall from 1."""
    query, count = SourceQuery(), len(blocked)
    lists = [
        RecalledList(name, *source.search(query, count, blocked))
        for name in (PRIOR, Source.FRESH.value)
        if (source := release.sources.get(name)) is not None and source.can_answer(query)
    ]
    popular, fresh = (next((found for found in lists if found.source == name), None) for name in (PRIOR, "fresh"))
    if popular is not None and len(popular.rows):
        rows = _interleaved(popular.rows.tolist(), [] if fresh is None else fresh.rows.tolist())
    elif fresh is not None:
        rows = fresh.rows.tolist()
    else:
        rows = _cross_section(release, blocked)
        lists = [RecalledList(release.fill.name, np.asarray(rows, np.int64), np.zeros(len(rows), np.float32))]
    places = {found.source: {row: place for place, row in enumerate(found.rows.tolist())} for found in lists}
    candidates = []
    for place, row in enumerate(rows):
        views = [
            SourceView(found.source, places[found.source][row] + 1, float(found.scores[places[found.source][row]]))
            for found in lists
            if row in places[found.source]
        ]
        candidates.append(Candidate(row, 1 - place / max(count, 1), tuple(sorted(views, key=lambda view: view.rank))))
    listed = set(rows)
    rest = [row for row in np.flatnonzero(~blocked).tolist() if row not in listed]
    end = 1 - len(rows) / max(count, 1)
    candidates += [
        Candidate(row, end, (SourceView(release.fill.name, place, 0.0),)) for place, row in enumerate(rest, 1)
    ]
    return Ordered(candidates)


def _interleaved(popular: list[int], fresh: list[int]) -> list[int]:
    """Returns the popular rows with a new one after each run of them, each row once."""
    listed: dict[int, None] = {}
    new = iter(fresh)
    for place, row in enumerate(popular, start=1):
        listed.setdefault(row)
        if place % _POPULAR_RUN == 0:
            listed.update(dict.fromkeys(islice((row for row in new if row not in listed), 1)))
    listed.update(dict.fromkeys(new))
    return list(listed)


def _cross_section(release: ServingRelease, blocked: np.ndarray) -> list[int]:
    """Returns items unlike one another, the most typical one first (farthest-point sampling)."""
    allowed = np.flatnonzero(~blocked)
    rows = allowed[:: max(1, -(-len(allowed) // _DRAWN_FROM))]
    vectors = release.catalogue.vectors_of(rows.tolist())
    rows, vectors = rows[vectors.any(axis=1)], vectors[vectors.any(axis=1)]
    if not len(rows):
        return []
    centred = unit(vectors - release.catalogue.mean)
    chosen = [int(np.argmax(vectors @ release.catalogue.mean))]
    nearest = centred @ centred[chosen[0]]
    while len(chosen) < min(_CROSS_SECTION, len(rows)):
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, centred @ centred[chosen[-1]])
    first: list[int] = rows[chosen].tolist()
    return first
