"""Search of vectors by a graph, or one by one where that is cheaper or the graph cannot answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from core.kept_masks import OfLastMask
from core.retrieval.equal_vectors import EqualRows
from core.retrieval.hnsw_graph import HnswGraph
from core.retrieval.mapped_graph import SUFFIX as MAPPED_SUFFIX
from core.retrieval.mapped_graph import MappedGraph
from core.row_order import RowOrder
from core.vectors import exact_search, top_rows
from domain.errors import ReleaseRejected
from domain.manifest import GraphEntry

# A graph search that has to look at more than this share of the catalogue is slower than one pass over it.
_GRAPH_SHARE_LIMIT = 0.2
# Comparing so many rows takes as long as one place of a beam: of fewer allowed rows all are compared. Of 40,000 vectors
# of 384 dimensions, ten among 1 % took .1 x as long as unfiltered (35 x by the graph), among 10 % 2.6 x (15 x).
_ROWS_PER_BEAM = 12
# Of fewer blocked rows than this share of the nodes each counts as a node of its own.
_COUNTED_BEYOND = 0.1


class Graph(Protocol):
    """A graph over vectors. Any number of threads may search it."""

    @property
    def count(self) -> int:
        """Nodes."""

    @property
    def rows(self) -> np.ndarray:
        """int64[m], rows that are nodes, ascending."""

    def holds(self, row: int, vector: np.ndarray) -> bool:
        """Returns whether the node of a row was made from float32[d]."""

    def set_beam(self, width: int) -> None:
        """Sets the least width of a search."""

    def candidates(self, count: int) -> int:
        """Returns how many candidates are to be scored exactly so that `count` of them are the nearest."""

    def nearest(self, query: np.ndarray, beam: int) -> np.ndarray | None:
        """Returns the rows int64[beam] nearest to float32[d], best first; None where fewer can be reached."""


class VectorIndex:
    """The items' vectors and the graph over them. Read-only after construction: any number of threads may search."""

    def __init__(self, graph: Graph, vectors: np.ndarray, ef_search: int, equal: EqualRows | None = None) -> None:
        """Takes float32[n, d], row = label, and their groups of equal ones where these are known already."""
        self.vectors = vectors
        self._graph = graph
        self._ef_search = ef_search
        self._node_count = graph.count
        # None where no two vectors are equal, so that there is nothing to look up.
        self._equal = (equal or EqualRows.of(vectors)) if self._node_count < len(vectors) else None
        self._widest_beam = self._node_count
        graph.set_beam(ef_search)
        self._barred_count = OfLastMask(lambda blocked: int(np.count_nonzero(blocked)))

    @classmethod
    def load(cls, path: Path, vectors: np.ndarray, entry: GraphEntry) -> "VectorIndex":
        """Loads a graph whose checksum was verified: into memory, or mapped where its file is made for that.

        Args:
            path: the file.
            vectors: float32[n, d], row = label.
            entry: its manifest entry.

        Raises:
            ReleaseRejected: the file is no graph over these vectors.
        """
        graph: Graph
        if path.suffix == MAPPED_SUFFIX:
            graph = MappedGraph.load(path)
        else:
            graph = HnswGraph.load(path, vectors.shape[1], len(vectors))
        nodes = graph.rows
        if not len(nodes) or len(nodes) > len(vectors) or nodes[-1] >= len(vectors):
            raise ReleaseRejected(f"{path} holds {len(nodes)} vectors, the release {len(vectors)} items")
        # A file may be sound and of another release: a graph over other vectors would load, and answer nonsense.
        for row in {int(nodes[0]), int(nodes[-1])}:
            if not graph.holds(row, vectors[row]):
                raise ReleaseRejected(f"{path} is the graph of other vectors (row {row}); build the release again")
        index = cls(graph, vectors, entry.ef_search)
        if index._equal is not None and not np.array_equal(index._equal.distinct, nodes):
            raise ReleaseRejected(
                f"{path} holds {len(nodes)} vectors, the release {len(index._equal.distinct)} different"
            )
        return index

    def search(
        self, query: np.ndarray, count: int, blocked: np.ndarray | None = None, order: RowOrder | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the nearest rows that are not blocked, by inner product.

        The graph is searched wide enough to leave blocked rows out; where that would mean looking at most of the
        catalogue, every row is looked at instead. So whatever exists is found.

        Args:
            query: float32[d], unit.
            count: how many, at least 1.
            blocked: bool[n], rows that must not be returned; None blocks nothing.
            order: of rows with equal scores; None where they ascend by id.

        Returns:
            rows int64[k] and scores float32[k], best first; k = min(count, rows that are not blocked).
        """
        barred_count = 0 if blocked is None else self._barred_count.of(blocked)
        if not barred_count:
            blocked = None
        allowed = len(self.vectors) - barred_count
        want = min(count, allowed)
        if want <= 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        total = self._node_count
        # Nodes of which no row may be returned, at most; where they may be many, it pays to find out how many.
        blocked_count = barred_count
        if blocked is not None and self._equal is not None and barred_count > _COUNTED_BEYOND * total:
            blocked_count = self._equal.wholly_count(blocked, barred_count)
        if self._ef_search >= total:  # a beam over all nodes: one pass over them is cheaper, and exact
            return self._exact(query, want, blocked, order)
        fetch = want + min(blocked_count, 2 * want * blocked_count // (total - blocked_count) + 16)
        if blocked_count and allowed <= _ROWS_PER_BEAM * max(self._ef_search, 2 * fetch):
            return self._exact(query, want, blocked, order)
        while fetch <= total * _GRAPH_SHARE_LIMIT:
            rows = self._nearest(query, fetch)
            if rows is None:
                break
            scores = self.vectors[rows] @ query
            if self._equal is not None:
                rows, scores = self._with_equals(rows, scores)
            if blocked is not None:
                kept = ~blocked[rows]
                rows, scores = rows[kept], scores[kept]
            if len(rows) >= want:
                return top_rows(scores, rows, want, order)
            fetch *= 4
        return self._exact(query, want, blocked, order)

    def search_where(
        self,
        query: np.ndarray,
        count: int,
        barred: Callable[[np.ndarray], np.ndarray],
        most: int,
        order: RowOrder | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the nearest rows that are not barred, see `search`, without a mask where most rows are allowed.

        Args:
            query: float32[d], unit.
            count: how many, at least 1.
            barred: returns bool[m], which of some rows, int64[m], must not be returned.
            most: rows are those below.
            order: of equal scores, see `search`.
        """
        rows = None if self._ef_search >= self._node_count else self._nearest(query, count + max(16, count // 4))
        if rows is not None:
            scores = self.vectors[rows] @ query
            if self._equal is not None:
                rows, scores = self._with_equals(rows, scores)
            kept = ~barred(rows)
            if int(np.count_nonzero(kept)) >= count:
                return top_rows(scores[kept], rows[kept], count, order)
        return self.search(query, count, barred(np.arange(most)), order)

    @property
    def has_equals(self) -> bool:
        """True where some vectors are equal."""
        return self._equal is not None

    def scores(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns float32[C], inner products of rows, int64[C], with float32[d]; equal items have equal scores."""
        if self._equal is None:
            return np.asarray(self.vectors[rows] @ query)
        if 4 * len(rows) >= len(self.vectors):
            return np.asarray((self.vectors @ query)[self._equal.first[rows]])
        # Over the distinct ones in one order, so that a score does not depend on which others are asked for.
        distinct, place = np.unique(self._equal.first[rows], return_inverse=True)
        if 4 * len(distinct) < self._node_count:
            return np.asarray((self.vectors[distinct] @ query)[place])
        return np.asarray((self.vectors @ query)[self._equal.first[rows]])

    def _exact(
        self, query: np.ndarray, count: int, blocked: np.ndarray | None, order: RowOrder | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Looks at every row."""
        if self._equal is None:
            return exact_search(self.vectors, query, count, blocked, order)
        rows = np.arange(len(self.vectors)) if blocked is None else np.flatnonzero(~blocked)
        return top_rows(self.scores(query, rows), rows, count, order)

    def _with_equals(self, rows: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows that are equal to nodes, each with the score of its node: to the bit, so that rows order."""
        assert self._equal is not None
        return self._equal.members(rows), np.repeat(scores, self._equal.counts(rows))

    def graph_search(self, query: np.ndarray, count: int) -> np.ndarray:
        """Returns the rows that the graph alone finds, best first; what the build measures recall on."""
        rows = self._nearest(query, count)
        return np.empty(0, dtype=np.int64) if rows is None else top_rows(self.vectors[rows] @ query, rows, count)[0]

    def _nearest(self, query: np.ndarray, count: int) -> np.ndarray | None:
        """Asks the graph for candidates, at least `count`; None where it reaches fewer rows than asked for."""
        wanted = max(count, min(self._graph.candidates(count), self._node_count))
        # The beam is max(ef, k). A wide request needs a beam wider than k to stay exact, and ef is shared by all
        # threads, so more is asked for and the rest thrown away.
        beam = wanted if 2 * wanted <= self._ef_search else min(2 * wanted, self._node_count)
        if beam > self._widest_beam:
            return None
        rows = self._graph.nearest(query, beam)
        if rows is None:
            # hnswlib leaks the buffers of a failed search, so one as wide is never tried again (many equal vectors make
            # parts of a graph unreachable).
            self._widest_beam = min(self._widest_beam, beam - 1)
            return None
        return rows[:wanted]
