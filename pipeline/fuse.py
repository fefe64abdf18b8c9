"""Joins the lists of several recall sources into one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Cormack, Clarke, Buettcher 2009: reciprocal rank fusion, k = 60.
RANK_OFFSET = 60


@dataclass(frozen=True)
class RecalledList:
    """One source's list.

    Attributes:
        source: its name.
        rows: int64[m], best first.
        scores: float32[m], the source's own scores.
    """

    source: str
    rows: np.ndarray
    scores: np.ndarray


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


def fuse(lists: Sequence[RecalledList], count: int) -> list[Candidate]:
    """Returns the best candidates of all lists, without duplicates.

    One list keeps its own order and scores. Several are joined by reciprocal rank: score = sum over lists of
    1 / (60 + rank), since their own scores have no common scale. Equal scores are ordered by row.
    """
    views: dict[int, list[SourceView]] = {}
    for found in lists:
        for place, (row, score) in enumerate(zip(found.rows.tolist(), found.scores.tolist(), strict=True), start=1):
            views.setdefault(row, []).append(SourceView(found.source, place, score))
    single = sum(len(found.rows) > 0 for found in lists) == 1
    candidates = [
        Candidate(
            row,
            seen[0].score if single else sum(1.0 / (RANK_OFFSET + view.rank) for view in seen),
            tuple(sorted(seen, key=lambda view: view.rank)),
        )
        for row, seen in views.items()
    ]
    candidates.sort(key=lambda candidate: (-candidate.score, candidate.row))
    return candidates[:count]
