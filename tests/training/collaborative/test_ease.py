from dataclasses import replace

import numpy as np
import pytest

from tests.support.histories import history, part, random_histories
from training.collaborative.ease import EaseSettings, choose_ease, ease_weights, fit_ease, inverse_gram
from training.collaborative.neighbours import NeighbourScorer
from training.splits.selection import Selection
from training.splits.split import interaction_matrix, met_matrix
from training.splits.validation import validation_ndcg


def weights_of_each_column(matrix, regularisation):
    """EASE is one ridge regression for each item on all the others."""
    weights = np.zeros((matrix.shape[1],) * 2)
    for item in range(matrix.shape[1]):
        others = np.delete(np.arange(matrix.shape[1]), item)
        x = matrix[:, others]
        weights[others, item] = np.linalg.solve(x.T @ x + regularisation * np.eye(len(others)), x.T @ matrix[:, item])
    return weights


@pytest.mark.parametrize(("users", "items"), [(30, 8), (6, 14)])
def test_weights_are_ridge_regressions_on_the_other_items(users, items):
    matrix = interaction_matrix(random_histories(users, items, 3), items)
    assert np.allclose(ease_weights(matrix, 2.0), weights_of_each_column(matrix.toarray(), 2.0), atol=1e-5)
    exact = np.linalg.inv((matrix.T @ matrix).toarray() + 2 * np.eye(items))
    assert np.allclose(inverse_gram(matrix, 2.0), exact, atol=1e-5)


def test_scores_sum_the_rows_of_the_history():
    model = fit_ease(random_histories(30, 8, 4), 9, EaseSettings(regularisation=5.0))
    scores = model.scores([history(0, 2), history(8), history()])
    assert np.allclose(scores[0, :8], model.weights[0] + model.weights[2])
    assert np.isneginf(scores[:, 8]).all()
    assert not scores[1:, :8].any()


def test_table_keeps_the_strongest_weights():
    model = fit_ease(random_histories(30, 8, 4), 9, EaseSettings(regularisation=5.0))
    full = model.table(100)
    asked = [history(0, 2), history(5)]
    assert np.allclose(NeighbourScorer(full).scores(asked)[:, :8], model.scores(asked)[:, :8], atol=1e-6)
    two = model.table(2)
    strongest = np.sort(np.abs(model.weights[3]))[::-1][:2]
    assert np.allclose(np.abs(two.weights[3]), strongest)
    assert (full.rows[8] == -1).all()


def test_a_catalogue_above_the_cap_keeps_its_popular_items():
    histories = (history(0, 3), history(0, 3), history(1, 3))
    model = fit_ease(histories, 4, EaseSettings(item_cap=2))
    assert model.rows.tolist() == [0, 3]


def test_lambda_is_chosen_on_validation():
    histories = random_histories(60, 12, 5)
    validation = part(12, ((0, 3), (6, 1)), ((1, 4), (7, 2)), ((2, 5), (8, 10)))
    tried = (0.01, 1.0, 30.0)
    metrics = [validation_ndcg(fit_ease(histories, 12, EaseSettings(one)), validation) for one in tried]
    chosen = choose_ease(histories, 12, Selection(validation), EaseSettings(tried=tried))
    assert chosen.regularisation == tried[int(np.argmax(metrics))]
    assert len(set(metrics)) > 1


def test_one_user_one_item_and_nothing():
    assert fit_ease((history(0),), 1).scores([history(0)]).tolist() == [[0]]
    with pytest.raises(ValueError, match="at least one interaction"):
        fit_ease((history(),), 3)
    with pytest.raises(ValueError, match="above 0"):
        fit_ease((history(0),), 1, EaseSettings(regularisation=0))


def test_what_was_met_counts_by_its_weight():
    met = replace(history(0, 1), impressions=np.array([1, 2]))
    matrix = met_matrix((met, history(2)), 3, 0.5)
    assert matrix.toarray().tolist() == [[1, 1, 0.5], [0, 0, 1]]
    assert met_matrix((met,), 3, 0).toarray().tolist() == [[1, 1, 0]]
    histories = (met, history(2), history(0, 1))
    assert fit_ease(histories, 3, EaseSettings(1.0, 0.5)).scores([history(0)])[0, 2] > 0
    assert fit_ease(histories, 3, EaseSettings(1.0)).scores([history(0)])[0, 2] <= 0


def test_content_links_items_that_nobody_chose_together():
    histories = (history(0), history(1), history(2))
    side = np.array([[1, 0], [0.9, 0.1], [-1, 0]], np.float32)
    scores = fit_ease(histories, 3, EaseSettings(1.0), side, 5.0).scores([history(0)])[0]
    assert scores[1] > 0 > scores[2]
