import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from domain.errors import ConfigurationError
from training.evaluation.search.metrics import METRICS
from training.evaluation.search.report import read_previous, report_to_json, write_query_metrics
from training.run.folder import write_json

HISTORY, TEXT = "with history", "text alone"


def test_means_leave_out_queries_without_a_value(report):
    assert report.mean(HISTORY, "ndcg@10").point == pytest.approx(0.3)
    assert report.mean(HISTORY, "recall@10").point == pytest.approx(0.25)
    interval = report.mean(HISTORY, "ndcg@10")
    assert 0.199 < interval.low < 0.3 < interval.high < 0.401


def test_a_ratio_is_paired(report):
    """Each query's value is half of the reference's, so that every resample gives the same ratio."""
    ratio = report.ratio(HISTORY, "ndcg@10")
    assert (ratio.point, ratio.low, ratio.high) == pytest.approx((0.5, 0.5, 0.5))


def test_the_worst_lose_most_against_the_reference_or_have_the_least(report):
    assert report.worst() == [0, 2, 1]
    alone = replace(report, methods=report.methods[:1], reference=None)
    assert alone.worst() == [1, 2, 0]
    assert alone.worst(2) == [1, 2]


def test_the_change_since_a_run_is_paired_over_the_queries_of_both(report, tmp_path):
    path = tmp_path / "before.json"
    method = report.methods[0]
    earlier = replace(method, values=method.values - 0.1)
    before = replace(report, methods=(earlier,), reference=None, queries=report.queries[:2])
    before = replace(before, methods=(replace(earlier, values=earlier.values[:2], lists=earlier.lists[:2]),))
    write_json(path, report_to_json(before))
    now = replace(report, previous=read_previous(path, "search"))
    change = now.change(HISTORY, "ndcg@10")
    assert (change.point, change.low, change.high) == pytest.approx((0.1, 0.1, 0.1))
    assert now.change(TEXT, "ndcg@10") is None
    assert report.change(HISTORY, "ndcg@10") is None
    assert report_to_json(now)["against"]["changes"][HISTORY]["ndcg@10"]["point"] == pytest.approx(0.1)


def test_the_json_has_every_list_and_no_nan(report):
    plain = json.loads(json.dumps(report_to_json(report), allow_nan=False))
    assert plain["methods"][TEXT]["ndcg@10"]["point"] == pytest.approx(0.6)
    assert plain["ratios_to_reference"][HISTORY]["ndcg@10"]["point"] == pytest.approx(0.5)
    query = plain["queries"][1]
    assert (query["id"], query["text"], query["grades"]) == ("q2", "loud", {"b": 4})
    first = plain["queries"][0]["methods"][HISTORY]["items"]
    assert [(item["id"], item["grade"]) for item in first] == [("a", 4), ("b", None)]
    assert plain["queries"][2]["methods"][HISTORY]["metrics"]["mrr"] is None


def test_the_file_of_an_earlier_run_must_be_one(report, tmp_path):
    path = tmp_path / "before.json"
    write_json(path, report_to_json(report))
    with pytest.raises(ConfigurationError, match="of the protocol search, not search-personal"):
        read_previous(path, "search-personal")
    with pytest.raises(ConfigurationError, match="has format 9, this program reads 1"):
        path.write_text(json.dumps(report_to_json(report) | {"format": 9}))
        read_previous(path, "search")
    wrong = report_to_json(report)
    wrong["queries"][0]["methods"][TEXT]["metrics"]["mrr"] = "much"
    for content in (
        json.dumps(wrong),
        "{",
        "[]",
        "{}",
        '{"format": 1, "protocol": "search", "methods": {}, "queries": [{}]}',
    ):
        path.write_text(content)
        with pytest.raises(ConfigurationError, match="no JSON of"):
            read_previous(path, "search")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_previous(tmp_path / "nowhere.json", "search")


def test_a_run_over_other_judgements_is_said(report, tmp_path):
    """Else a change of the judgements would look like one of the service."""
    path = tmp_path / "before.json"
    facts = {"file of judgements": "j.tsv, digest 1", "relevant": "grade >= 3", "release": "r1"}
    write_json(path, report_to_json(replace(report, facts=facts)))
    previous = read_previous(path, "search")
    assert previous.differing({**facts, "release": "r2"}) == ""
    other = previous.differing({**facts, "file of judgements": "j.tsv, digest 2", "relevant": "grade >= 4"})
    assert other == "before.json differs in file of judgements, relevant: changes are not the service's alone."


def test_metrics_by_query_as_csv(report, tmp_path):
    path = tmp_path / "queries.csv"
    write_query_metrics(report, path)
    with path.open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [(line["query_id"], line["method"]) for line in lines[:2]] == [("q1", HISTORY), ("q1", TEXT)]
    assert float(lines[1]["ndcg@10"]) == pytest.approx(0.8)
    assert lines[4]["recall@10"] == "" and set(METRICS) < set(lines[0])


def test_a_query_twice_counts_twice_in_the_intervals(report):
    """Wider intervals come from fewer queries, not from the order of the methods."""
    values = np.tile(report.methods[0].values[:2], (50, 1))
    queries = tuple(replace(report.queries[0], id=f"q{number}") for number in range(100))
    method = replace(report.methods[0], values=values, lists=report.methods[0].lists[:1] * 100)
    many = replace(report, queries=queries, methods=(method,), reference=None)
    wide, narrow = report.mean(HISTORY, "ndcg@10"), many.mean(HISTORY, "ndcg@10")
    assert narrow.high - narrow.low < (wide.high - wide.low) / 3


def test_queries_of_one_user_count_by_their_mean(report):
    """q1 and q2 are one user's: the mean is that of (.4 + .2) / 2 and .3, and no resample leaves .3."""
    queries = tuple(replace(query, user_id="u" if query.id != "q3" else "v") for query in report.queries)
    interval = replace(report, queries=queries).mean(HISTORY, "ndcg@10")
    assert (interval.point, interval.low, interval.high) == pytest.approx((0.3, 0.3, 0.3))
    assert replace(report, queries=queries).mean(HISTORY, "mrr").point == 0.5
