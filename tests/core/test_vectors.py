import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.vectors import check_unit, exact_search, history_query, recall_at_k, top_rows, unit


def drawn(shape, seed=0):
    vectors = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 1.01])
def test_a_vector_that_is_not_of_unit_length_is_refused_by_row(bad):
    vectors = drawn((5, 8))
    check_unit(vectors)
    check_unit(vectors[:0])
    vectors[3] *= bad
    with pytest.raises(ValueError, match=r"vector 3 is not of unit length .* 1 such vectors"):
        check_unit(vectors)


def test_a_historys_query_by_hand():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    mean = np.array([0.5, -0.5], dtype=np.float32)
    # ((.5, .5) + (-.5, 1.5)) / 2 = (0, 1); with one vector: (.5, .5) / norm
    assert history_query(vectors, mean) == pytest.approx([0.0, 1.0], abs=1e-6)
    assert history_query(vectors[:1], mean) == pytest.approx([0.5**0.5, 0.5**0.5], abs=1e-6)
    assert history_query(vectors, mean).dtype == np.float32


def test_a_history_that_says_nothing_has_no_query():
    vectors = drawn((2, 384))
    assert history_query(vectors[:0], vectors[0]) is None
    assert history_query(vectors[:1], vectors[0]) is None
    assert history_query(vectors, vectors.mean(axis=0)) is None
    assert history_query(np.stack([vectors[0], -vectors[0]]), np.zeros(384, dtype=np.float32)) is None


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_a_raw_inner_product_gives_the_centred_order(seed):
    vectors = drawn((50, 16), seed) + 0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = vectors.mean(axis=0)
    query = history_query(vectors[:3], mean).astype(np.float64)
    centred = (vectors.astype(np.float64) - mean) @ query
    assert exact_search(vectors, query, 50)[0].tolist() == np.argsort(-centred).tolist()


def test_t7_cosine_inner_product_and_euclidean_give_one_order_on_unit_vectors():
    vectors = drawn((400, 16)).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for query in vectors[:20]:
        found, scores = exact_search(vectors, query, len(vectors))
        inner = vectors @ query
        cosine = inner / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
        distance = np.linalg.norm(vectors - query, axis=1)
        for order in (np.argsort(-inner), np.argsort(-cosine), np.argsort(distance)):
            assert found.tolist() == order.tolist()
        assert scores == pytest.approx(1 - distance[found] ** 2 / 2, abs=1e-6)


SCORES = st.lists(st.sampled_from([-1.0, -0.0, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=30)


@settings(deadline=None, max_examples=100)
@given(SCORES, st.integers(1, 40))
def test_top_rows_is_a_sort_by_score_then_row(scores, count):
    rows = np.arange(len(scores))[::-1] * 7
    found, best = top_rows(np.array(scores, dtype=np.float32), rows, count)
    expected = sorted(zip(scores, rows.tolist(), strict=True), key=lambda pair: (-pair[0], pair[1]))[:count]
    assert list(zip(best.tolist(), found.tolist(), strict=True)) == expected


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), st.integers(1, 60), st.floats(0, 1), st.integers(1, 80))
def test_exact_search_is_brute_force_over_what_is_not_blocked(seed, total, share, count):
    vectors, query = drawn((total, 8), seed), drawn(8, seed + 1)
    blocked = np.random.default_rng(seed).random(total) < share
    rows, scores = exact_search(vectors, query, count, blocked)
    allowed = [row for row in range(total) if not blocked[row]]
    expected = sorted(allowed, key=lambda row: -float(vectors[row].astype(np.float64) @ query))[:count]
    assert rows.tolist() == expected
    assert scores == pytest.approx(vectors[expected] @ query, abs=1e-6)
    if not blocked.any():
        assert exact_search(vectors, query, min(count, total))[0].tolist() == expected[:count]


def test_recall_counts_ties_with_the_last_and_nothing_worse():
    vectors = np.array([[1, 0], [0.6, 0.8], [0.6, -0.8], [0, 1]], dtype=np.float32)
    queries = np.array([[1, 0]], dtype=np.float32)
    exact_scores = np.array([[1.0, 0.6]], dtype=np.float32)
    for rows, recall in (([0, 1], 1.0), ([0, 2], 1.0), ([0, 3], 0.5), ([3], 0.0), ([], 0.0)):
        assert recall_at_k([np.array(rows, dtype=np.int64)], exact_scores, vectors, queries) == recall


def test_unit_vectors_and_what_has_no_direction():
    vectors = np.array([[3.0, 4.0], [0.0, 0.0], [1e-7, 0.0]], np.float32)
    assert unit(vectors).tolist() == [pytest.approx([0.6, 0.8]), [0.0, 0.0], [1.0, 0.0]]
    assert unit(vectors, least_norm=1e-6)[2].tolist() == [0.0, 0.0]
    assert unit(vectors[None]).dtype == np.float32


def test_the_best_rows_of_none():
    assert top_rows(np.array([1.0, 2.0]), np.arange(2), 0)[0].tolist() == []
