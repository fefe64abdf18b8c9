import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.retrieval.int8_vectors import Int8Vectors
from core.vectors import exact_search


def unit_vectors(count, dimension=48, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_no_component_is_off_by_more_than_half_a_step(seed, count):
    vectors = unit_vectors(count, seed=seed)
    table = Int8Vectors.quantise(vectors)
    assert (np.abs(table.vectors() - vectors) <= 0.5001 * table.scales[:, None]).all()


def test_a_quarter_of_the_memory_and_nearly_every_neighbour():
    vectors, queries = unit_vectors(6_000, 384), unit_vectors(50, 384, seed=1)
    table = Int8Vectors.quantise(vectors)
    assert table.byte_count < 0.26 * vectors.nbytes
    shared = 0
    for query in queries:
        rows, scores = table.search(query, 10)
        shared += len(np.intersect1d(rows, exact_search(vectors, query, 10)[0]))
        assert np.abs(scores - vectors[rows] @ query).max() < 5e-3
    assert shared / 500 > 0.95


def test_search_is_exact_search_over_the_rounded_vectors():
    table = Int8Vectors.quantise(unit_vectors(300))
    blocked = np.arange(300) % 3 == 0
    for query in unit_vectors(5, seed=2):
        rows, scores = table.search(query, 20, blocked)
        expected, expected_scores = exact_search(table.vectors(), query, 20, blocked)
        assert rows.tolist() == expected.tolist()
        assert np.allclose(scores, expected_scores, atol=1e-6)
    assert len(table.search(query, 1_000, blocked)[0]) == 200


def test_a_row_does_not_depend_on_the_others():
    vectors = unit_vectors(20)
    assert np.array_equal(Int8Vectors.quantise(vectors[7:8]).codes[0], Int8Vectors.quantise(vectors).codes[7])


def test_zero_vectors_stay_zero_and_other_input_is_refused(tmp_path):
    vectors = np.zeros((2, 4), np.float32)
    assert not Int8Vectors.quantise(vectors).vectors().any()
    assert len(Int8Vectors.quantise(vectors[:0])) == 0
    vectors[1, 2] = np.nan
    with pytest.raises(ValueError, match="finite"):
        Int8Vectors.quantise(vectors)


def test_what_is_saved_is_read_again(tmp_path):
    table = Int8Vectors.quantise(unit_vectors(20))
    table.save(tmp_path / "vectors_int8.npz")
    loaded = Int8Vectors.load(tmp_path / "vectors_int8.npz")
    assert np.array_equal(loaded.codes, table.codes)
    assert np.array_equal(loaded.scales, table.scales)
    np.savez(tmp_path / "other.npz", codes=np.ones((2, 3)), scales=np.ones(2, np.float32))
    with pytest.raises(ValueError, match=r"other\.npz"):
        Int8Vectors.load(tmp_path / "other.npz")
