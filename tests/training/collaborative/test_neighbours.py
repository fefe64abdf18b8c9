import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from core.retrieval.item_neighbours import NeighbourTable
from tests.support.histories import history, part, random_histories
from training.collaborative.neighbours import (
    ItemNeighboursSettings,
    NeighbourScorer,
    UserNeighboursSettings,
    choose_item_neighbours,
    choose_user_neighbours,
    fit_item_neighbours,
    fit_user_neighbours,
    strongest_neighbours,
)


def test_shrunk_cosine_by_hand():
    table = fit_item_neighbours(
        (history(0, 1), history(0, 1, 2), history(0)), 4, ItemNeighboursSettings(count=2, shrinkage=1.0)
    )
    model = NeighbourScorer(table)
    scores = model.scores([history(0), history(1, 2), history()])
    near = 2 / (np.sqrt(3 * 2) + 1)
    assert np.allclose(scores[0], [0, near, 1 / (np.sqrt(3) + 1), 0])
    assert np.allclose(scores[1, 0], near + 1 / (np.sqrt(3) + 1))
    assert not scores[2].any()


def test_users_vote_with_their_likeness():
    model = fit_user_neighbours(
        (history(0, 1), history(0, 2), history(3)), 5, UserNeighboursSettings(count=5, shrinkage=0.0)
    )
    scores = model.scores([history(0), history(3, 4)])
    assert np.allclose(scores[0], [2 / np.sqrt(2), 1 / np.sqrt(2), 1 / np.sqrt(2), 0, 0])
    assert np.allclose(scores[1], [0, 0, 0, 1 / np.sqrt(2), 0])


def test_only_the_nearest_users_vote():
    model = fit_user_neighbours((history(0), history(0, 1)), 2, UserNeighboursSettings(count=1, shrinkage=0.0))
    assert np.allclose(model.scores([history(0)]), [[1, 0]])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_strongest_neighbours_are_a_full_sort(seed, count):
    rng = np.random.default_rng(seed)
    dense = rng.integers(-1, 4, (6, 6)).astype(np.float32)
    np.fill_diagonal(dense, 0)
    table = strongest_neighbours(csr_array(dense), count)
    for item, row in enumerate(dense):
        wanted = [j for j in np.lexsort((np.arange(6), -row)) if row[j] > 0][:count]
        kept = table.rows[item][table.rows[item] >= 0]
        assert kept.tolist() == wanted
        assert table.weights[item, : len(kept)].tolist() == row[wanted].tolist()


def test_table_is_saved_and_loaded(tmp_path):
    table = fit_item_neighbours(random_histories(12, 9, 1), 9)
    table.save(tmp_path / "table.npz")
    again = NeighbourTable.load(tmp_path / "table.npz")
    asked = [history(0, 3), history(8)]
    assert np.array_equal(NeighbourScorer(again).scores(asked), NeighbourScorer(table).scores(asked))


def test_one_user_and_one_item():
    assert not NeighbourScorer(fit_item_neighbours((history(0),), 1)).scores([history(0)]).any()
    assert fit_user_neighbours((history(0),), 1).scores([history()]).tolist() == [[0]]


def test_settings_are_chosen_on_validation():
    histories = random_histories(40, 12, 2)
    validation = part(12, ((0, 3), (6, 9)), ((1, 4), (7, 10)))
    items = choose_item_neighbours(histories, 12, validation, ItemNeighboursSettings(tried=((1, 0.0), (8, 0.0))))
    users = choose_user_neighbours(histories, 12, validation, UserNeighboursSettings(tried=((1, 0.0), (20, 0.0))))
    assert (items.count, users.count) == (8, 20)
