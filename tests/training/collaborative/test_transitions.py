import numpy as np

from tests.support.histories import history
from training.collaborative.neighbours import NeighbourScorer
from training.collaborative.transitions import TransitionSettings, fit_transitions


def test_succession_by_hand():
    table = fit_transitions((history(0, 1, 2), history(0, 1)), 4, TransitionSettings(window=2, shrinkage=1.0))
    weights = {(i, int(j)): w for i in range(4) for j, w in zip(table.rows[i], table.weights[i], strict=True) if j >= 0}
    # 1 follows 0 twice at once; 2 follows 0 once at a distance of two, and 1 once at once.
    assert set(weights) == {(0, 1), (0, 2), (1, 2)}
    assert np.isclose(weights[0, 1], 2 / (np.sqrt(2.5 * 2) + 1))
    assert np.isclose(weights[0, 2], 0.5 / (np.sqrt(2.5 * 1.5) + 1))


def test_one_event_says_nothing():
    assert not NeighbourScorer(fit_transitions((history(0),), 2)).scores([history(0)]).any()
