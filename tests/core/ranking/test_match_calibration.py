"""Correction of match probabilities by outcomes."""

import numpy as np
import pytest

from core.ranking.match_calibration import MatchCalibration

TRAINED = MatchCalibration(1.4, -2.0, (-4.0, -1.0, 1.0), (-3.5, -1.2, 0.4))


def outcomes(slope, intercept, count=60_000):
    draw = np.random.default_rng(1)
    logits = draw.normal(size=count)
    p = TRAINED.probabilities(logits)
    truth = 1 / (1 + np.exp(-(slope * np.log(p / (1 - p)) + intercept)))
    return logits, draw.random(count) < truth, truth


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -1.5), (1.6, 0.8)])
def test_probabilities_become_those_of_the_outcomes(slope, intercept):
    logits, chosen, truth = outcomes(slope, intercept)
    corrected = TRAINED.corrected(logits, chosen)
    assert np.abs(corrected.probabilities(logits) - truth).max() < 0.02
    assert corrected.probabilities(logits).mean() == pytest.approx(chosen.mean(), rel=0.01)
    order = np.argsort(logits)
    assert (np.diff(corrected.probabilities(logits)[order]) >= 0).all()
    assert MatchCalibration.from_json(corrected.to_json()) == corrected


def test_outcomes_against_the_order_never_turn_it():
    logits, chosen, _ = outcomes(-1.0, 0.0, 5_000)
    assert (np.diff(TRAINED.corrected(logits, chosen).probabilities(np.sort(logits))) >= 0).all()
