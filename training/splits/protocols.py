"""Protocols that divide interactions: cold items, held-out users, the next item, and files that are divided already."""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from core.events import EventSequence
from domain.errors import NothingToLearnFrom, SplitRefused
from domain.item import Item
from training.interactions.positives import Chosen, Positives, catalogue_rows, read_positives
from training.interactions.table import Interactions
from training.splits.split import EvalCase, EvalSet, Split

PROTOCOLS = ("cold-items", "warm-users", "next-item")
DEFAULT_SEED = 42

_TEST_SHARE = 0.2
_VALIDATION_SHARE = 0.1
_SOURCE_SHARE = 0.8
_FEWEST_EVENTS = 5
_FEWEST_SEQUENCE_EVENTS = 3
_DRAWS = 5
Candidates = Literal["catalogue", "test-items"]


def split_by(
    protocol: str, positives: Positives, items: Sequence[Item] | None = None, seed: int = DEFAULT_SEED
) -> Split:
    """Divides by the protocol of this name; `items` is the catalogue, None where there is none.

    Raises:
        SplitRefused: no such protocol.
        NothingToLearnFrom: too few users or items for it.
    """
    if protocol == "cold-items":
        return cold_items(positives, items_with_text(items, len(positives.item_ids)), seed)
    if protocol == "warm-users":
        return warm_users(positives, seed)
    if protocol == "next-item":
        return next_item(positives)
    raise SplitRefused(f'no protocol is named "{protocol}"; there are {", ".join(PROTOCOLS)}')


def items_with_text(items: Sequence[Item] | None, item_count: int) -> np.ndarray:
    """Returns bool[n]: which have a text, where any item has one, else a title; all where there is no catalogue."""
    if items is None:
        return np.ones(item_count, bool)
    texts = np.array([bool(item.text.strip()) for item in items])
    return texts if texts.any() else np.array([bool(item.title.strip()) for item in items])


def cold_items(positives: Positives, has_text: np.ndarray, seed: int = DEFAULT_SEED) -> Split:
    """Holds out a fifth of the items with text and a choice; they alone are candidates.

    Users with fewer than five choices are left out.

    Args:
        positives: what users chose.
        has_text: bool[n], items that may be drawn.
        seed: of the draw; ids are sorted as strings first.

    Raises:
        NothingToLearnFrom: too few users or items.
    """
    users = list(positives.users(_FEWEST_EVENTS))
    chosen = _rows_chosen(user.rows for _, user in users)
    ids = np.array(sorted(positives.item_ids[row] for row in chosen[has_text[chosen]]))
    row_of = {item_id: row for row, item_id in enumerate(positives.item_ids)}
    rng = np.random.default_rng(seed)
    test_ids, validation_ids = _drawn(rng, ids, "items with text that users chose")
    test, validation = (
        _mask(positives, [row_of[item_id] for item_id in drawn]) for drawn in (test_ids, validation_ids)
    )
    train, validation_cases, test_cases = [], [], []
    for user_id, user in users:
        in_test, in_validation = test[user.rows], validation[user.rows]
        if (kept := ~in_test & ~in_validation).any():
            history = user.history(kept)
            train.append(history)
            if in_validation.any():
                validation_cases.append(EvalCase(user_id, history, user.rows[in_validation]))
        if in_test.any() and not in_test.all():
            test_cases.append(EvalCase(user_id, user.history(~in_test), user.rows[in_test]))
    parts = (EvalSet(tuple(validation_cases), validation), EvalSet(tuple(test_cases), test))
    return _checked("cold-items", positives, train, parts[0], parts[1:])


def warm_users(positives: Positives, seed: int = DEFAULT_SEED) -> Split:
    """Holds out a fifth of the users; of each a random 80 % is known and the rest is the target, drawn five times.

    Users with fewer than five choices are left out.

    Raises:
        NothingToLearnFrom: too few users or items.
    """
    users = dict(positives.users(_FEWEST_EVENTS))
    rng = np.random.default_rng(seed)
    test, validation = _drawn(rng, np.array(sorted(users)), f"users with at least {_FEWEST_EVENTS} choices")
    held_out = {*test, *validation}
    train = [user.whole() for user_id, user in users.items() if user_id not in held_out]
    known = _known(positives, train)

    def drawn(user_ids: np.ndarray) -> EvalSet:
        return EvalSet(tuple(_random_case(rng, user_id, users[user_id]) for user_id in sorted(user_ids)), known)

    validation_part = drawn(validation)
    return _checked("warm-users", positives, train, validation_part, tuple(drawn(test) for _ in range(_DRAWS)))


def next_item(positives: Positives) -> Split:
    """Takes the last item as the test and the last but one as the validation, which is known at test time.

    A case is left out where its item occurs in no history known by then (validation items are known at test time); the
    items that do occur are the candidates.

    Raises:
        NothingToLearnFrom: too few users or items, or the order of events is unknown.
    """
    if positives.time_s is not None and not positives.ordered:
        raise NothingToLearnFrom(
            "every interaction has the same timestamp, so the last is unknown; use another protocol, or give a position"
        )
    users = list(positives.users(_FEWEST_SEQUENCE_EVENTS))
    train = [user.history(slice(-2)) for _, user in users]
    parts = []
    for place in (-2, -1):
        known = _mask(positives, _rows_chosen(user.rows[:place] for _, user in users))
        cases = []
        for user_id, user in users:
            if known[user.rows[place]]:
                now_s = None if user.time_s is None else float(user.time_s[place])
                cases.append(EvalCase(user_id, user.history(slice(place), now_s), user.rows[[place]]))
        parts.append(EvalSet(tuple(cases), known))
    return _checked("next-item", positives, train, parts[0], (parts[1],))


def own_split(
    train: Positives, test: Positives, candidates: Candidates = "catalogue", seed: int = DEFAULT_SEED
) -> Split:
    """Returns the split of interactions that somebody divided; validation is taken from training in the same way.

    Args:
        train: the known interactions, see `read_own_split`.
        test: the targets, over the same catalogue.
        candidates: items that may be recommended: the whole catalogue, or only items that occur in the test.
        seed: of the draw of the validation part.

    Raises:
        NothingToLearnFrom: no user of the test occurs in training, or too little is left.
    """
    known_users = dict(train.users(1))
    cases = []
    for user_id, user in test.users(1):
        if user_id in known_users:
            first_s = None if user.time_s is None or train.time_s is None else float(user.time_s[0])
            cases.append(EvalCase(user_id, known_users[user_id].history(slice(None), first_s), user.rows))
    targets = np.concatenate([case.targets for case in cases]) if cases else np.empty(0, np.int64)
    allowed = _mask(train, targets) if candidates == "test-items" else np.ones(len(train.item_ids), bool)
    part = EvalSet(tuple(cases), allowed)
    cold = len(targets) > 0 and not _mask(train, train.rows)[targets].mean() > 0.5  # most targets are new
    rng = np.random.default_rng(seed)
    train_histories, validation = (_hold_items if cold else _hold_events)(rng, train, known_users)
    return _checked("own split", train, train_histories, validation, (part,))


def everything(positives: Positives, seed: int = DEFAULT_SEED) -> Split:
    """Returns the split of a model for use: only validation is held out, the last events of a tenth of the users.

    Raises:
        NothingToLearnFrom: too few users or items.
    """
    rng = np.random.default_rng(seed)
    train, validation = _hold_events(rng, positives, dict(positives.users(1)))
    return _checked("everything", positives, train, validation, ())


def read_own_split(
    train: Interactions,
    test: Interactions,
    item_ids: Sequence[str] | None = None,
    positive_rating: float | None = None,
) -> tuple[Positives, Positives]:
    """Reads training and test interactions over one catalogue, with one rule of what is positive.

    Without a catalogue the items of the training file are the catalogue.

    Raises:
        SplitRefused: a user has the same item in training and in the test; or most items are unknown.
        NothingToLearnFrom: no positives on one side.
    """
    ids = train.item_ids if item_ids is None else tuple(item_ids)
    _check_disjoint(train, test, ids)
    train_positives = read_positives(train, ids, positive_rating)
    if train_positives.rule.rating is not None:
        positive_rating = train_positives.rule.rating
    return train_positives, read_positives(test, ids, positive_rating, least=1)


def _check_disjoint(train: Interactions, test: Interactions, item_ids: Sequence[str]) -> None:
    users = {user_id: place for place, user_id in enumerate(train.user_ids)}
    test_user = np.array([users.get(user_id, -1) for user_id in test.user_ids], np.int64)[test.user]
    rows = [catalogue_rows(file, item_ids)[file.item] for file in (train, test)]
    keys = [user * len(item_ids) + row for user, row in zip((train.user, test_user), rows, strict=True)]
    both = np.flatnonzero(np.isin(keys[1], keys[0]) & (test_user >= 0) & (rows[1] >= 0))
    if len(both):
        user_id, item_id = test.user_ids[test.user[both[0]]], item_ids[rows[1][both[0]]]
        raise SplitRefused(
            f'{len(both):,} interaction(s) of the test occur in training too, for example user "{user_id}" with item '
            f'"{item_id}"; test pairs leak into training. Remove them from one of the two files'
        )


def _hold_items(
    rng: np.random.Generator, positives: Positives, users: dict[str, Chosen]
) -> tuple[list[EventSequence], EvalSet]:
    """Holds back a tenth of the items."""
    ids = np.array(sorted(positives.item_ids[row] for row in np.unique(positives.rows)))
    drawn = rng.choice(ids, max(1, int(_VALIDATION_SHARE * len(ids))), replace=False)
    row_of = {item_id: row for row, item_id in enumerate(positives.item_ids)}
    held_out = _mask(positives, [row_of[item_id] for item_id in drawn])
    train, cases = [], []
    for user_id, user in users.items():
        in_held = held_out[user.rows]
        if not in_held.all():
            train.append(user.history(~in_held))
            if in_held.any():
                cases.append(EvalCase(user_id, train[-1], user.rows[in_held]))
    return train, EvalSet(tuple(cases), held_out)


def _hold_events(
    rng: np.random.Generator, positives: Positives, users: dict[str, Chosen]
) -> tuple[list[EventSequence], EvalSet]:
    """Holds back the last fifth of the events, at least one, of a tenth of the users with two or more."""
    able = np.array(sorted(user_id for user_id, user in users.items() if len(user) > 1))
    drawn = set(rng.choice(able, max(1, int(_VALIDATION_SHARE * len(able))), replace=False)) if len(able) else set()
    train, held_cases = [], []
    for user_id, user in users.items():
        source = len(user)
        if user_id in drawn:
            source = _source_count(len(user))
            held_cases.append((user_id, user, source))
        train.append(user.history(slice(source)) if user_id in drawn else user.whole())
    cases = []
    for user_id, user, source in held_cases:
        now_s = None if user.time_s is None else float(user.time_s[source])
        cases.append(EvalCase(user_id, user.history(slice(source), now_s), user.rows[source:]))
    return train, EvalSet(tuple(cases), np.ones(len(positives.item_ids), bool))


def _random_case(rng: np.random.Generator, user_id: str, user: Chosen) -> EvalCase:
    source = np.zeros(len(user), bool)
    source[rng.choice(len(user), _source_count(len(user)), replace=False)] = True
    return EvalCase(user_id, user.history(source), user.rows[~source])


def _source_count(event_count: int) -> int:
    return max(1, min(event_count - 1, round(_SOURCE_SHARE * event_count)))


def _drawn(rng: np.random.Generator, ids: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Draws the test's fifth, then the validation's tenth of the rest."""
    if len(ids) < 5:
        raise NothingToLearnFrom(f"{len(ids):,} {what}; at least 5 are needed to divide them, better thousands")
    test = rng.choice(ids, int(_TEST_SHARE * len(ids)), replace=False)
    rest = np.array(sorted(set(ids) - set(test)))
    return test, rng.choice(rest, max(1, int(_VALIDATION_SHARE * len(rest))), replace=False)


def _rows_chosen(rows: Iterable[np.ndarray]) -> np.ndarray:
    rows = list(rows)
    return np.unique(np.concatenate(rows)) if rows else np.empty(0, np.int64)


def _mask(positives: Positives, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    mask = np.zeros(len(positives.item_ids), bool)
    mask[np.asarray(rows, np.int64)] = True
    return mask


def _known(positives: Positives, train: Sequence[EventSequence]) -> np.ndarray:
    return _mask(positives, _rows_chosen(history.rows for history in train))


def _checked(
    name: str, positives: Positives, train: Sequence[EventSequence], validation: EvalSet, tests: tuple[EvalSet, ...]
) -> Split:
    for what, count in (
        ("training user", len(train)),
        ("validation case", len(validation.cases)),
        ("test case", min((len(part.cases) for part in tests), default=1)),
    ):
        if not count:
            raise NothingToLearnFrom(
                f"{name}: no {what} remains of {len(positives):,} positive interactions of {len(positives.user_ids):,} "
                "users; more interactions are needed, or another protocol"
            )
    return Split(name, positives.item_ids, tuple(train), validation, tests, _known(positives, train))
