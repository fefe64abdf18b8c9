"""Orders a pass's candidates: by the ranker's logits where there are some, else by the blend."""

from dataclasses import dataclass

import numpy as np

from core.ranking.blend import blended_list
from core.ranking.fusion import Candidate, candidates_of, fuse
from core.retrieval.source import RecalledList
from core.vectors import top_rows
from server.stages.rank import Ranked
from server.stages.recall import Recalled
from server.stages.release import ServingRelease


@dataclass(frozen=True)
class Ordered:
    """Candidates in their order.

    Attributes:
        candidates: best first.
        relevance: float64[m], of each, 0 to 1; None without a text.
    """

    candidates: list[Candidate]
    relevance: np.ndarray | None = None


def by_history(recalled: Recalled, release: ServingRelease) -> Ordered:
    """Orders candidates of a history by the blend; by reciprocal rank where nothing was fitted for its sources."""
    lists = tuple(found for found in recalled.lists if len(found.rows))
    ordered = blended_list(release.sources, recalled.query, release.blend, lists)
    if ordered is None:
        return Ordered(fuse(lists, sum(len(found.rows) for found in lists)))
    return Ordered(candidates_of(lists, ordered.rows, ordered.scores))


def by_ranker(ranked: Ranked) -> Ordered:
    """Orders candidates by the ranker's logits."""
    rows = ranked.candidates.rows
    ordered = RecalledList("ranker", *top_rows(ranked.ranking.logits, rows, len(rows)))
    return Ordered(candidates_of(ranked.candidates.lists, ordered.rows, ordered.scores))
