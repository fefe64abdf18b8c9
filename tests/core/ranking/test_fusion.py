import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ranking.fusion import RANK_OFFSET, RecalledList, SourceView, fuse


def recalled(source, rows, scores=None):
    scores = [1.0 / (1 + place) for place in range(len(rows))] if scores is None else scores
    return RecalledList(source, np.array(rows, dtype=np.int64), np.array(scores, dtype=np.float32))


def test_a_single_list_keeps_its_order_and_scores():
    found = fuse([recalled("a", [7, 3, 9], [0.75, 0.5, -0.25])], 10)
    assert [(one.row, one.score) for one in found] == [(7, 0.75), (3, 0.5), (9, -0.25)]
    assert [one.views for one in found] == [
        (SourceView("a", 1, 0.75),),
        (SourceView("a", 2, 0.5),),
        (SourceView("a", 3, -0.25),),
    ]


@pytest.mark.parametrize("lists", [0, 1, 2])
def test_an_empty_list_does_not_count_as_a_second_one(lists):
    empty = [recalled(f"e{number}", []) for number in range(lists)]
    found = fuse([*empty, recalled("a", [7, 3], [0.75, 0.5])], 10)
    assert [(one.row, one.score) for one in found] == [(7, 0.75), (3, 0.5)]
    assert fuse(empty, 10) == []


def test_several_lists_by_hand():
    found = fuse([recalled("a", [1, 2, 3], [9, 8, 7]), recalled("b", [3, 4, 1], [0.3, 0.2, 0.1])], 10)
    # 1: ranks 1 and 3; 3: ranks 3 and 1, a tie, so by row; 2 and 4: rank 2 once, a tie too.
    both, once = 1 / 61 + 1 / 63, 1 / 62
    assert RANK_OFFSET == 60
    assert [one.row for one in found] == [1, 3, 2, 4]
    assert [one.score for one in found] == pytest.approx([both, both, once, once], abs=1e-12)
    assert found[1].views == (SourceView("b", 1, pytest.approx(0.3)), SourceView("a", 3, 7.0))


def test_being_tenth_in_two_lists_beats_being_first_in_one():
    first = recalled("a", [*range(9), 99])
    second = recalled("b", [*range(100, 109), 99])
    assert fuse([first, second], 1)[0].row == 99


ROWS = st.lists(st.integers(0, 12), unique=True, max_size=10)


@settings(deadline=None, max_examples=100)
@given(st.lists(ROWS, max_size=4), st.integers(1, 15))
def test_fusing_is_the_formula(lists, count):
    found = fuse([recalled(str(number), rows) for number, rows in enumerate(lists)], count)
    everything = {row for rows in lists for row in rows}
    assert len(found) == min(count, len(everything))
    assert len({one.row for one in found}) == len(found)
    filled = [rows for rows in lists if rows]
    if len(filled) > 1:
        score = {row: sum(1 / (61 + rows.index(row)) for rows in filled if row in rows) for row in everything}
        assert [one.score for one in found] == pytest.approx(sorted(score.values(), reverse=True)[:count])
        assert [one.score for one in found] == pytest.approx([score[one.row] for one in found])
    for one in found:
        assert {(view.source, view.rank) for view in one.views} == {
            (str(number), rows.index(one.row) + 1) for number, rows in enumerate(lists) if one.row in rows
        }
        assert [view.rank for view in one.views] == sorted(view.rank for view in one.views)
