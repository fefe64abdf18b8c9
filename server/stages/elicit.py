"""Chooses what to ask a new caller about."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.kept_masks import own
from core.ranking.blend import PRIOR
from core.ranking.elicit import best_questions
from core.retrieval.source import SourceQuery
from server.stages.release import ServingRelease

# Popular items that a question is chosen from: who has no opinion tells nothing.
_CANDIDATES = 400


@dataclass(frozen=True)
class ElicitedItem:
    """Item to ask about.

    Attributes:
        id: its id.
        title: its title, or its text.
        expected_gain: share of what is unknown that an answer settles, 0 to 1.
    """

    id: str
    title: str
    expected_gain: float


def elicit(release: ServingRelease, answered: Sequence[str], excluded: Sequence[str], count: int) -> list[ElicitedItem]:
    """Returns the most telling items to ask about, the best first; in a worker thread.

    Args:
        release: the release.
        answered: items that the caller spoke of; they are not asked about again.
        excluded: items not to ask about.
        count: how many.
    """
    catalogue = release.catalogue
    blocked = own(catalogue.blocked_by(()))
    known = list(catalogue.rows_of(answered).values())
    blocked[known] = True
    blocked[list(catalogue.rows_of(excluded).values())] = True
    rows, weights = _candidates(release, blocked)
    if not len(rows):
        return []
    questions = best_questions(
        catalogue.vectors_of(rows.tolist()), catalogue.mean, weights, catalogue.vectors_of(known), count
    )
    chosen = [int(rows[question.place]) for question in questions]
    items = catalogue.items_of(chosen)
    return [
        ElicitedItem(item.id, item.title or item.text, question.gain)
        for item, question in zip(items, questions, strict=True)
    ]


def _candidates(release: ServingRelease, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows that may be asked about, and how likely each is known: what is popular, else a cross-section."""
    popular = release.sources.get(PRIOR)
    if popular is not None:
        rows, scores = popular.search(SourceQuery(), _CANDIDATES, blocked)
        if len(rows):
            return rows, np.exp(scores.astype(np.float64))
    allowed = np.flatnonzero(~blocked)
    rows = allowed[:: max(1, -(-len(allowed) // _CANDIDATES))]
    return rows, np.ones(len(rows))
