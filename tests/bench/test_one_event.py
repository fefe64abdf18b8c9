"""Figures of one event: how lists are compared, and when a goal is missed."""

import json

import numpy as np
import pytest

from bench.one_event import gains, jaccard, ndcg_of, read_cases


def test_lists_are_compared():
    assert jaccard(["a", "b", "c"], ["c", "d"]) == pytest.approx(1 / 4)
    assert jaccard([], []) == jaccard(["a", "b"], ["b", "a"]) == 1
    assert ndcg_of(["x", "a"], "a") == pytest.approx(1 / np.log2(3))
    assert ndcg_of([f"x{n}" for n in range(10)] + ["a"], "a") == ndcg_of([], "a") == 0


@pytest.mark.parametrize(("both", "reached"), [(0.5, True), (0.39, False)])
def test_both_must_not_be_worse_than_the_better_alone(both, reached):
    ndcg = np.tile([0.1, 0.4, both], (50, 1))
    *values, compared = gains(ndcg, as_text=True)
    assert [one.value for one in values] == pytest.approx([0.1, 0.4, both])
    assert compared.value == pytest.approx(both - 0.4)
    assert compared.reached is reached


def test_cases_are_read_from_a_folder(tmp_path):
    items = [{"id": f"i{n}", "title": f"Film {n}", "genre": "Drama", "text": "A story of the sea."} for n in range(9)]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    events = [f"u{user},i{(user + place) % 9},{1_000_000 + 86_400 * place}" for user in range(4) for place in range(6)]
    (tmp_path / "interactions.csv").write_text("\n".join(["user_id,item_id,timestamp", *events]) + "\n")
    cases = read_cases(tmp_path, 3)
    assert len(cases) == 3
    for case in cases:
        assert case.query
        assert [event.item_id for event in case.events] == list(case.seen_ids)
        assert case.target_id not in case.seen_ids
