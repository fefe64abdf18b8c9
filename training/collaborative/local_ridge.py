"""Ridge regression of each item on its nearest neighbours: EASE's answer where its dense matrix would be too large.

EASE regresses every item on all others (Steck 2019); here each is regressed on the `support` items with which it is
most often chosen, as fsSLIM does (Ning and Karypis 2011, "SLIM: Sparse Linear Methods for Top-N Recommender Systems"),
in closed form. Memory and time grow with items x support, not with items squared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_array

from core.events import EventSequence
from core.retrieval.item_neighbours import NeighbourTable
from domain.progress import Progress, SilentProgress
from training.splits.split import met_matrix

# Items whose co-occurrence with all others is held at once: float32[block, n].
_BLOCK = 256


@dataclass(frozen=True)
class LocalRidgeSettings:
    """Size of the model.

    Attributes:
        support: items that each item is regressed on.
        linked: co-occurrences kept by item, from which the systems are made; weaker ones count as none.
        shrinkage: of the similarity that chooses neighbours: c_ij / (sqrt(c_i c_j) + shrinkage).
    """

    support: int = 200
    linked: int = 1000
    shrinkage: float = 10.0


class CooccurrenceGraph:
    """The strongest co-occurrences of each item, computed once and solved for any regularisation.

    Attributes:
        counts: csr float32[n, n], symmetric, without the diagonal: users who chose both.
        own: float32[n], users who chose the item.
        near: int32[n, support], the nearest items, -1 where there are no more.
    """

    def __init__(
        self,
        histories: Sequence[EventSequence],
        item_count: int,
        settings: LocalRidgeSettings | None = None,
        impression_weight: float = 0.0,
        progress: Progress | None = None,
    ) -> None:
        settings = settings or LocalRidgeSettings()
        matrix = met_matrix(histories, item_count, impression_weight)
        self.own = np.asarray(matrix.multiply(matrix).sum(axis=0), np.float32).ravel()
        self.near = np.full((item_count, min(settings.support, max(1, item_count - 1))), -1, np.int32)
        parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for rows, together in _blocks(matrix, (progress or SilentProgress())):
            together[np.arange(len(rows)), rows] = 0
            similar = together / (np.sqrt(self.own[rows])[:, None] * np.sqrt(self.own) + np.float32(settings.shrinkage))
            for place, row in enumerate(rows):
                kept = _largest(similar[place], settings.linked)
                near = kept[: self.near.shape[1]]
                self.near[row, : len(near)] = near
                parts.append((np.full(len(kept), row, np.int32), kept, together[place, kept]))
        sources, columns, values = (np.concatenate(each) for each in zip(*parts, strict=True))
        links = csr_array((values, (sources, columns)), shape=(item_count, item_count))
        self.counts = csr_array(links.maximum(links.T))
        self._place_of = np.full(item_count, -1, np.int32)

    def table(
        self,
        regularisation: float,
        count: int,
        side: np.ndarray | None = None,
        side_weight: float = 0.0,
        progress: Progress | None = None,
    ) -> NeighbourTable:
        """Solves the ridge of each item and returns each item's `count` strongest weights upon others.

        Args:
            regularisation: lambda of the ridge, in users, above 0.
            count: neighbours kept by item, by absolute weight.
            side: float32[n, d], for example centred content vectors; likeness counts as common users.
            side_weight: users that a cosine of 1 counts for.
            progress: hears of the items.

        Raises:
            ValueError: the regularisation is not above 0.
        """
        if regularisation <= 0:
            raise ValueError(f"regularisation is {regularisation}; give a number above 0")
        scaled = None if side is None or side_weight <= 0 else np.float32(np.sqrt(side_weight)) * _unit(side)
        weights = np.zeros(self.near.shape, np.float32)
        with (progress or SilentProgress()).track("ridge on neighbours", len(self.own), "items") as advance:
            for item in range(len(self.own)):
                rows = self.near[item][self.near[item] >= 0]
                if len(rows):
                    gram, aim = self._system(item, rows)
                    if scaled is not None:
                        gram += scaled[rows] @ scaled[rows].T
                        aim += scaled[rows] @ scaled[item]
                    weights[item, : len(rows)] = _ridge(gram, aim, regularisation)
                advance(1)
        return _by_source(self.near, weights, count)

    def _system(self, item: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns float32[k, k] co-occurrences of int32[k] rows and float32[k], those with one item."""
        place_of = self._place_of
        place_of[rows] = np.arange(len(rows))
        linked = self.counts[rows]
        columns = place_of[linked.indices]
        inside = columns >= 0
        gram = np.zeros((len(rows), len(rows)), np.float32)
        gram[np.repeat(np.arange(len(rows)), np.diff(linked.indptr))[inside], columns[inside]] = linked.data[inside]
        gram[np.diag_indices(len(rows))] = self.own[rows]
        aim = np.zeros(len(rows), np.float32)
        span = slice(self.counts.indptr[item], self.counts.indptr[item + 1])
        own = place_of[self.counts.indices[span]]
        aim[own[own >= 0]] = self.counts.data[span][own >= 0]
        place_of[rows] = -1
        return gram, aim


def _ridge(gram: np.ndarray, aim: np.ndarray, regularisation: float) -> np.ndarray:
    """Returns float32[k], the solution of (gram + lambda I) w = aim.

    Links that were left out may leave a matrix that is not positive definite: then lambda is raised tenfold.
    """
    for factor in (1, 10, 100):
        matrix = np.array(gram, order="F")
        matrix[np.diag_indices(len(gram))] += np.float32(factor * regularisation)
        _, found, failed = lapack.sposv(matrix, aim, lower=1, overwrite_a=1)
        if not failed:
            return np.asarray(found, np.float32).ravel()
    return np.zeros(len(gram), np.float32)


def _blocks(matrix: csr_array, progress: Progress) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields int64[b] items and float32[b, n], their co-occurrences with all items."""
    by_item = csr_array(matrix.T)
    with progress.track("co-occurrences", matrix.shape[1], "items") as advance:
        for start in range(0, matrix.shape[1], _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, matrix.shape[1]))
            yield rows, np.asarray((by_item[rows] @ matrix).toarray(), np.float32)
            advance(len(rows))


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Returns int64[<= count], places of the largest values above 0, largest first, equal ones by place."""
    places = np.flatnonzero(values > 0)
    if len(places) > count:
        edge = np.partition(values[places], len(places) - count)[len(places) - count]
        places = places[values[places] >= edge]
    return places[np.lexsort((places, -values[places]))][:count]


def _by_source(near: np.ndarray, weights: np.ndarray, count: int) -> NeighbourTable:
    """Turns weights by target into a table by source, the `count` strongest of each, negative ones too.

    Args:
        near: int32[n, k], the sources of each target, -1 for none.
        weights: float32[n, k].
        count: kept by source.
    """
    item_count = len(near)
    target, place = np.nonzero((near >= 0) & (weights != 0))
    source, value = near[target, place], weights[target, place]
    order = np.lexsort((target, -np.abs(value), source))
    source, target, value = source[order], target[order], value[order]
    first = np.searchsorted(source, np.arange(item_count))
    rank = np.arange(len(source)) - first[source]
    kept = rank < count
    width = max(1, int(rank[kept].max()) + 1 if kept.any() else 1)
    rows = np.full((item_count, width), -1, np.int32)
    table = np.zeros((item_count, width), np.float32)
    rows[source[kept], rank[kept]] = target[kept]
    table[source[kept], rank[kept]] = value[kept]
    return NeighbourTable(rows, table)


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-9), np.float32)
