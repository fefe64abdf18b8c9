"""The parts of the measurement of questions; the whole takes minutes and data of its own."""

import numpy as np
import pytest

from bench.elicit import NewUser, ndcg_at, report
from shortlist import EventKind


def test_answers_follow_the_ratings():
    user = NewUser({"loved": 4.0, "so-so": 3.0, "hated": 2.0}, frozenset(), frozenset())
    asked = ("loved", "so-so", "hated", "unknown")
    kinds = [EventKind.LIKE, EventKind.IMPRESSION, EventKind.DISLIKE, EventKind.IMPRESSION]
    assert [user.answer(item_id, 4.0).kind for item_id in asked] == kinds
    assert [user.answer(item_id, 4.0).item_id for item_id in asked] == list(asked)


def test_ndcg_with_several_targets():
    assert ndcg_at(["a", "b", "c"], frozenset("ab")) == 1.0
    assert ndcg_at(["x", "a"], frozenset("a")) == pytest.approx(1 / np.log2(3))
    assert ndcg_at(["x", "a", "y", "b"], frozenset("abc")) == pytest.approx(
        (1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3) + 1 / 2)
    )
    assert ndcg_at([*map(str, range(20)), "a"], frozenset("a")) == 0.0


def test_the_table_compares_users_in_pairs():
    base = np.random.default_rng(0).random((50, 1, 1))
    ndcg = np.repeat(np.repeat(base, 4, axis=1), 5, axis=2)
    ndcg[:, 0, 1:] += 0.1
    lines = list(report(ndcg, np.ones((4, 4))))
    assert lines[0] == f"NDCG@20 without a question: {base.mean():.4f}"
    assert lines[1] == "after 1: elicit less no question +0.1000 [+0.1000, +0.1000]"
    assert lines[3].endswith("elicit less it +0.1000 [+0.1000, +0.1000]")
