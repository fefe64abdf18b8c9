"""Tiny sequences with an order to learn: each item is followed by the next one."""

import numpy as np

from core.events import EventSequence
from domain.progress import SilentProgress
from training.splits.split import EvalCase, EvalSet, Split

ITEM_COUNT = 12


def history(rows, *, gap_s=60.0):
    rows = np.asarray(rows, np.int64)
    age_s = np.arange(len(rows) - 1, -1, -1, dtype=np.float32) * gap_s
    return EventSequence(rows, np.full(len(rows), 2, np.int64), age_s)


def ring_split(*, users=60, seed=0, unseen=()):
    """Users walk around a ring of items; rows in `unseen` occur in no history."""
    rng = np.random.default_rng(seed)
    ring = [row for row in range(ITEM_COUNT) if row not in unseen]
    train, cases = [], []
    for user in range(users):
        walk = [ring[(rng.integers(len(ring)) + step) % len(ring)] for step in [0]]
        start = ring.index(walk[0])
        walk = [ring[(start + step) % len(ring)] for step in range(rng.integers(4, 9))]
        train.append(history(walk[:-1]))
        cases.append(EvalCase(str(user), history(walk[:-1]), np.array(walk[-1:])))
    known = np.array([row not in unseen for row in range(ITEM_COUNT)])
    part = EvalSet(tuple(cases), known)
    return Split("next-item", tuple(f"i{row:02}" for row in range(ITEM_COUNT)), tuple(train), part, (part,), known)


def ring_vectors():
    """float32[ITEM_COUNT, 6], unit, random but fixed."""
    vectors = np.random.default_rng(5).standard_normal((ITEM_COUNT, 6)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Recorder(SilentProgress):
    """Progress that may break off a training, as a kill would."""

    def __init__(self, stop_after=None, curve="loss"):
        self.steps, self.curves, self.stop_after, self.curve = [], {}, stop_after, curve

    def step(self, message):
        self.steps.append(message)

    def metric(self, name, step, value):
        if name.endswith(self.curve) and self.stop_after is not None and step > self.stop_after:
            raise KeyboardInterrupt
        self.curves.setdefault(name, []).append(value)
