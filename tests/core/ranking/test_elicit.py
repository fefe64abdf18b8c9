import numpy as np
import pytest

from core.ranking.elicit import best_questions
from core.vectors import unit

RNG = np.random.default_rng(1)
CENTRES = unit(RNG.normal(size=(4, 16))).astype(np.float32)


def clustered(sizes):
    rows = [CENTRES[place] + 0.1 * RNG.normal(size=16) for place, size in enumerate(sizes) for _ in range(size)]
    return unit(np.asarray(rows, np.float32)), np.repeat(np.arange(len(sizes)), sizes)


def test_questions_go_where_most_is_settled_and_then_elsewhere():
    vectors, cluster = clustered([20, 12, 8, 5])
    found = best_questions(vectors, np.zeros(16, np.float32), np.ones(len(vectors)), vectors[:0], 4)
    assert [cluster[one.place] for one in found] == [0, 1, 2, 3]
    assert all(0 < one.gain <= 1 for one in found)


def test_what_was_answered_is_known():
    vectors, cluster = clustered([20, 12, 8, 5])
    answered = vectors[np.flatnonzero(cluster == 0)[:3]]
    found = best_questions(vectors, np.zeros(16, np.float32), np.ones(len(vectors)), answered, 1)
    assert cluster[found[0].place] == 1


def test_one_by_one_is_all_at_once():
    """T7: answers taken one by one leave what all of them at once leave."""
    vectors, _ = clustered([10, 8, 6, 4])
    mean, weights = vectors.mean(axis=0), RNG.random(len(vectors)) + 0.1
    at_once = best_questions(vectors, mean, weights, vectors[:0], 4)
    answered: list[int] = []
    for one in at_once:
        (found,) = best_questions(vectors, mean, weights, vectors[answered], 1)
        assert found.place == one.place
        assert found.gain == pytest.approx(one.gain, abs=1e-6)
        answered.append(one.place)


def test_popular_items_are_asked_about():
    vectors, _ = clustered([20])
    weights = np.ones(20)
    weights[7] = 50
    (found,) = best_questions(vectors, np.zeros(16, np.float32), weights, vectors[:0], 1)
    assert found.place == 7


def test_what_has_no_text_is_not_asked_about():
    vectors = np.zeros((3, 16), np.float32)
    assert best_questions(vectors, np.zeros(16, np.float32), np.ones(3), vectors[:0], 2) == []
