import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.similar_users import Neighbourhood, SimilarUsersSource
from core.retrieval.source import SourceQuery
from core.scaling import Population
from tests.support.histories import history, part, random_histories
from training.collaborative.neighbours import (
    ItemNeighboursSettings,
    NeighbourScorer,
    UserNeighboursSettings,
    choose_item_neighbours,
    choose_user_neighbours,
    fit_item_neighbours,
    fit_similar_users,
    fit_user_neighbours,
    strongest_neighbours,
)
from training.splits.selection import Selection


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
    items = choose_item_neighbours(
        histories, 12, Selection(validation), ItemNeighboursSettings(tried=((1, 0.0), (8, 0.0)))
    )
    users = choose_user_neighbours(
        histories, 12, Selection(validation), UserNeighboursSettings(tried=((1, 0.0), (20, 0.0)))
    )
    assert (items.count, users.count) == (8, 20)


def test_similar_users_as_a_source_vote_as_the_batch_does():
    histories = random_histories(40, 25, seed=4)
    plain = UserNeighboursSettings(count=7, shrinkage=3.0)
    source, batch = fit_similar_users(histories, 25, plain), fit_user_neighbours(histories, 25, plain)
    asked = random_histories(10, 25, seed=5)
    expected = batch.scores(asked)
    population = Population.of(np.ones(25, bool))
    for one, row in zip(asked, expected, strict=True):
        scores = source.scores(SourceQuery(events=one), np.arange(25), population).scores
        assert np.allclose(np.where(np.isfinite(scores), scores, 0), row, atol=1e-5)


def test_similar_users_weigh_the_last_events_more_by_their_half_life():
    source = fit_similar_users((history(0, 2), history(1, 3)), 4, UserNeighboursSettings(count=2, shrinkage=1.0))
    none = np.zeros(4, bool)
    by_order = SourceQuery(events=history(0, 1), half_lives={source.name: 1.0})
    rows, scores = source.search(by_order, 4, none | (np.arange(4) < 2))
    assert rows.tolist() == [3, 2]
    norm = np.sqrt(1 + 0.25) * np.sqrt(2) + 1
    assert np.allclose(scores, [1 / norm, 0.5 / norm])


def test_a_request_about_what_everybody_chose_takes_memory_by_users_not_by_choices(monkeypatch):
    users, items = 2_000, 300
    source = SimilarUsersSource(
        np.arange(users + 1) * items, np.tile(np.arange(items), users), items, Neighbourhood(5, 1.0)
    )
    asked = SourceQuery(events=history(*range(items)))
    rows, scores = source.search(asked, 10, np.zeros(items, bool))
    monkeypatch.setattr("core.retrieval.similar_users._CHOICES_AT_ONCE", 10_000)
    tracemalloc.start()
    found = source.search(asked, 10, np.zeros(items, bool))  # all users are equally near, so that all of them vote
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found[0].tolist() == rows.tolist()
    assert np.allclose(found[1], scores)
    assert peak < 2 * users * items


def test_at_most_the_limit_of_users_is_kept_and_none_at_all_answers_nothing():
    histories = random_histories(40, 25, seed=4)
    assert fit_similar_users(histories, 25, UserNeighboursSettings(user_limit=10)).user_count == 10
    nobody = fit_similar_users(histories, 25, UserNeighboursSettings(user_limit=0))
    assert not nobody.can_answer(SourceQuery(events=history(1)))


def test_damaged_similar_users_are_refused(tmp_path):
    path = tmp_path / "similar_users.npz"
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ValueError, match="not a whole"):
        SimilarUsersSource.load(path)
    for ends, rows in (([0, 3], [0, 1]), ([0, 2], [0, 9]), ([0, 2, 1, 2], [0, 1])):
        with pytest.raises(ValueError, match="rows"):
            SimilarUsersSource(np.array(ends), np.array(rows), 4, Neighbourhood(1, 0.0))
