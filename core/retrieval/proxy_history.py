"""Answers a history of which only a text is told: the items nearest to the text stand in for what was done.

    text -> its vector -> the nearest items, weighed by a softmax of their cosines -> what was chosen together with them

How much that, the text's own likeness and the prior count is chosen on validation; a release carries it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.ranking.blend import ProxyBlend, SourceScores, blended
from core.retrieval.item_neighbours import NeighbourTable, PopularItems
from domain.recommendation import Source


@dataclass(frozen=True)
class ProxyHistory:
    """A text told, as the catalogue has it.

    Attributes:
        query: float32[d], unit, the text's vector.
        rows: int64[m], the items that stand in for what was told.
        shares: float64[m], how much each counts; they sum to 1.
    """

    query: np.ndarray
    rows: np.ndarray
    shares: np.ndarray

    @classmethod
    def of(cls, query: np.ndarray, nearest: tuple[np.ndarray, np.ndarray], blend: ProxyBlend) -> "ProxyHistory":
        """Weighs what stands in.

        Args:
            query: float32[d], unit.
            nearest: rows int64[m] and their cosines float32[m]; of more than `blend.nearest` the first count.
            blend: gives the softmax's temperature.
        """
        rows, cosines = nearest[0][: blend.nearest], nearest[1][: blend.nearest].astype(np.float64)
        grown = np.exp((cosines - cosines.max(initial=-np.inf)) / blend.temperature)
        return cls(query, rows, grown / grown.sum() if len(grown) else grown)


@dataclass(frozen=True)
class Knowledge:
    """What is known of a catalogue's n items.

    Attributes:
        vectors: float32[n, d], unit.
        silent: bool[n], items whose vectors say nothing.
        neighbours: what was chosen together; None where nothing was learned.
        popularity: the prior; None likewise.
    """

    vectors: np.ndarray
    silent: np.ndarray
    neighbours: NeighbourTable | None
    popularity: PopularItems | None

    def unusable_as_proxy(self) -> np.ndarray:
        """Returns bool[n], items that cannot stand in: found by no text, or without neighbours to speak for."""
        return np.ones_like(self.silent) if self.neighbours is None else self.silent | self.neighbours.lonely


def proxy_scores(
    told: ProxyHistory, knowledge: Knowledge, weights: Mapping[str, float], rows: np.ndarray
) -> np.ndarray | None:
    """Returns float32[C], the blend of the sources, by which told histories are both served and judged.

    Args:
        told: what was told.
        knowledge: of the catalogue.
        weights: by source name, see `ProxyBlend`.
        rows: int64[C], the candidates.

    Returns:
        None where no source with a weight can speak.
    """
    opinions: dict[str, SourceScores] = {}
    if weights.get(Source.SEMANTIC_HISTORY):
        opinions[Source.SEMANTIC_HISTORY] = SourceScores.of_vectors(
            knowledge.vectors, told.query, knowledge.silent, rows
        )
    if weights.get(Source.COLLABORATIVE) and knowledge.neighbours is not None:
        opinions[Source.COLLABORATIVE] = SourceScores.of_sums(knowledge.neighbours.sums(told.rows, told.shares), rows)
    if weights.get(Source.POPULAR) and knowledge.popularity is not None:
        popularity = knowledge.popularity
        opinions[Source.POPULAR] = SourceScores(popularity.log_prior[rows], popularity.scale)
    return blended(opinions, weights) if opinions else None
