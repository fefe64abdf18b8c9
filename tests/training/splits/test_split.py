import numpy as np

from core.events import EventSequence
from training.splits.split import interaction_matrix


def _history(rows, age_s=None):
    return EventSequence(
        np.array(rows), np.zeros(len(rows), np.int64), np.array(age_s or [0.0] * len(rows), np.float32)
    )


def test_events_before_a_place_have_their_ages_measured_from_it():
    history = _history([4, 2, 7], age_s=[30.0, 20.0, 5.0])
    before = history.before(2)
    assert before.rows.tolist() == [4, 2]
    assert before.age_s.tolist() == [25.0, 15.0]
    assert history.before(3).age_s.tolist() == [30.0, 20.0, 5.0]


def test_the_matrix_counts_an_item_once_a_user():
    matrix = interaction_matrix([_history([1, 1, 2]), _history([0])], 4)
    assert matrix.toarray().tolist() == [[0, 1, 1, 0], [1, 0, 0, 0]]
