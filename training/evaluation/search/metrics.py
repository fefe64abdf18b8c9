"""Metrics of ranked lists against graded judgements, computed by ir-measures over trec_eval."""

from collections.abc import Iterable, Mapping, Sequence

import ir_measures
import numpy as np
from ir_measures import RR, Measure, Qrel, R, ScoredDoc, nDCG

from datafiles.judgements import MOST_GRADE, Judgements

METRICS = ("ndcg@10", "recall@10", "recall@50", "mrr")
HEADLINE = METRICS[0]
LIST_LENGTH = 50


def evaluate_lists(lists: Mapping[str, Sequence[str]], judgements: Judgements, relevant_grade: int) -> np.ndarray:
    """Returns float64[queries, metrics], in the order of `lists` and `METRICS`.

    nDCG@10 has the gain 2^grade - 1 and the discount log2(1 + rank) (Burges et al. 2005). Recall is hits / relevant
    items, MRR the mean of 1 / rank of the first relevant item; relevant is a grade of at least `relevant_grade`. Items
    without a judgement have grade 0.

    Args:
        lists: item ids by query id, best first, each once.
        judgements: grade by item and query id.
        relevant_grade: from 1.

    Returns:
        The values; NaN where a query has no item of any gain (nDCG) or no relevant item (the others).
    """
    # Provider and gains are named: the default ones of the library differ by what else is installed.
    gains = {grade: 2**grade - 1 for grade in range(MOST_GRADE + 1)}
    measures: tuple[Measure, ...] = (
        nDCG(gains=gains, cutoff=10),
        R(rel=relevant_grade) @ 10,
        R(rel=relevant_grade) @ 50,
        RR(rel=relevant_grade),
    )
    place = {query_id: row for row, query_id in enumerate(lists)}
    values = np.full((len(lists), len(METRICS)), np.nan)
    judged = {query_id: grades for query_id, grades in judgements.items() if query_id in place}
    for metric in ir_measures.pytrec_eval.iter_calc(measures, _qrels(judged), _run(lists)):
        values[place[metric.query_id], measures.index(metric.measure)] = metric.value
    highest = np.array([max(judgements.get(query_id, {}).values(), default=0) for query_id in lists])
    values[highest < 1, 0] = np.nan
    values[highest < relevant_grade, 1:] = np.nan
    return values


def _qrels(judgements: Judgements) -> Iterable[Qrel]:
    return [
        Qrel(query_id, item_id, grade) for query_id, grades in judgements.items() for item_id, grade in grades.items()
    ]


def _run(lists: Mapping[str, Sequence[str]]) -> Iterable[ScoredDoc]:
    """Returns the lists with falling scores: trec_eval orders by score, and equal ones by id."""
    return [
        ScoredDoc(query_id, item_id, float(len(items) - rank))
        for query_id, items in lists.items()
        for rank, item_id in enumerate(items)
    ]
