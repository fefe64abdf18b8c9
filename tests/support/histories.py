"""Small histories for the tests of models that learn from them."""

from collections.abc import Sequence

import numpy as np

from core.events import EventSequence
from training.splits.split import EvalCase, EvalSet


def history(*rows: int, age_s: Sequence[float] | None = None) -> EventSequence:
    ages = np.zeros(len(rows)) if age_s is None else np.asarray(age_s)
    return EventSequence(np.asarray(rows, np.int64), np.full(len(rows), 2, np.int64), ages.astype(np.float32))


def part(item_count: int, *cases: tuple[tuple[int, ...], tuple[int, ...]]) -> EvalSet:
    made = tuple(
        EvalCase(str(n), history(*known), np.asarray(targets, np.int64)) for n, (known, targets) in enumerate(cases)
    )
    return EvalSet(made, np.ones(item_count, bool))


def random_histories(users: int, items: int, seed: int, taste_count: int = 3) -> tuple[EventSequence, ...]:
    """Users like items of one taste, item i having taste i modulo the number of tastes, and now and then another."""
    rng = np.random.default_rng(seed)
    made = []
    for user in range(users):
        liked = np.arange(user % taste_count, items, taste_count)
        chosen = rng.choice(liked, rng.integers(2, len(liked) + 1), replace=False)
        other = rng.integers(items)
        made.append(history(*chosen, *([other] if other not in chosen else [])))
    return tuple(made)
