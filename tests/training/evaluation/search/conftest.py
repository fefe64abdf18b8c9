import numpy as np
import pytest

from training.evaluation.search.metrics import METRICS
from training.evaluation.search.report import EvaluatedQuery, SearchMethod, SearchReport
from training.evaluation.search.service import ListedItem, ServiceList


def _list(*ids, **fields):
    items = tuple(ListedItem(one, f"Title <{one}>", 1.0 - rank / 10) for rank, one in enumerate(ids))
    return ServiceList(items, "r1", **fields)


@pytest.fixture
def report():
    """Three queries by two methods; the second method's values are twice the first's where both are there."""
    queries = (
        EvaluatedQuery("q1", "quiet & sea", {"a": 4, "z": 3}),
        EvaluatedQuery("q2", "loud", {"b": 4}),
        EvaluatedQuery("q3", "none", {"c": 1}),
    )
    lists = (_list("a", "b"), _list("c", corrected_text="aloud"), _list("c", "a"))
    values = np.array([[0.4, 0.5, 0.5, 1.0], [0.2, 0.0, 0.0, 0.0], [0.3, np.nan, np.nan, np.nan]])
    methods = (SearchMethod("with history", lists, values), SearchMethod("text alone", lists, values * 2))
    assert values.shape[1] == len(METRICS)
    return SearchReport("search", {"release": "r<1>"}, queries, methods, "text alone", 3, 42, notes=("A <note>.",))
