import numpy as np

from tests.support.histories import history, part, random_histories
from training.collaborative.als import AlsSettings, choose_als, fit_als
from training.splits.selection import Selection


def test_a_user_is_the_weighted_least_squares_of_the_item_factors():
    settings = AlsSettings(factors=3, regularisation=0.5, alpha=4.0)
    model = fit_als(random_histories(30, 9, 1), 9, settings)
    factors = model.item_factors.astype(np.float64)
    chosen = np.zeros(9)
    chosen[[0, 3]] = 1
    confidence = np.where(chosen > 0, 4.0, 1.0)
    normal = factors.T @ (confidence[:, None] * factors) + 0.5 * np.eye(3)
    wanted = np.linalg.solve(normal, factors.T @ (confidence * chosen))
    assert np.allclose(model.users([history(0, 3)])[0], wanted, atol=1e-4)
    assert np.allclose(model.scores([history(3, 0)])[0], factors @ wanted, atol=1e-4)


def test_the_same_seed_gives_the_same_factors():
    histories = random_histories(20, 6, 2)
    first, second = (fit_als(histories, 6, AlsSettings(factors=4)) for _ in range(2))
    assert np.array_equal(first.item_factors, second.item_factors)


def test_an_item_never_seen_cannot_be_scored():
    scores = fit_als(random_histories(20, 6, 2), 7, AlsSettings(factors=4)).scores([history(0), history(6), history()])
    assert np.isneginf(scores[:, 6]).all()
    assert np.isfinite(scores[:, :6]).all()


def test_one_user_and_one_item():
    assert np.isfinite(fit_als((history(0),), 1, AlsSettings(factors=2)).scores([history()])).all()


def test_settings_are_chosen_on_validation():
    histories = random_histories(60, 12, 5)
    validation = part(12, ((0, 3), (6, 9)), ((1, 4), (7, 10)), ((2, 5), (8, 11)))
    chosen = choose_als(histories, 12, Selection(validation), AlsSettings(tried=((1, 1e6, 1.0), (4, 1.0, 5.0))))
    assert chosen.factors == 4
