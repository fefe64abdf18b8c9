from dataclasses import replace

import numpy as np
import pytest

from core.events import EventSequence
from core.ranking.features import FEATURE_NAMES, FeatureScaler, UserSignals, rank_features, recency_weights
from core.ranking.fusion import RecalledList
from core.ranking.item_facts import ItemFacts
from domain.item import Item

ITEMS = (
    Item("a", "A", "", attributes={"genres": ("x", "y"), "brand": "B", "price": 1.0, "year": 1990}),
    Item("b", "B", "", attributes={"genres": ("x",), "brand": "B", "price": 10.0, "year": 2000}),
    Item("c", "C", "", attributes={"genres": ("y", "z"), "brand": "C", "year": 2010}),
    Item("d", "D", "", attributes={"genres": ("z",)}),
)


@pytest.fixture
def facts():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(4, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return replace(
        ItemFacts.of_items(ITEMS),
        vectors=vectors,
        mean=vectors.mean(axis=0),
        tower_vectors=vectors[:, :3],
        neighbour_rows=np.array([[1, 2], [0, 3], [0, -1], [-1, -1]], np.int32),
        neighbour_weights=np.array([[0.5, 0.2], [0.4, -0.1], [0.3, 0], [0, 0]], np.float32),
        log_popularity=np.log(np.array([0.4, 0.3, 0.2, 0.1], np.float32)),
        aspects=np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.float32),
    )


def asked(*rows):
    count = len(rows)
    return EventSequence(np.array(rows, np.int64), np.zeros(count, np.int64), np.arange(count, 0, -1) * 86400.0)


def column(features, name):
    return features[:, FEATURE_NAMES.index(name)]


def test_attributes_become_facts_by_rules():
    facts = ItemFacts.of_items(ITEMS)
    assert facts.brands.tolist() == [0, 0, 1, -1]
    assert np.allclose(facts.log_price[:2], np.log([1, 10]))
    assert np.isnan(facts.log_price[2:]).all()
    assert facts.numbers.shape == (4, 1)
    assert np.allclose(facts.category_weights, np.log(2))
    assert [set(row[row >= 0]) for row in facts.categories] == [{0, 1}, {0}, {1, 2}, {2}]


def test_by_hand(facts):
    history, user = asked(0, 1), UserSignals(np.array([1, 0, 0], np.float32))
    candidates = np.array([3, 2])
    lists = (
        RecalledList("user_tower", np.array([2, 0]), np.zeros(2)),
        RecalledList("lexical", np.array([3]), np.zeros(1)),
    )
    features = rank_features(history, candidates, facts, lists, user)
    assert features.shape == (2, len(FEATURE_NAMES))
    assert features.dtype == np.float32
    older, newer = recency_weights(2)
    centred = facts.vectors - facts.mean
    query = centred[:2].mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    expected = {
        "semantic": facts.vectors[candidates] @ (query / np.linalg.norm(query)),
        "semantic_max": (unit[candidates] @ unit[:2].T).max(axis=1),
        "semantic_last": unit[candidates] @ unit[1],
        "tower": facts.tower_vectors[candidates, 0],
        "collaborative": [-0.1, 0.2],
        "collaborative_recent": [-0.1 * newer, 0.2 * older],
        "collaborative_max": [0, 0.2],
        "log_popularity": facts.log_popularity[candidates],
        # The history holds x twice and y once; the candidates hold z, and y with z.
        "category_affinity": [0, 1 / (np.sqrt(5) * np.sqrt(2))],
        "brand_affinity": [0, 0],
        "price_distance": [0, 0],
        "number_offset": [0, facts.numbers[2, 0] - facts.numbers[:2, 0].mean()],
        "aspect_affinity": facts.aspects[candidates] @ [0.5, 0.5],
        "history_length": [np.log(3)] * 2,
        "last_event_age": [np.log(2)] * 2,
        "collaborative_standardised": [-1, 1],
        "reciprocal_rank_user_tower": [0, 1],
        "reciprocal_rank_collaborative": [0, 0],
    }
    for name, values in expected.items():
        assert column(features, name) == pytest.approx(values, abs=1e-6), name


def test_brand_and_price_of_what_was_bought(facts):
    features = rank_features(asked(0), np.array([1, 2]), facts)
    assert column(features, "brand_affinity").tolist() == [1, 0]
    assert column(features, "price_distance") == pytest.approx([np.log(10), 0])


@pytest.mark.parametrize("rows", [(), (-1,)])
def test_nothing_known_is_neutral(facts, rows):
    features = rank_features(asked(*rows), np.array([0, 3]), facts)
    assert np.isfinite(features).all()
    told = {"log_popularity", "log_popularity_standardised"}
    assert not any(column(features, name).any() for name in FEATURE_NAMES if name not in told)
    assert rank_features(asked(*rows), np.array([], np.int64), facts).shape == (0, len(FEATURE_NAMES))


def test_facts_that_nobody_knows_are_neutral():
    features = rank_features(asked(0, 1), np.array([2, 3]), ItemFacts(count=4))
    varying = [name for name in FEATURE_NAMES if column(features, name).any()]
    assert varying == ["history_length", "last_event_age"]


def test_scaler():
    features = np.array([[0.0, 5.0], [2.0, 5.0]], np.float32)
    scaler = FeatureScaler.fitted(features)
    assert scaler.apply(features).tolist() == [[-1, 0], [1, 0]]
    assert scaler.apply(np.array([[1e9, 7]])).tolist() == [[8, pytest.approx(0, abs=1e-6)]]


def test_what_the_users_own_comments_say_counts_before_what_their_items_are_praised_for(facts):
    facts = replace(facts, aspects=np.array([[0.8, -0.8], [0, 0.5], [0.5, 0], [0, 0]], np.float32))

    def affinity(aspects):
        return column(
            rank_features(asked(0), np.array([1, 2]), facts, user=UserSignals(aspects=aspects)), "aspect_affinity"
        )

    silent = affinity(None)
    assert silent[1] > silent[0] == 0  # the history's item is blamed for the second aspect: no reason to look for it
    assert affinity(np.array([0, -0.6], np.float32))[0] > 0  # but a complaint is
    np.testing.assert_array_equal(affinity(np.zeros(2, np.float32)), silent)
