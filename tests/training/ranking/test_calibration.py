import numpy as np
import pytest

from core.metrics import reliability
from core.ranking.match_calibration import MatchCalibration
from tests.support.histories import part
from training.ranking.calibration import fit_calibration
from training.ranking.candidates import Described
from training.ranking.ranker import RankModel
from training.ranking.recalibration import recalibrated


def test_the_true_slope_and_intercept_are_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=20_000)
    true = MatchCalibration(2.0, -1.0)
    chosen = rng.random(20_000) < true.probabilities(logits)
    found = fit_calibration(logits, chosen)
    assert (found.slope, found.intercept) == (pytest.approx(2, abs=0.1), pytest.approx(-1, abs=0.1))
    bins = reliability(found.probabilities(logits), chosen)
    assert np.abs(bins.predicted - bins.observed)[bins.count > 500].max() < 0.05


@pytest.mark.parametrize("chosen", [[True, True], [False, False]])
def test_one_sided_outcomes_stay_finite(chosen):
    found = fit_calibration(np.array([0.0, 0.0]), np.array(chosen))
    assert np.isfinite([found.slope, found.intercept]).all()


def test_the_line_bends_where_few_but_large_probabilities_lie():
    """Nearly all pairs follow a straight line; above it the truth is far more certain, as softmax shares are."""
    rng = np.random.default_rng(1)
    logits = rng.normal(-3, 2, size=200_000)
    true = 1 / (1 + np.exp(-np.where(logits > 1, 4 * logits - 3, logits)))
    chosen = rng.random(len(logits)) < true
    found = fit_calibration(logits, chosen)
    other = rng.normal(-3, 2, size=200_000)
    happened = rng.random(len(other)) < 1 / (1 + np.exp(-np.where(other > 1, 4 * other - 3, other)))
    bins = reliability(found.probabilities(other), happened)
    assert np.abs(bins.predicted - bins.observed)[bins.count >= 300].max() < 0.03
    straight = MatchCalibration(found.slope, found.intercept)
    coarse = reliability(straight.probabilities(other), happened)
    assert np.abs(coarse.predicted - coarse.observed)[coarse.count >= 100].max() > 0.05


def test_it_keeps_the_order_and_travels_as_json():
    found = MatchCalibration(1.5, -2.0, (-4.0, 0.0, 2.0), (-5.0, 0.0, 4.0))
    logits = np.linspace(-20, 20, 500)
    assert (np.diff(found.probabilities(logits)) >= 0).all()
    assert MatchCalibration.from_json({**found.to_json(), "mean": [0.0]}) == found
    with pytest.raises(ValueError, match="never fall"):
        MatchCalibration(1.0, 0.0, (0.0, 1.0), (1.0, 0.0))


class FixedRanker:
    """Logits of four candidates a case; of those above 0 all are chosen, though the model was told of half."""

    model = RankModel(None, None, MatchCalibration(1.0, 0.0))

    def __init__(self, count):
        self.rng = np.random.default_rng(3)
        self.count = count

    def candidates(self, histories):
        return [
            Described(np.arange(4), self.rng.normal(size=(4, 1)).astype(np.float32), np.empty(0)) for _ in histories
        ]


class Told(RankModel):
    def logits(self, features):
        return features[:, 0]


def test_validation_calibrates_where_it_has_enough_hits():
    asked = part(4, *[((), (0, 1, 2))] * 400)
    ranker = FixedRanker(400)
    ranker.model = Told(None, None, MatchCalibration(1.0, -5.0))
    model, hits = recalibrated(ranker, asked)
    assert hits == 1_200
    assert model.calibration.probabilities(np.array([0.0]))[0] == pytest.approx(0.75, abs=0.05)
    few, hits = recalibrated(ranker, part(4, *[((), (0,))] * 20))
    assert few is ranker.model and hits == 20
