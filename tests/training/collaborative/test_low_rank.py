from dataclasses import replace

import numpy as np
import pytest

from core.ranking.item_facts import ItemFacts
from tests.support.histories import history, part, random_histories
from training.collaborative.als import AlsSettings, fit_als
from training.collaborative.ease import EaseSettings, fit_ease
from training.collaborative.low_rank import add_low_rank, low_rank_weights
from training.collaborative.neighbours import NeighbourScorer
from training.ranking.collaborative_table import TableFitter
from training.ranking.recall_settings import RecallSettings
from training.ranking.sources import RecallRecipe, choose_recall
from training.splits.validation import validation_ndcg

SETTINGS = AlsSettings(factors=3, regularisation=0.5, alpha=4.0)


def test_where_all_users_are_alike_they_are_those_of_als():
    """Then the average user is everybody, and nothing is lost by making users linear in their histories."""
    histories = [history(0, 2, 3)] * 5
    rows = np.arange(4)
    low = low_rank_weights(histories, rows, 5, SETTINGS)
    found = SETTINGS.alpha * (low.left @ low.right.T)[[0, 2, 3]].sum(axis=0)
    expected = fit_als(histories, 5, SETTINGS).scores(histories[:1])[0, :4]
    assert found[[0, 2, 3]] == pytest.approx(expected[[0, 2, 3]].tolist(), abs=1e-4)


def test_the_weight_is_in_spreads_of_scores():
    histories = random_histories(60, 9, 1)
    plain, mixed, twice = (fit_ease(histories, 9, EaseSettings(5.0)) for _ in range(3))
    add_low_rank(mixed, histories, low_rank_weights(histories, mixed.rows, mixed.item_count, SETTINGS), 0.5)
    add_low_rank(twice, histories, low_rank_weights(histories, twice.rows, twice.item_count, SETTINGS), 1.0)
    added = mixed.weights - plain.weights
    assert np.allclose(twice.weights - plain.weights, 2 * added, atol=1e-6)
    assert not np.diag(mixed.weights).any()
    low = low_rank_weights(histories, mixed.rows, 9, SETTINGS)
    whole = low.left @ low.right.T
    others = ~np.eye(9, dtype=bool)
    assert np.corrcoef(added[others], whole[others])[0, 1] == pytest.approx(1, abs=1e-4)


def test_validation_says_whether_they_count():
    histories, facts = random_histories(60, 12, 5), ItemFacts(count=12)
    validation = part(12, ((0, 3), (6, 9)), ((1, 4), (7, 10)), ((2, 5), (8, 11)))
    settings = RecallSettings(ease=EaseSettings(5.0, tried=(5.0,)), als=SETTINGS, low_rank_tried=(0.0, 1e6))
    without, alone = (TableFitter(histories, facts).table(replace(settings, low_rank=one)) for one in (0.0, 1e6))
    chosen = choose_recall(histories, validation, RecallRecipe(facts, settings))
    assert chosen.low_rank in (0.0, 1e6)
    kept = TableFitter(histories, facts).table(chosen)

    def ndcg(table):
        return validation_ndcg(NeighbourScorer(table), validation)

    other = alone if chosen.low_rank == 0 else without
    assert ndcg(kept) >= 0.99 * ndcg(other)
    assert not np.allclose(without.weights, alone.weights)
