"""Graph of changed items, made aside: a program that the gateway starts, at low priority and with one thread.

    python -m core.retrieval.delta_graph FOLDER COUNT WIDTH [--onto FILE] [--parent PID]

FOLDER/vectors.f32 has the vectors by place; those below COUNT become nodes of FOLDER/graph-COUNT.usearch, all of them,
or with `--onto` only those that a graph, which is copied, does not have yet. FOLDER/graph-COUNT.json says how wide it
must be searched.
"""

import argparse
import ctypes
import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import numpy as np

from core.retrieval.equal_vectors import EqualRows
from core.retrieval.mapped_graph import MappedGraph, build_mapped_graph, extend_mapped_graph
from core.retrieval.vector_index import VectorIndex
from core.vectors import exact_search, recall_at_k
from domain import durable
from domain.vector_format import VectorFormat

VECTORS = "vectors.f32"
_LEAST_RECALL = 0.99
_QUERIES = 100
_NARROWEST, _WIDEST = 128, 4_096
_DEATH_SIGNAL = 1


def mapped(folder: Path, count: int, width: int) -> np.ndarray:
    """Returns float32[count, width], the vectors of a folder, mapped read-only."""
    return np.memmap(folder / VECTORS, np.float32, "r", shape=(count, width)).view(np.ndarray)


def graph_path(folder: Path, count: int) -> Path:
    """Returns the file of the graph over so many vectors."""
    return folder / f"graph-{count}.usearch"


def open_delta(folder: Path, vectors: np.ndarray) -> VectorIndex:
    """Maps the graph over all of some vectors, float32[p, d].

    Raises:
        ReleaseRejected: the file is not the graph over them.
        OSError, ValueError, KeyError: it is not there or damaged.
    """
    path = graph_path(folder, len(vectors))
    beam = int(json.loads(path.with_suffix(".json").read_text())["beam"])
    graph = MappedGraph.load(path)
    return VectorIndex(graph, vectors, beam)


def main() -> None:
    """Builds the graph."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the vectors")
    parser.add_argument("count", type=int, metavar="COUNT", help="how many vectors there are")
    parser.add_argument("width", type=int, metavar="WIDTH", help="numbers of a vector")
    parser.add_argument("--onto", type=Path, metavar="FILE", help="a graph to copy and add to")
    parser.add_argument("--parent", type=int, metavar="PID", help="process to end with")
    args = parser.parse_args()
    os.nice(19)
    with suppress(OSError):  # where memory is short, the gateway is not what is ended
        Path("/proc/self/oom_score_adj").write_text("1000")
    # It ends with the gateway, however that ends.
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    # It may have ended already: the next gateway makes graphs of the same names in the same folder.
    if args.parent is not None and os.getppid() != args.parent:
        return
    vectors = mapped(args.folder, args.count, args.width)
    path = graph_path(args.folder, args.count)
    distinct = EqualRows.of(vectors).distinct
    if args.onto is None:
        build_mapped_graph(vectors, distinct, path, VectorFormat.FLOAT16)
    else:
        extend_mapped_graph(vectors, distinct, path, args.onto)
    beam = _beam(MappedGraph.load(path), vectors)
    durable.write_atomic(path.with_suffix(".json"), json.dumps({"beam": beam}))


def _beam(graph: MappedGraph, vectors: np.ndarray) -> int:
    """Returns the narrowest beam that finds enough; that of all nodes, so every vector is compared, where none does."""
    rng = np.random.default_rng(7)
    queries = vectors[rng.choice(len(vectors), min(_QUERIES, len(vectors)), replace=False)]
    # Beside what is there: a vector itself is found too easily.
    queries = queries + rng.standard_normal(queries.shape).astype(np.float32) * (0.5 / np.sqrt(vectors.shape[1]))
    count = min(10, graph.count)
    exact = np.stack([exact_search(vectors, query, count)[1] for query in queries])
    beam = _NARROWEST
    while beam <= _WIDEST:
        index = VectorIndex(graph, vectors, beam)
        found = [index.search(query, count)[0] for query in queries]
        if recall_at_k(found, exact, vectors, queries) >= _LEAST_RECALL:
            return beam
        beam *= 2
    return max(graph.count, beam)


if __name__ == "__main__":
    main()
