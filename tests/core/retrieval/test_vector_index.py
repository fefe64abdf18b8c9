import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.retrieval.hnsw_graph import EF_CONSTRUCTION, EF_SEARCH, M, build_graph, save_graph
from core.retrieval.vector_index import VectorIndex
from core.vectors import exact_search
from domain.errors import ReleaseRejected, StorageError
from domain.manifest import GraphEntry

# Large enough that searches go through the graph.
TOTAL, DIMENSION = 5_000, 16
ROOT = Path(__file__).resolve().parents[3]
ENTRY = GraphEntry(M, EF_CONSTRUCTION, EF_SEARCH, 1.0, 10)


def unit(shape, seed=0):
    vectors = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def vectors():
    return unit((TOTAL, DIMENSION))


@pytest.fixture(scope="module")
def graph(vectors):
    return build_graph(vectors)


@pytest.fixture(scope="module")
def index(graph, vectors):
    return VectorIndex(graph, vectors, EF_SEARCH)


def small(vectors):
    return VectorIndex(build_graph(vectors), vectors, EF_SEARCH)


def check(index, query, count, blocked):
    """What must hold of any search; returns the share of the exact answer that was found."""
    rows, scores = index.search(query, count, blocked)
    allowed = len(index.vectors) - (0 if blocked is None else int(blocked.sum()))
    assert len(rows) == len(scores) == min(count, allowed)
    assert len(set(rows.tolist())) == len(rows)
    assert blocked is None or not blocked[rows].any()
    assert np.all(np.diff(scores) <= 0)
    assert scores == pytest.approx(index.vectors[rows] @ query, abs=1e-5)
    assert rows.dtype == np.int64
    exact = exact_search(index.vectors, query, min(count, allowed), blocked)[0] if allowed else rows
    return len(set(exact.tolist()) & set(rows.tolist())) / max(len(rows), 1)


@pytest.mark.parametrize("share", [None, 0.0, 0.01, 0.3, 0.5, 0.59, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("count", [1, 10, 200, 1_000, TOTAL, 3 * TOTAL])
def test_search_finds_what_brute_force_finds_and_never_a_blocked_row(index, share, count):
    rng = np.random.default_rng(count)
    blocked = None if share is None else rng.random(TOTAL) < share
    queries = unit((20 if count <= 200 else 5, DIMENSION), seed=count)
    assert np.mean([check(index, query, count, blocked) for query in queries]) >= 0.995


@pytest.mark.parametrize("nearest", [10, 300, 1_500, 2_900])
def test_search_gets_past_blocked_rows_that_are_all_nearest(index, vectors, nearest):
    for query in unit((5, DIMENSION), seed=nearest):
        blocked = np.zeros(TOTAL, dtype=bool)
        blocked[np.argsort(-(vectors @ query))[:nearest]] = True
        assert check(index, query, 10, blocked) >= 0.9


@pytest.mark.parametrize("allowed", [0, 1, 2, 9, 10, 11])
def test_a_few_allowed_rows_are_all_found(index, allowed):
    blocked = np.ones(TOTAL, dtype=bool)
    blocked[np.random.default_rng(allowed).choice(TOTAL, allowed, replace=False)] = False
    rows, _ = index.search(unit(DIMENSION), 10, blocked)
    assert len(rows) == min(allowed, 10)
    assert check(index, unit(DIMENSION), 10, blocked) == (1.0 if allowed else 0.0)
    assert set(index.search(unit(DIMENSION), 20, blocked)[0].tolist()) == set(np.flatnonzero(~blocked).tolist())


def test_the_graph_alone_finds_the_nearest(index):
    found = [
        len(set(index.graph_search(query, 10).tolist()) & set(exact_search(index.vectors, query, 10)[0].tolist()))
        for query in unit((100, DIMENSION), seed=5)
    ]
    assert np.mean(found) / 10 >= 0.99


def test_labels_are_rows(index, vectors):
    for row in (0, 999, 1_000, TOTAL - 1):
        assert index.search(vectors[row], 1)[0].tolist() == [row]
        assert index.graph_search(vectors[row], 1).tolist() == [row]


@pytest.mark.parametrize("total", [1, 2, 5])
def test_a_tiny_catalogue(total):
    index = small(unit((total, DIMENSION)))
    for count in (1, 2, 1_000):
        assert check(index, unit(DIMENSION), count, None) == 1.0
    assert index.search(unit(DIMENSION), 5, np.ones(total, dtype=bool))[0].tolist() == []
    assert sorted(index.graph_search(unit(DIMENSION), total).tolist()) == list(range(total))
    assert index.graph_search(unit(DIMENSION), total + 1).tolist() == []


def test_duplicates_of_one_vector_are_all_found():
    vectors = np.repeat(unit((1, DIMENSION)), 3_000, axis=0)
    index = small(vectors)
    blocked = np.arange(3_000) % 10 == 0
    for count in (1, 50, 500, 3_000):
        check(index, vectors[0], count, None)
        check(index, vectors[0], count, blocked)


def test_many_threads_find_what_one_finds(index):
    queries = unit((64, DIMENSION), seed=9)
    blocked = np.random.default_rng(1).random(TOTAL) < 0.3

    def search(number):
        count = (1, 10, 300)[number % 3]
        return index.search(queries[number % 64], count, blocked)[0].tolist()

    expected = [search(number) for number in range(192)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(search, range(192))) == expected


def test_the_same_vectors_give_the_same_file(tmp_path, vectors):
    for name in ("one", "two"):
        save_graph(build_graph(vectors[:1_500]), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_progress_counts_every_vector(vectors):
    seen = []
    build_graph(vectors[:1_500], seen.append)
    assert sum(seen) == 1_500
    assert len(seen) > 1


def test_a_saved_graph_answers_the_same(tmp_path, graph, index, vectors):
    path = tmp_path / "new folder" / "graph.hnsw"
    save_graph(graph, path)
    loaded = VectorIndex.load(path, vectors, ENTRY)
    for query in unit((20, DIMENSION), seed=3):
        assert loaded.search(query, 10)[0].tolist() == index.search(query, 10)[0].tolist()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_noticed(graph):
    with pytest.raises(StorageError, match="could not be written"):
        save_graph(graph, Path("/dev/full"))


# hnswlib writes past the limit without a word, as on a disk that fills up on the way.
SAVE_WITH_A_LIMIT = """
import resource, sys
from pathlib import Path
import numpy as np
from domain.errors import StorageError
from core.retrieval.hnsw_graph import build_graph, save_graph
graph = build_graph(np.eye(400, 16, dtype=np.float32) + 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (graph.index.index_file_size() // 2,) * 2)
try:
    save_graph(graph, Path(sys.argv[1]))
except StorageError as error:
    print(error)
"""


def test_a_disk_that_fills_up_on_the_way_is_noticed(tmp_path):
    command = [sys.executable, "-c", SAVE_WITH_A_LIMIT, str(tmp_path / "graph.hnsw")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "could not be written whole" in done.stdout


def test_a_folder_that_cannot_be_made_is_noticed(tmp_path, graph):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        save_graph(graph, tmp_path / "file" / "graph.hnsw")


@pytest.mark.parametrize(
    "other",
    [
        unit((TOTAL, DIMENSION), seed=1),
        unit((TOTAL - 1, DIMENSION)),
        unit((TOTAL + 1, DIMENSION)),
        unit((TOTAL, 8)),
        unit((TOTAL, 32)),
    ],
)
def test_a_graph_over_other_vectors_is_refused(tmp_path, graph, other):
    path = tmp_path / "graph.hnsw"
    save_graph(graph, path)
    with pytest.raises(ReleaseRejected):
        VectorIndex.load(path, other, ENTRY)


def test_a_missing_graph_is_refused(tmp_path, vectors):
    with pytest.raises(ReleaseRejected, match="cannot be loaded"):
        VectorIndex.load(tmp_path / "none", vectors, ENTRY)
