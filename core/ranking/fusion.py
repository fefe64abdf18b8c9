"""Joins the lists of several recall sources into one."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from core.retrieval.source import RecalledList
from core.row_order import RowOrder, best_first

# Cormack, Clarke, Buettcher 2009: reciprocal rank fusion, k = 60.
RANK_OFFSET = 60
_RANK = attrgetter("rank")


@dataclass(frozen=True, slots=True)
class SourceView:
    """One source's view of a candidate: its place in that list, from 1, and its score there."""

    source: str
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row with everybody who recalled it, best rank first, and its final score."""

    row: int
    score: float
    views: tuple[SourceView, ...]


def fuse(lists: Sequence[RecalledList], count: int, order: RowOrder | None = None) -> list[Candidate]:
    """Returns the best candidates of all lists, without duplicates.

    One list keeps its own order and scores. Several are joined by reciprocal rank: score = sum over lists of
    1 / (60 + rank), since their own scores have no common scale. Equal scores are ordered by item id.

    Args:
        lists: of the sources.
        count: how many, at most.
        order: of rows with equal scores; None where they ascend by id.
    """
    lists = [found for found in lists if len(found.rows)]
    if not lists:
        return []
    if len(lists) == 1:
        (found,) = lists
        best = best_first(found.scores, found.rows, order)[:count]
        return [
            Candidate(row, score, (SourceView(found.source, place, score),))
            for row, score, place in zip(
                found.rows[best].tolist(), found.scores[best].tolist(), (best + 1).tolist(), strict=True
            )
        ]
    return candidates_of(lists, *best_rows(lists, count, order))


def best_rows(
    lists: Sequence[RecalledList], count: int, order: RowOrder | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows int64[m] with the largest sums of reciprocal ranks, and the sums, float64[m], best first."""
    rows = np.concatenate([found.rows for found in lists])
    shares = np.concatenate([1.0 / (RANK_OFFSET + 1 + np.arange(len(found.rows))) for found in lists])
    distinct, places = np.unique(rows, return_inverse=True)
    totals = np.bincount(places, shares)
    best = best_first(totals, distinct, order)[:count]
    return distinct[best], totals[best]


def candidates_of(lists: Sequence[RecalledList], rows: np.ndarray, scores: np.ndarray) -> list[Candidate]:
    """Returns these rows, int64[m], with these final scores, and everybody who recalled each, best rank first."""
    # Only what is returned gets its provenance: lists are long, and views are dear.
    views: dict[int, list[SourceView]] = {row: [] for row in rows.tolist()}
    for found in lists:
        for place, row in enumerate(found.rows.tolist()):
            own = views.get(row)
            if own is not None:
                own.append(SourceView(found.source, place + 1, float(found.scores[place])))
    return [
        Candidate(row, score, tuple(sorted(views[row], key=_RANK)))
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
    ]
