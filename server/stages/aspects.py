"""Lets goods move up that are praised for what the caller's comments care about (price, quality, service ...)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.aspects.profile import aspect_affinity
from core.ranking.fusion import RANK_OFFSET, Candidate
from server.catalogue.aspects import ItemAspects


def by_aspects(candidates: Sequence[Candidate], user: np.ndarray, items: ItemAspects, count: int) -> list[Candidate]:
    """Returns the best candidates after those that suit the comments moved up, and others down.

    The score is 1 / (60 + place) as where lists are joined, plus affinity / 61: what is praised to the full in all that
    the caller cares about moves as far as from anywhere to the top.

    Args:
        candidates: best first.
        user: float32[A], what the comments say, signed.
        items: what reviews say of the catalogue.
        count: how many to return.
    """
    if not candidates:
        return []
    affinity = aspect_affinity(user, items.of([candidate.row for candidate in candidates])).astype(np.float64)
    scores = 1.0 / (RANK_OFFSET + 1 + np.arange(len(candidates))) + affinity / (RANK_OFFSET + 1)
    best = np.argsort(-scores, kind="stable")[:count]
    return [replace(candidates[place], score=float(scores[place])) for place in best]
