"""Equal vectors: one node, many items; nothing is lost behind them, and their order is that of their rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.retrieval.equal_vectors import EqualRows
from core.retrieval.hnsw_graph import build_graph, save_graph
from core.retrieval.vector_index import VectorIndex
from core.retrieval.vector_store import VectorStore
from core.vectors import unit
from domain.errors import ReleaseRejected
from domain.manifest import GraphEntry

DIMENSION = 24


def catalogue(groups, seed=0):
    """Vectors of groups of these sizes, shuffled, and each row's group."""
    rng = np.random.default_rng(seed)
    points = unit(rng.standard_normal((len(groups), DIMENSION))).astype(np.float32)
    group = rng.permutation(np.repeat(np.arange(len(groups)), groups))
    return points[group], group


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.integers(0, 100))
def test_groups_are_those_of_brute_force(groups, seed):
    vectors, group = catalogue(groups, seed)
    equal = EqualRows.of(vectors)
    assert equal.first.tolist() == [int(np.flatnonzero(group == own)[0]) for own in group]
    assert equal.is_trivial == (len(vectors) == len(groups))
    for row in equal.distinct:
        assert sorted(equal.members(np.array([row])).tolist()) == np.flatnonzero(group == group[row]).tolist()
    rows = equal.distinct[::-1]
    assert equal.counts(rows).tolist() == [int((group == group[row]).sum()) for row in rows]
    assert np.array_equal(equal.first[equal.members(rows)], np.repeat(rows, equal.counts(rows)))
    marked = np.random.default_rng(seed).random(len(vectors)) < 0.5
    expected = [marked[group == group[row]].all() for row in equal.distinct]
    assert equal.wholly_count(marked, int(marked.sum())) == sum(expected)


def test_other_items_are_found_beside_thousands_of_equal_ones():
    vectors, group = catalogue([3_000, *[1] * 700])
    index = VectorIndex(build_graph(vectors), vectors, 64)
    for row in np.flatnonzero(group > 0)[:100]:
        rows, scores = index.search(vectors[row], 5)
        assert rows[0] == row and scores[0] == pytest.approx(1, abs=1e-5)
    # Near the equal ones, all of them are found, and what comes after them.
    (first,) = np.flatnonzero(group == 0)[:1]
    rows, _ = index.search(vectors[first], 3_010)
    assert rows[:3_000].tolist() == np.flatnonzero(group == 0).tolist()
    assert (group[rows[3_000:]] > 0).all()


@pytest.mark.parametrize("groups", [[40] * 60, [1] * 500 + [7] * 100, [2_000]])
def test_the_list_for_few_begins_the_list_for_many(groups):
    vectors, _ = catalogue(groups, seed=3)
    index = VectorIndex(build_graph(vectors), vectors, 64)
    blocked = np.random.default_rng(1).random(len(vectors)) < 0.3
    for barred in (None, blocked):
        for query in vectors[:5]:
            longest = index.search(query, 300, barred)[0].tolist()
            for count in (1, 3, 10, 31, 100):
                assert index.search(query, count, barred)[0].tolist() == longest[:count]
            if barred is not None:
                assert not blocked[longest].any()


def test_a_group_that_is_wholly_blocked_hides_nothing():
    vectors, group = catalogue([2_000, *[1] * 1_000], seed=5)
    index = VectorIndex(build_graph(vectors), vectors, 64)
    blocked = group == 0
    near = vectors[np.flatnonzero(blocked)[0]]
    rows, scores = index.search(near, 10, blocked)
    exact = np.sort(vectors[~blocked] @ near)[::-1][:10]
    np.testing.assert_allclose(scores, exact, atol=1e-6)
    assert not blocked[rows].any()


def test_equal_items_have_one_score_whichever_are_asked_for():
    vectors, group = catalogue([30] * 20, seed=8)
    index = VectorIndex(build_graph(vectors), vectors, 64)
    store = VectorStore(vectors, np.zeros(len(vectors), bool), index)
    query = unit(np.random.default_rng(2).standard_normal(DIMENSION)).astype(np.float32)
    rng = np.random.default_rng(4)
    for count in (2, 17, 100, len(vectors)):
        rows = np.sort(rng.permutation(len(vectors))[:count])
        scores = store.index.scores(query, rows)
        for own in set(group[rows].tolist()):
            assert len(set(scores[group[rows] == own].tolist())) == 1


def test_a_pair_of_equal_items_does_not_make_a_search_sort_the_catalogue(monkeypatch):
    vectors, group = catalogue([2, *[1] * 400])
    index, query = VectorIndex(build_graph(vectors), vectors, 500), vectors[7]
    expected = index.scores(query, np.arange(len(vectors)))
    assert expected == pytest.approx(vectors @ query, abs=1e-6)
    first, second = np.flatnonzero(group == 0)
    assert expected[first] == expected[second]
    monkeypatch.setattr(np, "unique", None)
    rows, scores = index.search(query, len(vectors))
    assert np.array_equal(scores, expected[rows])


def test_a_graph_of_other_groups_is_refused(tmp_path):
    vectors, _ = catalogue([3, 1, 1, 2])
    save_graph(build_graph(vectors), tmp_path / "graph")
    entry = GraphEntry(16, 200, 64, 1.0, 1)
    assert VectorIndex.load(tmp_path / "graph", vectors, entry).has_equals
    other = vectors.copy()
    repeated = np.flatnonzero(EqualRows.of(vectors).first != np.arange(len(vectors)))[0]
    other[repeated] = -other[repeated]
    with pytest.raises(ReleaseRejected):
        VectorIndex.load(tmp_path / "graph", other, entry)
