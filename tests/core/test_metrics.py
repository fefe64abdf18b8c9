import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.metrics import (
    UNREACHED,
    auc,
    binary_ndcg,
    brier,
    coverage,
    id_places,
    intra_list_diversity,
    novelty,
    rank_targets,
    reliability,
    threshold_curve,
    top_rows_by_case,
)


def _ranked(scores, targets, ids=None, allowed=None):
    scores = np.array(scores, np.float32)
    allowed = np.ones(scores.shape, bool) if allowed is None else np.array(allowed)
    places = id_places(ids or [f"{row:04}" for row in range(scores.shape[1])])
    return rank_targets(scores, allowed, [np.array(rows) for rows in targets], places)


def test_figures_of_a_case_computed_by_hand():
    # By score: rows 4, 2, 0, 1, 3; targets 2 (rank 2) and 3 (rank 5).
    ranking = _ranked([[0.5, 0.4, 0.8, 0.1, 0.9]], [[2, 3]])
    assert ranking.rank.tolist() == [2, 5]
    assert ranking.recall(1).tolist() == [0]
    assert ranking.recall(2).tolist() == [0.5]
    assert ranking.recall(5).tolist() == [1]
    assert ranking.precision(2).tolist() == [0.5]
    assert ranking.precision(5).tolist() == [0.4]
    assert ranking.f1(5)[0] == pytest.approx(2 * 0.4 * 1 / 1.4)
    assert ranking.hit_rate(1).tolist() == [0] and ranking.hit_rate(2).tolist() == [1]
    assert ranking.reciprocal_rank().tolist() == [0.5]
    ideal = 1 + 1 / math.log2(3)
    assert ranking.ndcg(5)[0] == pytest.approx((1 / math.log2(3) + 1 / math.log2(6)) / ideal)
    assert ranking.ndcg(1).tolist() == [0]
    # Of 2 x 3 pairs (target, other) the target is above in 2: row 2 above rows 0 and 1.
    assert ranking.auc[0] == pytest.approx(2 / 6)


def test_recall_is_whole_where_the_list_is_full_of_targets():
    ranking = _ranked([[5, 4, 3, 2, 1]], [[0, 1, 2]])
    assert ranking.recall(2).tolist() == [1] and ranking.ndcg(2).tolist() == [pytest.approx(1)]


def test_ties_go_to_the_lower_id_as_a_string_not_to_the_lower_row():
    ids = ["9", "10", "2"]
    assert _ranked([[1, 1, 1]], [[0]], ids).rank.tolist() == [3]
    assert _ranked([[1, 1, 1]], [[1]], ids).rank.tolist() == [1]
    assert top_rows_by_case(np.ones((1, 3)), np.ones((1, 3), bool), id_places(ids), 2).tolist() == [[1, 2]]


def test_what_cannot_be_said_is_not_reached_and_what_is_not_allowed_does_not_count():
    ranking = _ranked([[-np.inf, 2, 3, 1]], [[0, 3]], allowed=[[True, True, False, True]])
    assert ranking.rank.tolist() == [UNREACHED, 2]
    assert ranking.recall(10).tolist() == [0.5] and ranking.reciprocal_rank().tolist() == [0.5]
    assert _ranked([[3, 2]], [[0]], allowed=[[False, True]]).recall(2).tolist() == [0]
    top = top_rows_by_case(np.array([[-np.inf, 2, 3, 1]]), np.array([[True, True, False, True]]), np.arange(4), 3)
    assert top.tolist() == [[1, 3, -1]]


@given(
    arrays(
        np.float32, st.tuples(st.integers(1, 4), st.integers(2, 12)), elements=st.sampled_from([-1, 0, 0.5, 2, -np.inf])
    ),
    st.randoms(use_true_random=False),
)
def test_ranks_and_lists_are_those_of_a_plain_sort(scores, random):
    cases, items = scores.shape
    ids = random.sample([str(number) for number in range(3 * items)], items)
    allowed = np.array([[random.random() < 0.8 for _ in range(items)] for _ in range(cases)])
    targets = [np.array(random.sample(range(items), random.randint(1, items))) for _ in range(cases)]
    places = id_places(ids)
    ranking = rank_targets(scores, allowed, targets, places)
    top = top_rows_by_case(scores, allowed, places, 3)
    seen = iter(ranking.rank)
    for case in range(cases):
        sayable = [row for row in range(items) if allowed[case, row] and scores[case, row] > -np.inf]
        order = sorted(sayable, key=lambda row: (-scores[case, row], ids[row]))
        ranks = [order.index(row) + 1 if row in order else UNREACHED for row in targets[case]]
        assert [next(seen) for _ in ranks] == ranks
        assert [row for row in top[case] if row >= 0] == order[:3]
        for k in (1, 3):
            hits = [rank for rank in ranks if rank <= k]
            ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(ranks))))
            assert ranking.ndcg(k)[case] == pytest.approx(sum(1 / math.log2(1 + rank) for rank in hits) / ideal)
            assert ranking.recall(k)[case] == pytest.approx(len(hits) / min(k, len(ranks)))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=2, max_size=30))
def test_auc_is_that_of_scikit_learn(pairs):
    roc_auc_score = pytest.importorskip("sklearn.metrics").roc_auc_score
    scores, happened = np.array([score for score, _ in pairs]), np.array([flag for _, flag in pairs])
    if happened.all() or not happened.any():
        assert math.isnan(auc(scores, happened))
        return
    wanted = roc_auc_score(happened, scores)
    assert auc(scores, happened) == pytest.approx(wanted)
    assert _ranked([scores], [np.flatnonzero(happened)]).auc[0] == pytest.approx(wanted)


def test_lists_are_measured_for_coverage_diversity_and_novelty():
    top = np.array([[0, 1], [0, 2], [3, -1]])
    assert coverage(top, np.array([True] * 4 + [False])) == 1
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8], [1, 0]], np.float32)
    assert intra_list_diversity(top, vectors)[:2].tolist() == [pytest.approx(1), pytest.approx(0.4)]
    assert math.isnan(intra_list_diversity(top, vectors)[2])
    # (3 + 1) / (4 + 4) = 1/2, (0 + 1) / 8 = 1/8, (1 + 1) / 8 = 1/4
    assert novelty(top, np.array([3, 0, 1, 0])).tolist() == [pytest.approx(2), pytest.approx(1.5), pytest.approx(3)]


def test_probabilities_are_held_against_what_happened():
    told, happened = np.array([0.1, 0.3, 0.35, 1.0]), np.array([False, False, True, True])
    assert brier(told, happened) == pytest.approx((0.01 + 0.09 + 0.4225) / 4)
    curve = reliability(told, happened, 5)
    assert curve.count.tolist() == [1, 2, 0, 0, 1]
    assert curve.predicted[1] == pytest.approx(0.325) and curve.observed[1] == 0.5
    assert [curve.predicted[0], curve.observed[0], curve.predicted[4], curve.observed[4]] == pytest.approx(
        [0.1, 0, 1, 1]
    )


def test_a_threshold_keeps_what_lies_at_or_above_it():
    scores, is_target = np.array([0.1, 0.4, 0.4, 0.9]), np.array([True, False, True, True])
    edges = np.array([0.0, 0.4, 0.8, 1.0])
    curve = threshold_curve(np.histogram(scores[is_target], edges)[0], np.histogram(scores, edges)[0], edges, 4)
    assert curve.recall.tolist() == [0.75, 0.5, 0.25]
    assert curve.precision.tolist() == [0.75, pytest.approx(2 / 3), 1]


def test_ndcg_of_lists_equals_that_of_ranks():
    hits = np.array([[True, False, True], [False, False, False], [False, True, False]])
    counts = np.array([4, 1, 1])
    best = 1 + 1 / math.log2(3) + 1 / math.log2(4) + 1 / math.log2(5)
    expected = [(1 + 1 / math.log2(4)) / best, 0, 1 / math.log2(3)]
    assert binary_ndcg(hits, counts, 5) == pytest.approx(expected)
    assert binary_ndcg(hits[:, :2], counts, 2)[0] == pytest.approx(1 / (1 + 1 / math.log2(3)))
