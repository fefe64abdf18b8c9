"""Figures by user: written, read again, pooled over data sets."""

import numpy as np
import pytest

from domain.progress import SilentProgress
from tests.support.histories import history
from training.evaluation.accumulator import EvaluationContext
from training.evaluation.evaluate import evaluate
from training.evaluation.per_user import pooled, read_user_metrics, write_user_metrics
from training.evaluation.report import EvaluationReport
from training.splits.split import EvalCase, EvalSet, Split

COUNT = 20


class Favourite:
    """Puts one item first."""

    def __init__(self, method):
        self._row = method

    def scores(self, histories):
        found = np.zeros((len(histories), COUNT), np.float32)
        found[:, self._row] = 1
        return found


@pytest.fixture(scope="module")
def report():
    cases = tuple(EvalCase(f"u{n}", history(0), np.array([n])) for n in (5, 6))
    part = EvalSet(cases, np.ones(COUNT, bool))
    split = Split("next-item", tuple(map(str, range(COUNT))), (history(0, 1),), part, (part,), np.ones(COUNT, bool))
    methods = {"five": Favourite(5), "six": Favourite(6)}
    table = evaluate(methods, "next-item", split.tests, EvaluationContext.of(split, None, 1), SilentProgress())
    return EvaluationReport({}, table)


@pytest.mark.parametrize("name", ["users.csv", "users.csv.gz"])
def test_written_figures_are_read_again(report, tmp_path, name):
    write_user_metrics(report, tmp_path / name)
    found = read_user_metrics(tmp_path / name, "ndcg@10")
    assert found["five"]["u5"] == 1
    assert found["six"] == {"u5": pytest.approx(found["six"]["u5"]), "u6": 1.0}
    assert found["five"]["u6"] < 1
    with pytest.raises(KeyError):
        read_user_metrics(tmp_path / name, "recall@77")


def test_users_of_all_sets_count_alike():
    first = {"a": {"u": 1.0, "v": 0.0}, "b": {"u": 0.5, "v": 0.0}}
    second = {"a": {"u": 1.0}, "b": {"u": 1.0}}
    assert pooled([first, second], ("a", "b")).tolist() == [[1.0, 0.5], [0.0, 0.0], [1.0, 1.0]]
