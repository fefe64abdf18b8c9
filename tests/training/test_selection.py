import numpy as np
import pytest

from tests.training.histories import part
from training.ease import EaseSettings
from training.recall import RecallSettings
from training.selection import best_setting, ndcg_by_case, top_places


def test_ndcg_by_hand_without_the_history_and_non_candidates():
    asked = part(5, ((0,), (2, 3)))
    asked.candidates[4] = False
    figures = ndcg_by_case(np.array([[9.0, 5.0, 4.0, 3.0, 8.0]]), asked, depth=2)
    assert figures == pytest.approx([(1 / np.log2(3)) / (1 + 1 / np.log2(3))])


def test_equal_scores_are_ordered_by_row_and_minus_infinity_never_stands():
    assert top_places(np.array([1.0, 2.0, 2.0, -np.inf]), 2).tolist() == [1, 2]
    assert top_places(np.array([1.0, 2.0, 2.0, -np.inf]), 9).tolist() == [1, 2, 0]


def test_a_grid_needs_settings():
    with pytest.raises(ValueError, match="at least one"):
        best_setting((), lambda one: one, part(2, ((0,), (1,))))


def test_a_choice_is_told_by_what_differs():
    lines = []

    class _Told:
        def step(self, message):
            lines.append(message)

        def metric(self, name, step, value):
            pass

    class _Fixed:
        def __init__(self, best):
            self._best = best

        def scores(self, histories):
            return np.array([[0.0, 1.0, 2.0] if self._best else [0.0, 2.0, 1.0]])

    tried = [RecallSettings(ease=EaseSettings(regularisation=one)) for one in (1.0, 2.0)]
    chosen = best_setting(tried, lambda one: _Fixed(one.ease.regularisation == 2.0), part(3, ((0,), (2,))), _Told())
    assert chosen is tried[1]
    assert lines[0].strip().startswith("ease.regularisation 1.0: validation NDCG@100 0.6309")
    assert lines[1].strip() == "ease.regularisation 2.0: validation NDCG@100 1.0000"
