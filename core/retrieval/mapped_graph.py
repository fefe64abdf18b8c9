"""HNSW graphs that stay in their file: built aside by one thread, mapped read-only, never changed (usearch).

Nodes are float32, float16 or int8. Their distances only choose candidates: `VectorIndex` scores these by the exact
vectors, which are mapped too.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from usearch.index import Index, MetricKind

from domain.errors import ReleaseRejected, StorageError
from domain.vector_format import VectorFormat

SUFFIX = ".usearch"
CONNECTIVITY = 16
EXPANSION_ADD = 128

_ADD_CHUNK = 1_000
_DTYPES = {VectorFormat.FLOAT32: "f32", VectorFormat.FLOAT16: "f16", VectorFormat.INT8: "i8"}
_MOST = 127
# So many candidates are taken for each one that is wanted, since coarse numbers put neighbours in another order.
_WIDER = {VectorFormat.FLOAT32: 1, VectorFormat.FLOAT16: 1, VectorFormat.INT8: 4}
# So many are asked for at least: ten of the nearest may lie behind others that are as near in coarse numbers.
_LEAST = {VectorFormat.FLOAT32: 1, VectorFormat.FLOAT16: 16, VectorFormat.INT8: 48}

# A node in coarse numbers points where its vector does.
_LEAST_COSINE = 0.98


def build_mapped_graph(
    vectors: np.ndarray,
    rows: np.ndarray,
    path: Path,
    storage: VectorFormat = VectorFormat.FLOAT32,
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Builds a graph with one thread and writes it. The same vectors give the same file.

    Args:
        vectors: float32[n, d], unit.
        rows: int64[m], the vectors that become nodes; a node's label is its row.
        path: of the file.
        storage: numbers of the nodes.
        on_progress: called with the number of vectors done since the last call.

    Raises:
        StorageError: it could not be written whole.
    """
    index = Index(
        ndim=vectors.shape[1],
        metric=MetricKind.IP,
        dtype=_DTYPES[storage],
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
    )
    _add(index, vectors, rows, storage, on_progress)
    _write(index, path)


def extend_mapped_graph(vectors: np.ndarray, rows: np.ndarray, path: Path, onto: Path) -> None:
    """Copies a graph of float16, adds what it does not have yet with one thread, and writes the copy.

    Args:
        vectors: float32[n, d], unit.
        rows: int64[m], the vectors that are to be nodes.
        path: of the file.
        onto: the graph.

    Raises:
        StorageError: it could not be read, or the copy could not be written whole.
    """
    index = Index.restore(str(onto), view=False)
    if index is None:
        raise StorageError(f"{onto} cannot be read as a graph")
    index.expansion_add = EXPANSION_ADD
    missing = rows[np.isin(rows, np.asarray(index.keys, np.int64), invert=True)]
    _add(index, vectors, missing, VectorFormat.FLOAT16, lambda _: None)
    _write(index, path)


def _add(
    index: Index, vectors: np.ndarray, rows: np.ndarray, storage: VectorFormat, on_progress: Callable[[int], None]
) -> None:
    scale = _MOST / _largest(vectors, rows) if storage is VectorFormat.INT8 else 1.0
    for start in range(0, len(rows), _ADD_CHUNK):
        chunk = rows[start : start + _ADD_CHUNK]
        index.add(chunk.astype(np.uint64), _stored(vectors[chunk], storage, scale), threads=1, copy=True)
        on_progress(len(chunk))


def _write(index: Index, path: Path) -> None:
    expected = index.serialized_length
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        index.save(str(path))
        with path.open("r+b") as stream:
            written = os.fstat(stream.fileno()).st_size
            os.fsync(stream.fileno())
    except (OSError, RuntimeError) as error:
        raise StorageError(f"{path} could not be written: {error}; is the disk full?") from error
    if written < expected:
        raise StorageError(f"{path} could not be written whole ({written} of {expected} bytes); is the disk full?")


class MappedGraph:
    """A graph in its file, mapped read-only. Any number of threads may search; nothing is ever added to it."""

    def __init__(self, index: Index, storage: VectorFormat) -> None:
        """Keeps an index that was mapped; `load` maps one."""
        self._index = index
        self.storage = storage
        self.count = len(index)

    @classmethod
    def load(cls, path: Path) -> "MappedGraph":
        """Maps a file whose checksum was verified.

        Raises:
            ReleaseRejected: it is not a graph of this kind.
        """
        try:
            about = Index.metadata(str(path))
            if about is None:
                raise ValueError("the file has another format")
            if about["kind_metric"] != MetricKind.IP:
                raise ValueError("it is not a graph of inner products")
            names = {name: storage for storage, name in _DTYPES.items()}
            storage = names[about["kind_scalar"].name.lower()]
            index = Index.restore(str(path), view=True)
            if index is None:
                raise ValueError("it cannot be mapped")
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise ReleaseRejected(f"{path} cannot be loaded: {error}; build the release again") from error
        return cls(index, storage)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._index.ndim)

    @property
    def rows(self) -> np.ndarray:
        """int64[m], rows that are nodes, ascending."""
        return np.sort(np.asarray(self._index.keys, np.int64))

    def holds(self, row: int, vector: np.ndarray) -> bool:
        """Returns whether the node of a row was made from float32[d]."""
        node = np.asarray(self._index.get(row), np.float32).reshape(-1)
        norms = float(np.linalg.norm(node) * np.linalg.norm(vector))
        return node.shape == vector.shape and float(node @ vector) >= _LEAST_COSINE * norms

    def set_beam(self, width: int) -> None:
        """Sets the least width of a search."""
        self._index.expansion_search = width

    def candidates(self, count: int) -> int:
        """Returns how many candidates are to be scored exactly so that `count` of them are the nearest."""
        return max(count * _WIDER[self.storage], _LEAST[self.storage])

    def nearest(self, query: np.ndarray, beam: int) -> np.ndarray | None:
        """Returns the rows int64[beam] nearest to float32[d], best first; None where fewer can be reached."""
        if self.storage is VectorFormat.INT8:
            largest = float(np.abs(query).max())
            query = np.rint(query * (_MOST / largest if largest else 0.0)).astype(np.int8)
        found = np.asarray(self._index.search(query, beam, threads=1).keys, np.int64)
        return found if len(found) == beam else None


def _largest(vectors: np.ndarray, rows: np.ndarray) -> float:
    """Returns the largest component of some vectors; a block of rows at a time, so that a file stays on the disk."""
    most = 0.0
    for start in range(0, len(rows), _ADD_CHUNK):
        most = max(most, float(np.abs(vectors[rows[start : start + _ADD_CHUNK]]).max(initial=0.0)))
    return most or 1.0


def _stored(vectors: np.ndarray, storage: VectorFormat, scale: float) -> np.ndarray:
    if storage is VectorFormat.INT8:
        return np.rint(vectors * scale).astype(np.int8)
    return np.ascontiguousarray(vectors, np.float16 if storage is VectorFormat.FLOAT16 else np.float32)
