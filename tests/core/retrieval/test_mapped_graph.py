from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.retrieval.hnsw_graph import EF_CONSTRUCTION, EF_SEARCH, M, build_graph, save_graph
from core.retrieval.mapped_graph import MappedGraph, build_mapped_graph
from core.retrieval.vector_index import VectorIndex
from core.vectors import exact_search, mapped_vectors
from domain.errors import ReleaseRejected, StorageError
from domain.manifest import GraphEntry
from domain.vector_format import VectorFormat

TOTAL, WIDTH = 3_000, 48
ENTRY = GraphEntry(M, EF_CONSTRUCTION, EF_SEARCH, 1.0, 10)


def unit(shape, seed=0):
    vectors = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    path = tmp_path_factory.mktemp("vectors") / "vectors.npy"
    made = unit((TOTAL, WIDTH))
    made[2_000:2_100] = made[5]
    np.save(path, made)
    return mapped_vectors(path)


@pytest.fixture(scope="module")
def files(vectors, tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    distinct = np.r_[:2_000, 2_100:TOTAL]
    for storage in VectorFormat:
        build_mapped_graph(vectors, distinct, folder / f"{storage}.usearch", storage)
    return folder


@pytest.mark.parametrize("storage", VectorFormat)
def test_what_coarse_numbers_find_is_scored_exactly(vectors, files, storage):
    index = VectorIndex.load(files / f"{storage}.usearch", vectors, ENTRY)
    blocked = np.random.default_rng(1).random(TOTAL) < 0.4
    hits = 0
    for query in unit((60, WIDTH), seed=3):
        for barred in (None, blocked):
            rows, scores = index.search(query, 10, barred)
            exact_scores = exact_search(vectors, query, 10, barred)[1]
            assert barred is None or not barred[rows].any()
            assert np.allclose(scores, vectors[rows] @ query, atol=1e-6)
            hits += int((scores >= exact_scores[-1] - 1e-6).sum())
    assert hits >= 0.99 * 60 * 20


def test_coarse_numbers_take_less_room(files):
    sizes = [(files / f"{storage}.usearch").stat().st_size for storage in VectorFormat]
    assert sizes[0] - sizes[1] == pytest.approx(2 * WIDTH * (TOTAL - 100), rel=0.02)
    assert sizes[1] - sizes[2] == pytest.approx(WIDTH * (TOTAL - 100), rel=0.02)


def test_items_of_one_vector_are_all_found(vectors, files):
    index = VectorIndex.load(files / "int8.usearch", vectors, ENTRY)
    rows, _ = index.search(vectors[5], 50)
    assert len(set(rows.tolist())) == 50
    assert set(rows.tolist()) <= {5, *range(2_000, 2_100)}


def test_many_threads_may_search(vectors, files):
    index = VectorIndex.load(files / "int8.usearch", vectors, ENTRY)
    queries = unit((64, WIDTH), seed=4)
    alone = [index.search(query, 10)[0].tolist() for query in queries]
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda query: index.search(query, 10)[0].tolist(), queries)) == alone


def test_nothing_can_be_added_to_a_mapped_graph(vectors, files):
    graph = MappedGraph.load(files / "float32.usearch")
    with pytest.raises(Exception, match=r"immutable|view|[Cc]an.t"):
        graph._index.add(TOTAL + 1, unit(WIDTH))
    assert graph.count == TOTAL - 100


def test_the_same_vectors_give_the_same_file(tmp_path, vectors):
    for name in ("one", "two"):
        build_mapped_graph(vectors, np.arange(500), tmp_path / name, VectorFormat.INT8)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("storage", VectorFormat)
def test_the_graph_of_other_vectors_is_refused(files, storage):
    with pytest.raises(ReleaseRejected, match="other vectors"):
        VectorIndex.load(files / f"{storage}.usearch", unit((TOTAL, WIDTH), seed=9), ENTRY)


def test_what_is_not_such_a_graph_is_refused(tmp_path, vectors):
    save_graph(build_graph(vectors[:300]), tmp_path / "graph.usearch")
    (tmp_path / "empty.usearch").write_bytes(b"")
    for name in ("graph", "empty", "missing"):
        with pytest.raises(ReleaseRejected, match="cannot be loaded"):
            VectorIndex.load(tmp_path / f"{name}.usearch", vectors, ENTRY)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_noticed(vectors):
    with pytest.raises(StorageError, match="could not be written"):
        build_mapped_graph(vectors, np.arange(300), Path("/dev/full"))
