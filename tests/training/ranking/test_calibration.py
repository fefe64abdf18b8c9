import numpy as np
import pytest

from core.metrics import reliability
from training.ranking.calibration import Calibration, fit_calibration


def test_the_true_slope_and_intercept_are_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=20_000)
    true = Calibration(2.0, -1.0)
    chosen = rng.random(20_000) < true.probabilities(logits)
    found = fit_calibration(logits, chosen)
    assert (found.slope, found.intercept) == (pytest.approx(2, abs=0.1), pytest.approx(-1, abs=0.1))
    bins = reliability(found.probabilities(logits), chosen)
    assert np.abs(bins.predicted - bins.observed)[bins.count > 500].max() < 0.05


@pytest.mark.parametrize("chosen", [[True, True], [False, False]])
def test_one_sided_outcomes_stay_finite(chosen):
    found = fit_calibration(np.array([0.0, 0.0]), np.array(chosen))
    assert np.isfinite([found.slope, found.intercept]).all()
