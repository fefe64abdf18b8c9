import math

import numpy as np
import pytest

from training.evaluation.search.metrics import METRICS, evaluate_lists


def _values(items, grades, relevant_grade=3):
    return dict(zip(METRICS, evaluate_lists({"q": items}, {"q": grades}, relevant_grade)[0], strict=True))


def test_ndcg_has_exponential_gains_and_the_ideal_order_below():
    values = _values(["b", "x", "a", "c"], {"a": 4, "b": 1, "c": 2, "missed": 3, "zero": 0})
    reached = 1 / math.log2(2) + 15 / math.log2(4) + 3 / math.log2(5)
    ideal = 15 / math.log2(2) + 7 / math.log2(3) + 3 / math.log2(4) + 1 / math.log2(5)
    assert values["ndcg@10"] == pytest.approx(reached / ideal, abs=1e-6)


def test_ndcg_counts_ten_places():
    items = [f"x{rank}" for rank in range(10)]
    assert _values([*items, "a"], {"a": 4})["ndcg@10"] == 0
    assert _values([*items[:9], "a"], {"a": 4})["ndcg@10"] == pytest.approx(1 / math.log2(11), abs=1e-6)


def test_recall_and_mrr_count_from_the_relevant_grade_on():
    items = ["low", *(f"x{rank}" for rank in range(8)), "a", *(f"y{rank}" for rank in range(39)), "b", "c"]
    grades = {"low": 2, "a": 3, "b": 4, "c": 4}
    values = _values(items, grades)
    assert values["recall@10"] == pytest.approx(1 / 3)
    assert values["recall@50"] == pytest.approx(2 / 3)  # b is 50th, c 51st
    assert values["mrr"] == pytest.approx(1 / 10)
    assert _values(items, grades, relevant_grade=2)["mrr"] == 1


def test_equal_grades_keep_the_order_of_the_list():
    """Ids never break ties: the order of the list is the ranking."""
    assert _values(["z", "a"], {"z": 4})["mrr"] == 1
    assert _values(["a", "z"], {"z": 4})["mrr"] == 0.5


def test_a_query_without_relevant_items_has_no_value():
    values = evaluate_lists({"none": ["a"], "weak": ["a"], "empty": []}, {"weak": {"a": 1}, "empty": {"a": 4}}, 3)
    assert np.isnan(values[0]).all()
    assert values[1, 0] == 1 and np.isnan(values[1, 1:]).all()
    assert (values[2] == 0).all()


def test_judgements_of_queries_that_were_not_asked_count_for_nothing():
    assert _values(["a"], {"a": 3}) == dict(
        zip(METRICS, evaluate_lists({"q": ["a"]}, {"q": {"a": 3}, "other": {"b": 4}}, 3)[0], strict=True)
    )
