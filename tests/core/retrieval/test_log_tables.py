"""Popularity and neighbours brought up to date by counts of choices, against sums by hand."""

import itertools

import numpy as np
import pytest

from core.retrieval.choice_counts import PAIRED_ITEMS, ChoiceCounts
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.log_tables import co_chosen, evidence_of, updated_neighbours, updated_popularity
from core.retrieval.popular import PopularSource


def counted(histories, **limits):
    counts = ChoiceCounts(**limits)
    for items in histories:
        counts.add(list(items), [True] * len(items))
    return counts


def rows_of(counts, ids):
    return np.array([ids.index(item_id) if item_id in ids else -1 for item_id in counts.item_ids])


def test_counts_agree_with_a_loop():
    draw = np.random.default_rng(0)
    ids = [f"i{number}" for number in range(30)]
    histories = [draw.choice(ids, draw.integers(1, 12), replace=False).tolist() for _ in range(200)]
    counts = counted(histories)
    first, second, users = counts.pairs()
    found = {
        frozenset((counts.item_ids[a], counts.item_ids[b])): n for a, b, n in zip(first, second, users, strict=True)
    }
    expected: dict[frozenset[str], int] = {}
    for items in histories:
        for pair in itertools.combinations(items, 2):
            expected[frozenset(pair)] = expected.get(frozenset(pair), 0) + 1
    assert found == expected
    assert dict(zip(counts.item_ids, counts.users(), strict=True)) == {
        item_id: sum(item_id in items for items in histories) for item_id in counts.item_ids
    }


def test_old_choices_make_pairs_with_new_ones_and_count_no_user():
    counts = ChoiceCounts()
    counts.add(["a", "b", "c"], [False, False, True])
    counts.add(["a", "b"], [False, False])
    assert counts.user_count == 1
    assert counts.users().tolist() == [0, 0, 1]
    assert sorted(zip(*(part.tolist() for part in counts.pairs()), strict=True)) == [(0, 2, 1), (1, 2, 1)]


def test_counts_are_bounded():
    counts = counted([[f"i{number}" for number in range(50)]], most_items=40)
    assert len(counts.item_ids) == 40
    assert len(counts.pairs()[0]) == PAIRED_ITEMS * (PAIRED_ITEMS - 1) // 2
    counts = counted([["a", "b"]] * 3 + [[f"x{number}", f"y{number}"] for number in range(30)], most_pairs=10)
    first, second, users = counts.pairs()
    assert len(users) == 5
    assert (counts.item_ids[first[0]], counts.item_ids[second[0]], users[0]) == ("a", "b", 3)


def test_a_new_user_counts_as_twenty_trained_ones():
    trained = np.array([9.0, 0, 4, 0])
    prior = PopularSource(np.log((trained + 1) / (trained + 1).sum()))
    new = np.array([0.0, 12, 0, 0, 3])
    mixed = np.append(trained, 0) / 20 + new
    users = 28 * mixed / mixed.sum()
    assert np.exp(updated_popularity(prior, new).log_prior) == pytest.approx((users + 1) / (users + 1).sum(), rel=1e-5)
    assert updated_popularity(None, new).chosen.tolist() == [False, True, False, False, True]
    assert updated_popularity(prior, np.zeros(4)).log_prior == pytest.approx(prior.log_prior, abs=1e-5)


def test_neighbours_of_pairs_by_shrunk_cosine():
    counts = counted([["a", "b"]] * 4 + [["a", "c"]] * 2 + [["b", "gone"]] * 9 + [["a", "d"]])
    table = co_chosen(counts, rows_of(counts, ["a", "b", "c", "d"]), 4)
    assert table.rows[0, :3].tolist() == [1, 2, -1]  # one user says nothing of a and d
    assert table.weights[0, :2] == pytest.approx([4 / (np.sqrt(7 * 13) + 5), 2 / (np.sqrt(7 * 2) + 5)])
    assert table.rows[3].max() == -1


def test_a_row_is_mixed_by_its_evidence():
    trained = NeighbourTable(np.array([[1, 2], [0, -1], [-1, -1]], np.int32), np.array([[4, 2], [6, 0], [0, 0.0]]))
    chosen = NeighbourTable(
        np.array([[2, 3], [-1, -1], [0, -1], [0, -1]], np.int32), np.array([[0.4, 0.2], [0, 0], [0.6, 0], [0.6, 0]])
    )
    # Both tables' rows sum to 6 and .6: the new one counts ten times.
    mixed = updated_neighbours(trained, chosen, np.array([0.5, 0.5, 0.5, 0.0]))
    assert mixed.rows.tolist() == [[2, 1], [0, -1], [0, -1], [0, -1]]
    assert mixed.weights == pytest.approx(np.array([[3, 2], [6, 0], [6, 0], [6, 0]], np.float32))
    same = updated_neighbours(trained, chosen, np.zeros(4))
    assert same.rows[:2].tolist() == trained.rows[:2].tolist()
    assert updated_neighbours(None, chosen, np.zeros(4)) is chosen


def test_evidence_grows_with_new_users_and_falls_with_trained_ones():
    prior = PopularSource(np.log(np.array([81.0, 1, 1]) / 83))
    assert evidence_of(np.array([20.0, 20, 0, 20]), prior) == pytest.approx([20 / 120, 0.5, 0, 0.5])
