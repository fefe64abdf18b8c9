import numpy as np
import pytest

from core.scaling import Moments, Population, ScoreScaler


def test_scores_are_standardised_and_what_cannot_be_scored_counts_as_the_least():
    scores = np.array([0.3, -np.inf, 0.9, 0.1, 0.5], np.float32)
    known = scores[[0, 2, 3, 4]].astype(float)
    expected = (np.array([0.3, 0.1, 0.9, 0.1, 0.5]) - known.mean()) / known.std()
    assert ScoreScaler.of(scores).apply(scores) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("scores", [np.full(3, -np.inf), np.full(3, 0.7)])
def test_a_source_that_tells_nothing_apart_says_nothing(scores):
    assert not ScoreScaler.of(scores).apply(scores).any()


def test_moments_give_mean_and_spread_of_every_query():
    draw = np.random.default_rng(0)
    vectors, query = draw.normal(size=(500, 16)).astype(np.float32), draw.normal(size=16).astype(np.float32)
    products = vectors @ query
    scaler = Moments.of(vectors).scaler(query)
    assert (scaler.mean, scaler.spread) == pytest.approx((products.mean(), products.std()), abs=1e-4)
    assert scaler.least < products.min() + scaler.spread


def test_only_chosen_items_form_the_population():
    population = Population.of(np.array([True, False, True, False]))
    assert population.scaler(np.array([1.0, 100.0, 3.0, -50.0])) == ScoreScaler(2.0, 1.0, 1.0)
    vectors = np.array([[1.0], [100.0], [3.0], [7.0]], np.float32)
    scaler = population.moments(vectors, np.zeros(4, bool)).scaler(np.ones(1, np.float32))
    assert (scaler.mean, scaler.spread) == (2.0, 1.0)
    assert population.moments(vectors, np.ones(4, bool)) is population.moments(vectors, np.zeros(4, bool)), "once"


def test_where_nobody_chose_anything_every_item_counts():
    assert Population.of(np.zeros(3, bool)).rows.tolist() == [0, 1, 2]
