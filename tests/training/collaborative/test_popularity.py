import numpy as np

from tests.support.histories import history
from training.collaborative.popularity import PopularitySettings, fit_popularity


def test_smoothed_shares_of_users():
    model = fit_popularity((history(0, 1), history(1, 1)), 3, PopularitySettings(smoothing=0.5))
    assert np.allclose(np.exp(model.log_prior), np.array([1.5, 2.5, 0.5]) / 4.5)
    assert np.array_equal(model.scores([history(), history(0)]), np.stack([model.log_prior] * 2))


def test_an_event_of_one_half_life_counts_half():
    settings = PopularitySettings(smoothing=1.0, half_life_s=10)
    model = fit_popularity((history(0, 0, 1, age_s=(30, 10, 0)),), 2, settings)
    assert np.allclose(np.exp(model.log_prior), np.array([1.5, 2.0]) / 3.5)


def test_without_histories_all_are_alike():
    assert np.allclose(np.exp(fit_popularity((), 4).log_prior), 0.25)
