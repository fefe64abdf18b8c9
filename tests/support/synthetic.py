"""A world in which text says who likes what, though not in the words that catch the eye."""

import numpy as np

from core.events import EventSequence
from training.splits.split import EvalCase, EvalSet, Split

GROUPS = 4


def texts_and_groups(count: int, seed: int = 0):
    """Each text has one word of its taste among several of noise."""
    generator = np.random.default_rng(seed)
    groups = generator.integers(0, GROUPS, count)
    texts = []
    for group in groups:
        words = [f"word{number}" for number in generator.choice(np.arange(20, 60), 4)]
        words.insert(int(generator.integers(0, 5)), f"word{group * 2 + int(generator.integers(0, 2))}")
        texts.append(" ".join(words))
    return texts, groups


def cold_split(groups: np.ndarray, users: int = 60, seed: int = 0) -> Split:
    """Users who like one group; a tenth of the items validate, a fifth are for the test."""
    generator = np.random.default_rng(seed)
    count = len(groups)
    order = generator.permutation(count)
    tests, validation = np.zeros(count, bool), np.zeros(count, bool)
    tests[order[: count // 5]] = True
    validation[order[count // 5 : count // 5 + count // 10]] = True
    train, asked, judged = [], [], []
    for user in range(users):
        liked = generator.permutation(np.flatnonzero(groups == user % GROUPS))[: count // GROUPS // 2]
        source = history(liked[~tests[liked] & ~validation[liked]])
        train.append(source)
        for mask, cases in ((validation, asked), (tests, judged)):
            if mask[liked].any():
                cases.append(EvalCase(str(user), source, liked[mask[liked]]))
    known = np.zeros(count, bool)
    known[np.concatenate([each.rows for each in train])] = True
    ids = tuple(f"{row:04}" for row in range(count))
    return Split(
        "cold-items", ids, tuple(train), EvalSet(tuple(asked), validation), (EvalSet(tuple(judged), tests),), known
    )


def history(rows) -> EventSequence:
    rows = np.asarray(rows, np.int64)
    return EventSequence(rows, np.zeros(len(rows), np.int64), np.zeros(len(rows), np.float32))
