"""Cases by which a model and a release are compared."""

from dataclasses import replace

import numpy as np

from core.events import EventSequence
from training.evaluation.against_release import _fair_part, later_answers
from training.evaluation.released import ReleasedModel
from training.interactions.positives import PositiveRule, Positives
from training.splits.split import EvalCase, EvalSet

SPLIT = {"protocol": None, "seed": 1, "positive_rating": None, "interactions_sha256": "new", "items_sha256": "b"}


def _positives(users, times):
    """`times` per user: the events' times, for the rows 0, 1 and so on."""
    count = len(times)
    return Positives(
        tuple(f"i{row}" for row in range(count)),
        tuple(f"u{user}" for user in range(users)),
        np.arange(0, users * count + 1, count),
        np.tile(np.arange(count), users),
        np.zeros(users * count, np.int64),
        np.tile(np.array(times, float), users),
        True,
        PositiveRule("every interaction"),
        0,
    )


def _part(users):
    """Each user's events 2 to 4 are to be found."""
    history = EventSequence(np.array([0, 1]), np.zeros(2, np.int64), np.zeros(2, np.float32))
    cases = tuple(EvalCase(f"u{user}", history, np.array([2, 3, 4])) for user in range(users))
    return EvalSet(cases, np.ones(5, bool))


def _released(newest_event_s=None, split=None):
    return ReleasedModel("r", None, np.arange(5), newest_event_s, split or {})


def test_answers_before_the_moment_are_hidden():
    later = later_answers(_part(3), _positives(3, [1, 2, 3, 4, 5]), 3.0)
    assert [case.targets.tolist() for case in later.cases] == [[3, 4]] * 3
    assert [case.hidden.tolist() for case in later.cases] == [[2]] * 3
    assert later_answers(_part(3), _positives(3, [1, 2, 3, 4, 5]), 5.0).cases == ()
    assert later_answers(_part(3), replace(_positives(3, [1, 2, 3, 4, 5]), time_s=None), 0.0).cases == ()


def test_answers_later_than_the_releases_training_are_taken():
    positives = _positives(30, [1, 2, 3, 4, 5])
    part, unseen = _fair_part(_part(30), positives, SPLIT, _released(3.0, {**SPLIT, "interactions_sha256": "old"}))
    assert unseen
    assert part.cases[0].targets.tolist() == [3, 4]


def test_all_answers_are_taken_where_too_few_are_later_and_the_release_may_have_seen_them():
    positives = _positives(30, [1, 2, 3, 4, 5])
    for released in (_released(5.0), _released(None)):
        part, unseen = _fair_part(_part(30), positives, SPLIT, released)
        assert not unseen
        assert part.cases[0].targets.tolist() == [2, 3, 4]


def test_a_release_of_the_same_split_saw_none():
    part, unseen = _fair_part(_part(30), _positives(30, [1, 2, 3, 4, 5]), SPLIT, _released(9.0, SPLIT))
    assert unseen
    assert len(part.cases[0].targets) == 3
