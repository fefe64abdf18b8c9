import numpy as np
import pytest

from core.ranking.blend import ProxyBlend
from core.retrieval.item_neighbours import NeighbourTable, PopularItems
from core.retrieval.proxy_history import Knowledge, ProxyHistory, proxy_scores

QUERY = np.array([1.0, 0.0], np.float32)
# Item 3 has no neighbours and the vector of item 4 says nothing.
TABLE = NeighbourTable(
    np.array([[1, 2], [2, 3], [0, -1], [-1, -1], [0, -1]], np.int32),
    np.array([[1.0, 0.5], [2.0, 1.0], [4.0, 0.0], [0.0, 0.0], [1.0, 0.0]], np.float32),
)
VECTORS = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.0], [0.8, 0.6]], np.float32)
KNOWLEDGE = Knowledge(
    VECTORS,
    np.array([False, False, False, False, True]),
    TABLE,
    PopularItems(np.log(np.array([0.1, 0.4, 0.3, 0.1, 0.1], np.float32))),
)
ALL = np.arange(5)


def told(nearest=2, temperature=0.4):
    return ProxyHistory.of(QUERY, (np.array([0, 1, 2]), VECTORS[:3] @ QUERY), ProxyBlend({}, nearest, temperature))


def test_stand_ins_share_by_a_softmax_of_their_cosines():
    found = told()
    odds = np.exp(0.4 / 0.4)  # cosines 1 and .6
    assert found.rows.tolist() == [0, 1]
    assert found.shares.tolist() == pytest.approx([odds / (odds + 1), 1 / (odds + 1)])
    assert told(nearest=3, temperature=1e6).shares.tolist() == pytest.approx([1 / 3] * 3, abs=1e-5)
    nobody = ProxyHistory.of(QUERY, (ALL[:0], QUERY[:0]), ProxyBlend({}, 2, 0.4))
    assert (len(nobody.rows), len(nobody.shares)) == (0, 0)


def test_only_items_with_neighbours_and_a_vector_stand_in():
    assert KNOWLEDGE.unusable_as_proxy().tolist() == [False, False, False, True, True]
    assert Knowledge(VECTORS, KNOWLEDGE.silent, None, None).unusable_as_proxy().all()


def test_neighbours_count_by_the_shares_of_the_stand_ins():
    found, shares = told(), told().shares
    sums = {1: shares[0] * 1.0, 2: shares[0] * 0.5 + shares[1] * 2.0, 3: shares[1] * 1.0}
    scores = proxy_scores(found, KNOWLEDGE, {"collaborative": 1.0}, ALL)
    mean, spread = np.mean(list(sums.values())), np.std(list(sums.values()))
    expected = {row: (value - mean) / spread for row, value in sums.items()}
    least = min(expected.values())
    assert scores.tolist() == pytest.approx([expected.get(row, least) for row in ALL], abs=1e-5)


def test_sources_add_up_and_candidates_are_judged_alone():
    weights = {"semantic_history": 1.0, "collaborative": 0.5, "popular": -0.2}
    parts = [proxy_scores(told(), KNOWLEDGE, {name: 1.0}, ALL) for name in weights]
    expected = sum(weight * part for weight, part in zip(weights.values(), parts, strict=True))
    assert proxy_scores(told(), KNOWLEDGE, weights, ALL).tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    few = np.array([3, 1])
    assert proxy_scores(told(), KNOWLEDGE, weights, few).tolist() == pytest.approx(expected[few].tolist(), abs=1e-6)


def test_a_source_that_is_not_there_leaves_the_others():
    without = Knowledge(VECTORS, KNOWLEDGE.silent, None, None)
    both = {"semantic_history": 1.0, "collaborative": 1.0, "popular": 1.0}
    likeness = proxy_scores(told(), KNOWLEDGE, {"semantic_history": 1.0}, ALL)
    assert np.array_equal(proxy_scores(told(), without, both, ALL), likeness)
    assert likeness[4] == likeness.min(), "an item whose vector says nothing counts as the least alike"
    assert proxy_scores(told(), without, {"collaborative": 1.0}, ALL) is None
