"""HNSW graphs in memory (hnswlib): built once, saved safely, searched by many threads, never changed under queries."""

import os
from collections.abc import Callable
from pathlib import Path

import hnswlib
import numpy as np

from core.retrieval.equal_vectors import EqualRows
from domain.errors import ReleaseRejected, StorageError

M = 16
EF_CONSTRUCTION = 200
EF_SEARCH = 256

_ADD_CHUNK = 1_000


class HnswGraph:
    """A graph in memory. Read-only after construction: any number of threads may search."""

    def __init__(self, index: hnswlib.Index) -> None:
        self.index = index
        self.count: int = index.get_current_count()
        index.set_num_threads(1)

    @classmethod
    def load(cls, path: Path, dimension: int, most: int) -> "HnswGraph":
        """Loads a file whose checksum was verified; hnswlib itself trusts it.

        Args:
            path: the file.
            dimension: length of a vector; the file does not name it.
            most: nodes that it may have.

        Raises:
            ReleaseRejected: it is not a graph.
        """
        index = hnswlib.Index(space="ip", dim=dimension)
        try:
            index.load_index(str(path), max_elements=most)
        except RuntimeError as error:
            raise ReleaseRejected(f"{path} cannot be loaded: {error}; build the release again") from error
        return cls(index)

    @property
    def rows(self) -> np.ndarray:
        """int64[m], rows that are nodes, ascending."""
        return np.sort(np.asarray(self.index.get_ids_list(), np.int64))

    def holds(self, row: int, vector: np.ndarray) -> bool:
        """Returns whether the node of a row is float32[d]."""
        return np.array_equal(self.index.get_items([row])[0], vector)

    def set_beam(self, width: int) -> None:
        """Sets the least width of a search."""
        self.index.set_ef(width)

    def candidates(self, count: int) -> int:
        """Returns how many candidates are to be scored so that `count` of them are the nearest."""
        return count

    def nearest(self, query: np.ndarray, beam: int) -> np.ndarray | None:
        """Returns the rows int64[beam] nearest to float32[d], best first; None where fewer can be reached."""
        try:
            labels, _ = self.index.knn_query(query, k=beam, num_threads=1)
        except RuntimeError:
            return None
        rows: np.ndarray = labels[0].astype(np.int64)
        return rows


def build_graph(vectors: np.ndarray, on_progress: Callable[[int], None] = lambda _: None) -> HnswGraph:
    """Builds the graph; label = row. Deterministic for the same vectors: one thread, fixed seed.

    Of equal vectors only the first is a node: many at one point would keep others from being found.

    Args:
        vectors: float32[n, d], unit.
        on_progress: called with the number of vectors done since the last call.
    """
    rows = EqualRows.of(vectors).distinct
    index = hnswlib.Index(space="ip", dim=vectors.shape[1])
    index.init_index(max_elements=len(rows), M=M, ef_construction=EF_CONSTRUCTION, random_seed=42)
    threads = 1 if len(rows) <= 20_000 else os.cpu_count() or 1
    for start in range(0, len(rows), _ADD_CHUNK):
        chunk = rows[start : start + _ADD_CHUNK]
        index.add_items(vectors[chunk], chunk, num_threads=threads)
        on_progress(len(chunk))
    on_progress(len(vectors) - len(rows))
    return HnswGraph(index)


def save_graph(graph: HnswGraph, path: Path) -> None:
    """Writes the graph. hnswlib never checks its stream, so the file is read back and compared by size and count.

    Raises:
        StorageError: the file could not be written whole.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        graph.index.save_index(str(path))
        expected = graph.index.index_file_size()
        with path.open("r+b") as stream:
            written = os.fstat(stream.fileno()).st_size
            os.fsync(stream.fileno())
    except (OSError, RuntimeError) as error:
        raise StorageError(f"{path} could not be written: {error}; is the disk full?") from error
    if written != expected:
        raise StorageError(f"{path} could not be written whole ({written} of {expected} bytes); is the disk full?")
