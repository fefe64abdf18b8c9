import numpy as np
import pytest

from domain.progress import LineProgress
from tests.support.histories import part
from training.collaborative.ease import EaseSettings
from training.ranking.recall_settings import RecallSettings
from training.splits.selection import Selection, best_on_grid, best_on_scale, best_setting
from training.splits.validation import SelectionMetric, headline_metric, ndcg_by_case, top_places


def test_ndcg_by_hand_without_the_history_and_non_candidates():
    asked = part(5, ((0,), (2, 3)))
    asked.candidates[4] = False
    values = ndcg_by_case(np.array([[9.0, 5.0, 4.0, 3.0, 8.0]]), asked)
    assert values == pytest.approx([(1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3))])


def test_ndcg_looks_at_a_hundred_places():
    many = part(300, ((0,), (100,)), ((0,), (101,)), ((0,), tuple(range(1, 151))))
    falling = np.tile(-np.arange(300.0), (3, 1))
    assert ndcg_by_case(falling, many) == pytest.approx([1 / np.log2(101), 0, 1])


def test_equal_scores_are_ordered_by_row_and_minus_infinity_never_stands():
    assert top_places(np.array([1.0, 2.0, 2.0, -np.inf]), 2).tolist() == [1, 2]
    assert top_places(np.array([1.0, 2.0, 2.0, -np.inf]), 9).tolist() == [1, 2, 0]


def test_a_grid_needs_settings():
    with pytest.raises(ValueError, match="at least one"):
        best_setting((), lambda one: one, Selection(part(2, ((0,), (1,)))))


def test_a_choice_is_told_by_what_differs():
    lines = []

    class _Fixed:
        def __init__(self, best):
            self._best = best

        def scores(self, histories):
            return np.array([[0.0, 1.0, 2.0] if self._best else [0.0, 2.0, 1.0]])

    tried = [RecallSettings(ease=EaseSettings(regularisation=one)) for one in (1.0, 2.0)]
    chosen = best_setting(
        tried,
        lambda one: _Fixed(one.ease.regularisation == 2.0),
        Selection(part(3, ((0,), (2,))), progress=LineProgress(lines.append)),
    )
    assert chosen is tried[1]
    assert lines[0].strip().startswith("ease.regularisation 1.0: validation NDCG@100 0.6309")
    assert lines[1].strip() == "ease.regularisation 2.0: validation NDCG@100 1.0000"


class _Near:
    """Puts the target the higher the nearer the setting is to what would be best."""

    def __init__(self, setting, best):
        self._place = abs(np.log10(setting / best))

    def scores(self, histories):
        return np.array([[*-np.arange(15), 0.5 - self._place]], np.float32)


@pytest.mark.parametrize(("best", "chosen"), [(0.1, 0.1), (10.0, 10.0), (1e4, 1e4), (1e9, 1e6)])
def test_a_scale_is_followed_beyond_its_ends_while_that_helps(best, chosen):
    tried = []

    def build(setting):
        tried.append(setting)
        return _Near(setting, best)

    found = best_on_scale((1.0, 10.0, 100.0, 1000.0), float, build, Selection(part(16, ((), (15,)))))
    assert found == pytest.approx(chosen)
    assert len(tried) == {0.1: 6, 10.0: 4, 1e4: 6, 1e9: 7}[best]


def test_beyond_the_ends_noise_gains_nothing():
    found = best_on_scale((1.0, 10.0), float, lambda setting: _Near(1.0, 1.0), Selection(part(16, ((), (15,)))))
    assert found == 1.0


class _Missing:
    """Misses some of the questions after item 0, and says whether it misses the one after item 1."""

    def __init__(self, setting):
        self._missed, self._misses_other = setting

    def scores(self, histories):
        missed = [
            self._misses_other if one.rows[0] == 1 else place < self._missed for place, one in enumerate(histories)
        ]
        return np.array([[0.0, 0.0, 1.0, 2.0 * miss] for miss in missed], np.float32)


@pytest.mark.parametrize(("missed", "chosen"), [(2, 1), (9, 0)])
def test_other_cases_choose_among_settings_that_lie_near_one_another(missed, chosen):
    asked, ties = part(4, *[((0,), (2,))] * 200), part(4, ((1,), (2,)))
    tried = [(0, True), (missed, False)]
    assert best_setting(tried, _Missing, Selection(asked)) == tried[0]
    assert best_setting(tried, _Missing, Selection(asked), ties=ties) == tried[chosen]
    assert best_setting(tried, _Missing, Selection(asked), ties=part(4)) == tried[0]


def test_a_grid_is_followed_beyond_the_edge_of_each_axis_while_that_helps():
    """The best is count 160 at shrinkage 40: two doublings beyond the first axis, one beyond the second."""
    tried = []

    def build(point):
        tried.append(point)
        return _Near(10 ** (abs(np.log2(point[0] / 160)) + abs(np.log2((point[1] or 1e-3) / 40))), 1.0)

    points = tuple((count, shrinkage) for count in (20, 40) for shrinkage in (0.0, 10.0, 20.0))
    assert best_on_grid(points, tuple, build, Selection(part(16, ((), (15,))))) == (160, 40.0)
    assert len(tried) == len(set(tried)), "no setting is fitted twice"
    assert (320, 20.0) in tried, "one step further that gains nothing ends it"


def test_settings_are_chosen_by_the_headline_metric():
    """One finds more within ten, the other ranks what it finds higher."""
    asked = part(30, *[((0,), (20, 21, 22))] * 3)

    class Places:
        def __init__(self, places):
            self._places = places

        def scores(self, histories):
            scores = -np.arange(30, dtype=np.float32)
            for target, place in zip((20, 21, 22), self._places, strict=True):
                scores[target] = 0.5 - place
            return np.tile(scores, (len(histories), 1))

    tried = [(1, 28, 29), (8, 9, 29)]
    assert best_setting(tried, Places, Selection(asked)) == (1, 28, 29)
    assert best_setting(tried, Places, Selection(asked, headline_metric("next-item"))) == (8, 9, 29)
    assert SelectionMetric("recall", 10).name == "Recall@10"
    assert headline_metric("warm-users") == SelectionMetric("recall", 20)
