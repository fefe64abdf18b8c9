"""Ridge of each item on its nearest neighbours, beside EASE, whose answer it is where every item is a neighbour."""

import numpy as np
import pytest

from core.ranking.item_facts import ItemFacts
from tests.support.histories import part, random_histories
from training.collaborative.als import AlsSettings
from training.collaborative.ease import EaseSettings, fit_ease
from training.collaborative.local_ridge import CooccurrenceGraph, LocalRidgeSettings
from training.collaborative.neighbours import NeighbourScorer
from training.ranking.collaborative_table import TableFitter
from training.ranking.recall_settings import RecallSettings
from training.ranking.sources import RecallRecipe, choose_recall
from training.splits.validation import validation_ndcg

HISTORIES = random_histories(400, 24, 5, taste_count=2)


def dense(table):
    weights = np.zeros((len(table), len(table)), np.float32)
    for row, (near, kept) in enumerate(zip(table.rows, table.weights, strict=True)):
        weights[row, near[near >= 0]] = kept[near >= 0]
    return weights


def test_with_every_item_as_a_neighbour_it_is_ease():
    graph = CooccurrenceGraph(HISTORIES, 24, LocalRidgeSettings(support=23))
    assert (graph.near >= 0).all(), "some pair was never chosen together: no such test"
    side = np.random.default_rng(0).normal(size=(24, 5)).astype(np.float32)
    for weight in (0.0, 20.0):
        ease = fit_ease(HISTORIES, 24, EaseSettings(30.0), side, weight).table(23)
        assert np.allclose(dense(graph.table(30.0, 23, side, weight)), dense(ease), atol=2e-4)


def test_a_few_neighbours_come_near_to_ease_and_the_strongest_stay():
    asked = part(24, *((tuple(one.rows[:-1].tolist()), (int(one.rows[-1]),)) for one in random_histories(60, 24, 6)))
    graph = CooccurrenceGraph(HISTORIES, 24, LocalRidgeSettings(support=10, linked=14))
    table = graph.table(30.0, 5)
    assert table.rows.shape[1] <= 5
    assert (np.diff(np.abs(table.weights), axis=1) <= 1e-6).all()
    whole = validation_ndcg(NeighbourScorer(fit_ease(HISTORIES, 24, EaseSettings(30.0)).table(23)), asked)
    assert validation_ndcg(NeighbourScorer(graph.table(30.0, 23)), asked) > 0.95 * whole


def test_it_takes_the_place_of_ease_above_the_cap_and_is_computed_once():
    fitter = TableFitter(HISTORIES, ItemFacts(count=24))
    large, small = (RecallSettings(ease=EaseSettings(30.0, item_cap=cap)) for cap in (20, 24))
    assert fitter.is_local(large) and not fitter.is_local(small)
    expected = CooccurrenceGraph(HISTORIES, 24, large.local).table(30.0, large.neighbour_count)
    assert np.array_equal(fitter.table(large).weights, expected.weights)
    assert np.array_equal(fitter.table(large).rows, expected.rows)


@pytest.mark.parametrize("cap", [20, 24])
def test_the_solver_that_validation_chose_is_that_of_the_folds_too(cap):
    ease = EaseSettings(30.0, tried=(30.0,), item_cap=cap)
    settings = RecallSettings(ease=ease, low_rank_tried=(0.0,), als=AlsSettings(factors=2))
    facts, asked = ItemFacts(count=24), part(24, ((0, 2), (4,)), ((1, 3), (5,)))
    chosen = choose_recall(HISTORIES, asked, RecallRecipe(facts, settings))
    whole, fold = TableFitter(HISTORIES, facts), TableFitter(HISTORIES[:1], facts)
    assert chosen.solver != "auto"
    assert whole.is_local(chosen) == fold.is_local(chosen)


def test_a_regularisation_of_nothing_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        CooccurrenceGraph(HISTORIES, 24).table(0.0, 5)
