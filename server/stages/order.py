"""Orders a pass's candidates: by the ranker's logits where there are some, else by the blend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.ranking.blend import blended_list
from core.ranking.dislikes import STRENGTH, dislike_share, ignored_shares, sunk
from core.ranking.fusion import Candidate, candidates_of, fuse
from core.retrieval.source import RecalledList
from core.vectors import top_rows
from domain.interpretation import NumberOrder
from server.stages.rank import Ranked
from server.stages.recall import Recalled
from server.stages.release import ServingRelease


@dataclass(frozen=True)
class Ordered:
    """Candidates in their order.

    Attributes:
        candidates: best first.
        relevance: float64[m], of each, 0 to 1; None without a text.
        best_relevance: of any candidate of the pass, also of those that do not come back; None without a text, or
            without candidates.
        lifted: rows that novelty moved up.
    """

    candidates: list[Candidate]
    relevance: np.ndarray | None = None
    best_relevance: float | None = None
    lifted: frozenset[int] = frozenset()


def by_history(recalled: Recalled, release: ServingRelease, count: int | None = None) -> Ordered:
    """Orders candidates of a history by the blend; by reciprocal rank where nothing was fitted for its sources.

    Args:
        recalled: the candidates.
        release: the release.
        count: how many are returned at most, the best; None for all.
    """
    lists = tuple(found for found in recalled.lists if len(found.rows))
    ordered = blended_list(release.sources, recalled.query, release.blend, lists)
    if ordered is None:
        most = sum(len(found.rows) for found in lists) if count is None else count
        return Ordered(fuse(lists, most, release.sources.order))
    return Ordered(candidates_of(lists, ordered.rows[:count], ordered.scores[:count]))


def by_numbers(orders: Sequence[NumberOrder], ordered: Ordered, release: ServingRelease) -> Ordered:
    """Orders by numbers what fits the text well enough; the rest follows as it was, and so do items without the number.

    Args:
        orders: the first counts most.
        ordered: candidates as they fit.
        release: gives the numbers, and the least relevance of what fits.
    """
    count = len(ordered.candidates)
    rows = np.asarray([candidate.row for candidate in ordered.candidates], np.int64)
    fits = np.ones(count, bool) if ordered.relevance is None else ordered.relevance >= release.relevance.floor
    keys = []
    for order in orders:
        numbers = release.catalogue.numbers[order.attribute][rows]
        fits &= ~np.isnan(numbers)
        keys.append(-numbers if order.descending else numbers)
    numbers_first = np.lexsort((np.arange(count), *(np.where(fits, key, 0.0) for key in reversed(keys)), ~fits))
    candidates = [ordered.candidates[place] for place in numbers_first.tolist()]
    relevance = None if ordered.relevance is None else ordered.relevance[numbers_first]
    return replace(ordered, candidates=candidates, relevance=relevance)


def lowered(
    scores: np.ndarray, rows: np.ndarray, disliked: Sequence[int], release: ServingRelease, strength: float
) -> np.ndarray:
    """Returns float64[C], the scores of rows, int64[C], less `strength` of their spreads for what is like a dislike."""
    catalogue = release.catalogue
    shares = dislike_share(catalogue.vectors_of(rows.tolist()), catalogue.vectors_of(disliked), catalogue.mean)
    return sunk(scores, shares, strength)


def without_disliked(
    ordered: Ordered, disliked: Sequence[int], release: ServingRelease, strength: float = STRENGTH
) -> Ordered:
    """Lets candidates sink that are like items, by their rows, which the caller dislikes."""
    if not ordered.candidates:
        return ordered
    rows = np.asarray([candidate.row for candidate in ordered.candidates], np.int64)
    before = np.asarray([candidate.score for candidate in ordered.candidates])
    scores = lowered(before, rows, disliked, release, strength)
    return _by_scores(ordered, scores)


def _by_scores(ordered: Ordered, scores: np.ndarray) -> Ordered:
    """Orders candidates by new scores, float64[C]."""
    order = np.argsort(-scores, kind="stable").tolist()
    candidates = [replace(ordered.candidates[place], score=float(scores[place])) for place in order]
    relevance = None if ordered.relevance is None else ordered.relevance[order]
    return replace(ordered, candidates=candidates, relevance=relevance)


def without_ignored(ordered: Ordered, ignored: Mapping[int, int], strength: float) -> Ordered:
    """Lets candidates sink that were shown again and again, counts by row, and never touched."""
    counts = np.asarray([ignored.get(candidate.row, 0) for candidate in ordered.candidates], np.int64)
    shares = ignored_shares(counts)
    if not shares.any():
        return ordered
    before = np.asarray([candidate.score for candidate in ordered.candidates])
    return _by_scores(ordered, sunk(before, shares, strength))


def by_ranker(ranked: Ranked, release: ServingRelease, count: int | None = None) -> Ordered:
    """Orders candidates by the ranker's logits, and returns `count` at most, the best; None for all."""
    rows = ranked.candidates.rows
    ordered = RecalledList("ranker", *top_rows(ranked.ranking.logits, rows, len(rows), release.sources.order))
    return Ordered(candidates_of(ranked.candidates.lists, ordered.rows[:count], ordered.scores[:count]))
