"""Growth of the vector index with the catalogue: build, memory, latency and recall by size and storage.

    python -m bench.catalogue_growth --sizes 10000 100000 --storage float32 float16 int8 --out catalogue-growth

Vectors are synthetic: unit vectors of 384 dimensions in clusters of 100 around random centres, each member off its
centre by noise of .6 of its length. Queries are other points around the centres, off by .8, so that none is an item.
Every size and storage is built and searched in a process of its own; memory is its anonymous resident memory.
"""

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from core.retrieval.equal_vectors import EqualRows
from core.retrieval.hnsw_graph import EF_CONSTRUCTION, EF_SEARCH, HnswGraph, M, build_graph, save_graph
from core.retrieval.mapped_graph import MappedGraph, build_mapped_graph
from core.retrieval.vector_index import VectorIndex
from core.vectors import mapped_vectors, recall_at_k, top_rows
from domain.manifest import GraphEntry
from domain.vector_format import VectorFormat

DIMENSION = 384
_CLUSTER = 100
_QUERIES = 200
_ROWS_AT_ONCE = 20_000
_ROUNDS = 5


@dataclass(frozen=True)
class GrowthRow:
    """Figures of one size and storage.

    Attributes:
        items: vectors.
        storage: numbers of the graph's nodes.
        build_s: seconds of one thread's processor time for the graph.
        disk_bytes: of graph and vectors, an item.
        anonymous_bytes: of memory for the loaded index, an item.
        p50_ms: of a query for ten, one at a time.
        p99_ms: the same.
        recall: at ten, on queries.
        ef: beam width.
        bare_ratio: queries a second over those of the graph's library alone at the same beam.
    """

    items: int
    storage: str
    build_s: float
    disk_bytes: float
    anonymous_bytes: float
    p50_ms: float
    p99_ms: float
    recall: float
    ef: int
    bare_ratio: float


def write_vectors(path: Path, count: int) -> np.ndarray:
    """Writes float32[count, 384] and returns queries, float32[200, 384]; the seed is fixed."""
    rng = np.random.default_rng(7)
    centres = _unit(rng.standard_normal((max(count // _CLUSTER, 1), DIMENSION)))
    out = np.lib.format.open_memmap(path, "w+", np.float32, (count, DIMENSION))
    for start in range(0, count, _ROWS_AT_ONCE):
        rows = np.arange(start, min(count, start + _ROWS_AT_ONCE))
        out[rows] = _around(rng, centres[np.minimum(rows // _CLUSTER, len(centres) - 1)], 0.6)
    out.flush()
    return _around(rng, centres[rng.integers(0, len(centres), _QUERIES)], 0.8)


def _around(rng: np.random.Generator, centres: np.ndarray, share: float) -> np.ndarray:
    return _unit(centres + rng.standard_normal(centres.shape) * (share / np.sqrt(DIMENSION)))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def build(folder: Path, storage: VectorFormat) -> float:
    """Writes the graph of a folder's vectors; returns the processor's seconds."""
    vectors = mapped_vectors(folder / "vectors.npy")
    started_s = time.process_time()
    if storage is VectorFormat.FLOAT32:
        save_graph(build_graph(vectors), folder / "graph.hnsw")
    else:
        build_mapped_graph(vectors, EqualRows.of(vectors).distinct, folder / "graph.usearch", storage)
    return time.process_time() - started_s


def search(folder: Path, storage: VectorFormat, queries: np.ndarray, build_s: float) -> GrowthRow:
    """Loads a folder's index as a gateway does, and measures it."""
    before = anonymous_bytes()
    vectors = mapped_vectors(folder / "vectors.npy")
    path = folder / ("graph.hnsw" if storage is VectorFormat.FLOAT32 else "graph.usearch")
    ef, recall = EF_SEARCH, 0.0
    exact = _exact_scores(vectors, queries)
    while True:
        index = VectorIndex.load(path, vectors, GraphEntry(M, EF_CONSTRUCTION, ef, 1.0, 1))
        held = anonymous_bytes() - before
        recall = recall_at_k([index.search(query, 10)[0] for query in queries], exact, vectors, queries)
        if recall >= 0.99 or ef >= 4_096:
            break
        ef *= 2
    own, bare = _timed(index, path, queries, len(vectors), ef)
    every = np.concatenate(own) * 1e3
    return GrowthRow(
        items=len(vectors),
        storage=storage.value,
        build_s=build_s,
        disk_bytes=(path.stat().st_size + vectors.nbytes) / len(vectors),
        anonymous_bytes=held / len(vectors),
        p50_ms=float(np.quantile(every, 0.5)),
        p99_ms=float(np.quantile(every, 0.99)),
        recall=recall,
        ef=ef,
        bare_ratio=float(np.median([b.sum() / o.sum() for o, b in zip(own, bare, strict=True)])),
    )


def _timed(
    index: VectorIndex, path: Path, queries: np.ndarray, count: int, ef: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns seconds by query, the index's and the bare library's, in rounds that alternate."""
    graph = HnswGraph.load(path, DIMENSION, count) if path.suffix == ".hnsw" else MappedGraph.load(path)
    graph.set_beam(ef)
    own, bare = [], []
    for _ in range(_ROUNDS):
        own.append(np.asarray([_seconds(lambda query=query: index.search(query, 10)) for query in queries]))
        bare.append(np.asarray([_seconds(lambda query=query: graph.nearest(query, 10)) for query in queries]))
    return own, bare


def _seconds(run: object) -> float:
    started_s = time.perf_counter()
    run()  # type: ignore[operator]
    return time.perf_counter() - started_s


def _exact_scores(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Returns float32[q, 10], inner products of the exact nearest; a block of rows at a time."""
    best = np.full((len(queries), 10), -np.inf, np.float32)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        scores = np.concatenate([best, queries @ vectors[start : start + _ROWS_AT_ONCE].T], axis=1)
        best = np.stack([top_rows(row, np.arange(len(row)), 10)[1] for row in scores])
    return best


def anonymous_bytes() -> int:
    """Returns the process's anonymous resident memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def measure(count: int, storages: Sequence[VectorFormat]) -> list[GrowthRow]:
    """Measures one size."""
    folder = Path(tempfile.mkdtemp(prefix="shortlist-growth-"))
    rows = []
    try:
        queries = write_vectors(folder / "vectors.npy", count)
        for storage in storages:
            spawn = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, spawn) as pool:
                seconds = pool.submit(build, folder, storage).result()
            with ProcessPoolExecutor(1, spawn) as pool:
                rows.append(pool.submit(search, folder, storage, queries, seconds).result())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def table(rows: Sequence[GrowthRow]) -> str:
    """Returns the rows as a table of Markdown."""
    head = (
        "items", "graph's numbers", "build, core-s", "disk, bytes an item", "anonymous, bytes an item", "p50 / p99 ms",
        "recall@10", "ef", "QPS over the bare library",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        sizes = f"{row.build_s:,.0f} | {row.disk_bytes:,.0f} | {row.anonymous_bytes:,.0f}"
        times = f"{row.p50_ms:.2f} / {row.p99_ms:.2f} | {row.recall:.4f} | {row.ef} | {row.bare_ratio:.2f}"
        lines.append(f"| {row.items:,} | {row.storage} | {sizes} | {times} |")
    return "\n".join(lines) + "\n"


def plot(rows: Sequence[GrowthRow], path: Path) -> None:
    """Draws p50 and anonymous memory by size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4))
    for storage in dict.fromkeys(row.storage for row in rows):
        own = [row for row in rows if row.storage == storage]
        sizes = [row.items for row in own]
        axes[0].plot(sizes, [row.p50_ms for row in own], "o-", label=f"{storage}, p50")
        axes[0].plot(sizes, [row.p99_ms for row in own], "o:", label=f"{storage}, p99")
        axes[1].plot(sizes, [row.anonymous_bytes * row.items / 2**30 for row in own], "o-", label=storage)
    for axis, title in zip(axes, ("ms a query for ten", "anonymous memory, GiB"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel="items", title=title)
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], metavar="N")
    parser.add_argument(
        "--storage", nargs="+", default=["float32", "int8"], choices=[one.value for one in VectorFormat]
    )
    parser.add_argument(
        "--out", type=Path, metavar="STEM", help="writes STEM.json and STEM.png, and adds to the former"
    )
    args = parser.parse_args()
    stored = args.out.with_suffix(".json") if args.out else None
    rows = [GrowthRow(**row) for row in json.loads(stored.read_text())] if stored and stored.exists() else []
    for size in args.sizes:
        for row in measure(size, [VectorFormat(name) for name in args.storage]):
            rows = [one for one in rows if (one.items, one.storage) != (row.items, row.storage)] + [row]
            sys.stdout.write(table([row]))
            sys.stdout.flush()
        if stored:
            rows.sort(key=lambda row: (row.items, row.storage))
            stored.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
            plot(rows, args.out.with_suffix(".png"))
    sys.stdout.write(table(rows))


if __name__ == "__main__":
    main()
