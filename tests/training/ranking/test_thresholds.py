import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.histories import part
from training.ranking.thresholds import (
    ThresholdSettings,
    precision_recall,
    recalled,
    save_thresholds,
    validation_thresholds,
)

# T2: six users, three items.
SIMILARITIES = np.array(
    [[0.8, 0.6, 0.5], [0.9, 0.7, 0.5], [0.7, 0.5, 0.6], [0.6, 0.5, 0.4], [0.6, 0.5, 0.4], [0.5, 0.4, 0.4]]
)
RELEVANT = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], bool)


class Fixed:
    def __init__(self, scores):
        self._scores = scores

    def scores(self, histories):
        return self._scores[: len(histories)]


def choose_threshold(similarities, relevant, least):
    """The choice for one source of these similarities, by which no item of a history is asked."""
    rows = np.atleast_2d(relevant)
    asked = part(rows.shape[1], *(((), tuple(np.flatnonzero(row).tolist())) for row in rows))
    return validation_thresholds({"s": Fixed(np.atleast_2d(similarities))}, asked, ThresholdSettings(least))["s"]


def test_t2_alpha_recalls_the_stated_sets():
    sets = [set(np.flatnonzero(row)) for row in recalled(SIMILARITIES, 0.6)]
    assert sets == [{0, 1}, {0, 1}, {0, 2}, {0}, {0}, set()]


def test_t2_precision_and_recall_by_definition():
    # Recalled: 8 pairs. Right among them: x1 y1, x1 y2, x2 y1, x3 y1, x3 y3, x4 y1. Relevant: 8.
    assert precision_recall(SIMILARITIES, RELEVANT, 0.6) == (6 / 8, 6 / 8)
    assert precision_recall(SIMILARITIES, RELEVANT, 0.95) == (1.0, 0.0)


def test_t2_alpha_is_the_most_recall_at_the_precision():
    chosen = choose_threshold(SIMILARITIES, RELEVANT, 0.75)
    assert (chosen.alpha, chosen.precision, chosen.recall) == (pytest.approx(0.6, abs=1e-5), 0.75, 0.75)
    assert choose_threshold(SIMILARITIES, RELEVANT, 0.0).recall == 1.0
    assert choose_threshold(SIMILARITIES, ~RELEVANT, 0.9).alpha is None


def test_rounding_decides_nothing():
    """A gateway's similarities differ from training's in the last bits: it still recalls what was chosen."""
    draw = np.random.default_rng(0)
    for _ in range(20):
        measured, served = (SIMILARITIES + draw.uniform(-4e-7, 4e-7, SIMILARITIES.shape) for _ in range(2))
        chosen = choose_threshold(measured.astype(np.float32), RELEVANT, 0.75)
        assert (chosen.precision, chosen.recall) == (0.75, 0.75)
        assert np.array_equal(recalled(served.astype(np.float32), chosen.alpha), recalled(SIMILARITIES, 0.6))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30),
    st.sampled_from([0.0, 0.2, 0.5, 0.9]),
)
def test_no_threshold_does_better(pairs, least):
    similarities = np.array([value for value, _ in pairs], np.float64)
    relevant = np.array([right for _, right in pairs])
    chosen = choose_threshold(similarities, relevant, least)
    tried = [precision_recall(similarities, relevant, alpha) for alpha in np.unique(similarities)]
    able = [recall for precision, recall in tried if precision >= least and relevant.any() and recall > 0]
    assert chosen.recall == (max(able) if able else 0.0)
    if chosen.alpha is not None:
        assert precision_recall(similarities, relevant, chosen.alpha) == (chosen.precision, chosen.recall)


def test_thresholds_by_source_leave_out_history_and_non_candidates(tmp_path):
    asked = part(4, ((0,), (1,)), ((2,), (3,)))
    asked.candidates[0] = False
    scores = np.array([[9.0, 5.0, 4.0, -np.inf], [9.0, 1.0, 9.0, 3.0]])
    chosen = validation_thresholds({"collaborative": Fixed(scores)}, asked, ThresholdSettings(0.6))
    assert (chosen["collaborative"].alpha, chosen["collaborative"].recall) == (pytest.approx(3.0, abs=1e-5), 1.0)
    save_thresholds(chosen, tmp_path / "thresholds.json")
    assert (
        json.loads((tmp_path / "thresholds.json").read_text())["collaborative"]["alpha"]
        == chosen["collaborative"].alpha
    )


def test_streamed_thresholds_equal_those_of_all_pairs_at_once(monkeypatch):
    monkeypatch.setattr("training.ranking.thresholds._PAIRS_AT_ONCE", 40)
    draw = np.random.default_rng(1)
    scores = draw.integers(0, 12, (20, 20)).astype(np.float64)
    scores[draw.random(scores.shape) < 0.1] = -np.inf
    chosen = [np.array([n, *draw.choice([row for row in range(20) if row != n], 3, replace=False)]) for n in range(20)]
    asked = part(20, *((tuple(rows[:2].tolist()), tuple(rows[2:].tolist())) for rows in chosen))
    allowed, relevant = np.ones(scores.shape, bool), np.zeros(scores.shape, bool)
    for place, rows in enumerate(chosen):
        allowed[place, rows[:2]] = False
        relevant[place, rows[2:]] = True

    class ByFirst:
        def scores(self, histories):
            return scores[[one.rows[0] for one in histories]]

    for least in (0.0, 0.1, 0.13, 0.5):
        streamed = validation_thresholds({"s": ByFirst()}, asked, ThresholdSettings(least))["s"]
        assert streamed == choose_threshold(scores[allowed], relevant[allowed], least)
        alphas = np.unique(scores[allowed & np.isfinite(scores)])
        tried = [precision_recall(scores[allowed], relevant[allowed], one) for one in alphas]
        assert streamed.recall == max((recall for precision, recall in tried if precision >= least), default=0.0)
