"""Split of interactions into training histories and evaluation cases, and the protocol of every scorer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

from core.events import EventSequence


@dataclass(frozen=True)
class EvalCase:
    """One user's history with the items to be found.

    Attributes:
        user_id: of the user.
        history: the known events.
        targets: int64[T], T >= 1, rows that the user chose; none of them is in the history.
        hidden: int64[H], rows cut from the history: neither targets nor to be recommended.
    """

    user_id: str
    history: EventSequence
    targets: np.ndarray
    hidden: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True)
class EvalSet:
    """Cases with one set of candidates.

    Attributes:
        cases: the cases.
        candidates: bool[n], rows that may be recommended; a case's own history is left out besides.
    """

    cases: tuple[EvalCase, ...]
    candidates: np.ndarray

    def sample(self, limit: int, seed: int) -> "EvalSet":
        """Returns at most `limit` cases, drawn by the seed and in their order; itself where there are no more."""
        if len(self.cases) <= limit:
            return self
        drawn = np.sort(np.random.default_rng(seed).choice(len(self.cases), limit, replace=False))
        return EvalSet(tuple(self.cases[place] for place in drawn.tolist()), self.candidates)


@dataclass(frozen=True)
class Split:
    """Interactions divided for training, selection and evaluation.

    Attributes:
        protocol: its name.
        item_ids: by row; the catalogue's order where there is a catalogue.
        train: one history a training user, of at least one event.
        validation: selects models and settings.
        tests: evaluated once a model; several where the protocol draws several times.
        known: bool[n], rows that occur in training.
    """

    protocol: str
    item_ids: tuple[str, ...]
    train: tuple[EventSequence, ...]
    validation: EvalSet
    tests: tuple[EvalSet, ...]
    known: np.ndarray


class Scorer(Protocol):
    """Anything that scores the catalogue for histories."""

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n], higher is better, for every row of the catalogue; -inf where it has no score."""


def interaction_matrix(histories: Sequence[EventSequence], item_count: int) -> csr_array:
    """Returns float32[users, items], 1 where the user had to do with the item."""
    rows = [np.unique(history.rows) for history in histories]
    ends = np.cumsum([0, *(len(each) for each in rows)])
    columns = np.concatenate(rows) if rows else np.empty(0, np.int64)
    return csr_array((np.ones(len(columns), np.float32), columns, ends), shape=(len(rows), item_count))


def met_matrix(histories: Sequence[EventSequence], item_count: int, impression_weight: float) -> csr_array:
    """Returns float32[users, items]: 1 for chosen items, `impression_weight` for impressions, else 0."""
    chosen = interaction_matrix(histories, item_count)
    if impression_weight <= 0:
        return chosen
    rows = [np.setdiff1d(history.impressions, history.rows) for history in histories]
    ends = np.cumsum([0, *(len(each) for each in rows)])
    columns = np.concatenate(rows) if rows else np.empty(0, np.int64)
    weights = np.full(len(columns), impression_weight, np.float32)
    return csr_array(chosen + csr_array((weights, columns, ends), shape=chosen.shape))
