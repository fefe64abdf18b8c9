"""Items that are like what a caller dislikes sink."""

import numpy as np

from core.vectors import unit

# Centred cosines: up to the first, items have nothing to do with one another; from the second on they are of one kind.
RAMP = (0.25, 0.7)
# How far an item of the same kind sinks, in spreads of the scores of a list; measured, see docs/evaluation.md.
STRENGTH = 7.0
# The same beside a text, which leads: an item that fits it better stays before one that merely is unlike a dislike.
STRENGTH_BESIDE_TEXT = 2.0
# Showings without a touch that say nothing yet, and how many more halve the doubt.
IGNORED_FROM = 2
IGNORED_HALVING = 3.0
# How far an item sinks that was shown over and over and never touched, in spreads of the scores of a list.
STRENGTH_IGNORED = 2.0
STRENGTH_IGNORED_BESIDE_TEXT = 0.5


def dislike_share(
    vectors: np.ndarray, disliked: np.ndarray, mean: np.ndarray, ramp: tuple[float, float] = RAMP
) -> np.ndarray:
    """Returns float32[C], 0 to 1: how much each item is like the disliked item that it is most like.

    Args:
        vectors: float32[C, d], zeros for an item that cannot be read.
        disliked: float32[D, d], D at least 1.
        mean: float32[d], of the catalogue.
        ramp: centred cosines at which the share begins, and reaches 1.
    """
    readable, known = vectors.any(axis=1), disliked[disliked.any(axis=1)]
    if not len(known):
        return np.zeros(len(vectors), np.float32)
    cosines = (unit(vectors - mean) @ unit(known - mean).T).max(axis=1)
    share: np.ndarray = np.where(readable, np.clip((cosines - ramp[0]) / (ramp[1] - ramp[0]), 0, 1), 0)
    return share.astype(np.float32)


def ignored_shares(counts: np.ndarray) -> np.ndarray:
    """Returns float32[C], 0 to 1: how sure it is by so many untouched showings, int64[C], that an item is not wanted.

    Two showings say nothing, as a list is seldom read to its end; from then on each halves what is left of the doubt in
    part: 1 - 2^(-(n - 2) / 3).
    """
    shares: np.ndarray = 1 - np.exp2(-np.maximum(counts - IGNORED_FROM, 0) / IGNORED_HALVING)
    return shares.astype(np.float32)


def sunk(scores: np.ndarray, shares: np.ndarray, strength: float) -> np.ndarray:
    """Returns float64[C], scores less `strength` of their spreads for an item that is all alike."""
    spread = float(scores.std()) if len(scores) else 0.0
    lowered: np.ndarray = scores.astype(np.float64) - strength * spread * shares
    return lowered
