"""The HNSW graph of a release: built once, saved safely, searched from many threads, never changed under queries."""

import os
from collections.abc import Callable
from pathlib import Path

import hnswlib
import numpy as np

from core.vectors import exact_search, top_rows
from domain.errors import ReleaseRejected, StorageError
from domain.manifest import GraphEntry

M = 16
EF_CONSTRUCTION = 200
EF_SEARCH = 256

# A graph search that has to look at more than this share of the catalogue is slower than one pass over it.
_GRAPH_SHARE_LIMIT = 0.2
_ADD_CHUNK = 1_000


def build_graph(vectors: np.ndarray, on_progress: Callable[[int], None] = lambda _: None) -> hnswlib.Index:
    """Builds the graph; label = row. Deterministic for the same vectors: one thread, fixed seed.

    Args:
        vectors: float32[n, d], unit.
        on_progress: called with the number of vectors added since the last call.
    """
    index = hnswlib.Index(space="ip", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), M=M, ef_construction=EF_CONSTRUCTION, random_seed=42)
    threads = 1 if len(vectors) <= 20_000 else os.cpu_count() or 1
    for start in range(0, len(vectors), _ADD_CHUNK):
        chunk = vectors[start : start + _ADD_CHUNK]
        index.add_items(chunk, np.arange(start, start + len(chunk)), num_threads=threads)
        on_progress(len(chunk))
    return index


def save_graph(index: hnswlib.Index, path: Path) -> None:
    """Writes the graph. hnswlib never checks its stream, so the file is read back and compared by size and count.

    Raises:
        StorageError: the file could not be written whole.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        index.save_index(str(path))
        expected = index.index_file_size()
        with path.open("r+b") as stream:
            written = os.fstat(stream.fileno()).st_size
            os.fsync(stream.fileno())
    except (OSError, RuntimeError) as error:
        raise StorageError(f"{path} could not be written: {error}; is the disk full?") from error
    if written != expected:
        raise StorageError(f"{path} could not be written whole ({written} of {expected} bytes); is the disk full?")


class VectorIndex:
    """The items' vectors and the graph over them. Read-only after construction: any number of threads may search."""

    def __init__(self, graph: hnswlib.Index, vectors: np.ndarray, ef_search: int) -> None:
        self.vectors = vectors
        self._graph = graph
        self._ef_search = ef_search
        self._widest_beam = len(vectors)
        self._graph.set_num_threads(1)
        self._graph.set_ef(ef_search)

    @classmethod
    def load(cls, path: Path, vectors: np.ndarray, entry: GraphEntry) -> "VectorIndex":
        """Loads a graph whose checksum was verified; hnswlib itself trusts the file.

        Args:
            path: the file.
            vectors: float32[n, d], row = label.
            entry: its manifest entry.

        Raises:
            ReleaseRejected: the file is no graph over these vectors.
        """
        graph = hnswlib.Index(space="ip", dim=vectors.shape[1])
        try:
            graph.load_index(str(path), max_elements=len(vectors))
        except RuntimeError as error:
            raise ReleaseRejected(f"{path} cannot be loaded: {error}; build the release again") from error
        if graph.get_current_count() != len(vectors):
            raise ReleaseRejected(f"{path} holds {graph.get_current_count()} vectors, the release {len(vectors)} items")
        # The file does not name its dimension: a graph over narrower vectors would load, and answer nonsense.
        for row in {0, len(vectors) - 1}:
            if not np.array_equal(graph.get_items([row])[0], vectors[row]):
                raise ReleaseRejected(f"{path} is the graph of other vectors (row {row}); build the release again")
        return cls(graph, vectors, entry.ef_search)

    def search(self, query: np.ndarray, count: int, blocked: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns the nearest rows that are not blocked, by inner product.

        The graph is searched wide enough to leave blocked rows out; where that would mean looking at most of the
        catalogue, every row is looked at instead. So whatever exists is found.

        Args:
            query: float32[d], unit.
            count: how many, at least 1.
            blocked: bool[n], rows that must not be returned; None blocks nothing.

        Returns:
            rows int64[k] and scores float32[k], best first; k = min(count, rows that are not blocked).
        """
        total = len(self.vectors)
        blocked_count = int(blocked.sum()) if blocked is not None else 0
        allowed = total - blocked_count
        want = min(count, allowed)
        if want <= 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        fetch = want + min(blocked_count, 2 * want * blocked_count // allowed + 16)
        while fetch <= total * _GRAPH_SHARE_LIMIT:
            rows = self._nearest(query, fetch)
            if rows is None:
                break
            if blocked is not None:
                rows = rows[~blocked[rows]]
            if len(rows) >= want:
                return top_rows(self.vectors[rows] @ query, rows, want)
            fetch *= 4
        return exact_search(self.vectors, query, want, blocked)

    def graph_search(self, query: np.ndarray, count: int) -> np.ndarray:
        """Returns the rows that the graph alone finds, best first; what the build measures recall on."""
        rows = self._nearest(query, count)
        return rows if rows is not None else np.empty(0, dtype=np.int64)

    def _nearest(self, query: np.ndarray, count: int) -> np.ndarray | None:
        """Asks the graph; None where it reaches fewer rows than asked for (hnswlib raises then)."""
        # The beam is max(ef, k). A wide request needs a beam wider than k to stay exact, and ef is shared by all
        # threads, so more is asked for and the rest thrown away.
        beam = count if 2 * count <= self._ef_search else min(2 * count, len(self.vectors))
        if beam > self._widest_beam:
            return None
        try:
            labels, _ = self._graph.knn_query(query, k=beam, num_threads=1)
        except RuntimeError:
            # hnswlib leaks the buffers of a failed search, so one as wide is never tried again (many equal vectors make
            # parts of a graph unreachable).
            self._widest_beam = min(self._widest_beam, beam - 1)
            return None
        rows: np.ndarray = labels[0, :count].astype(np.int64)
        return rows
