import numpy as np

from core.events import EventSequence
from training.run.dataset import hold_last_events
from training.splits.split import EvalSet, Split


def _history(rows):
    ages = np.arange(len(rows), 0, -1, dtype=np.float32) * 10
    return EventSequence(np.array(rows), np.zeros(len(rows), np.int64), ages)


def test_last_events_of_some_users_are_held_back_from_training():
    rng = np.random.default_rng(0)
    train = (*(_history(rng.choice(30, 10, replace=False)) for _ in range(30)), _history([3]))
    known = np.ones(30, bool)
    split = Split("cold-items", tuple(str(row) for row in range(30)), train, EvalSet((), known), (), known)
    inner = hold_last_events(split, seed=1)
    assert len(inner.validation.cases) == 3
    shorter = [(a, b) for a, b in zip(train, inner.train, strict=True) if len(a) != len(b)]
    assert len(shorter) == 3
    for (whole, kept), case in zip(shorter, inner.validation.cases, strict=True):
        assert kept.rows.tolist() == whole.rows[:8].tolist()
        assert case.targets.tolist() == whole.rows[8:].tolist()
        assert kept.age_s[-1] == 10
    assert hold_last_events(split, seed=1).validation.cases[0].user_id == inner.validation.cases[0].user_id
