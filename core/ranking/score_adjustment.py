"""Boosts and novelty: changes of scores before places are given.

Scores have no common scale, so both count in the distance between the first and the hundredth score.
"""

import numpy as np

# Place whose score ends the scale.
SCALE_PLACES = 100


def unit_scale(scores: np.ndarray) -> tuple[float, float]:
    """Returns the score that counts as 0 and the length of the scale, for float64[m], best first; 0, 0 without any.

    The scale ends at the first and at the hundredth score, so that a longer list has the same.
    """
    if not len(scores):
        return 0.0, 0.0
    low = float(scores[:SCALE_PLACES][-1])
    return low, float(scores[0]) - low


def adjusted_scores(
    scores: np.ndarray, boosts: np.ndarray, chosen_shares: np.ndarray | None, novelty: float
) -> np.ndarray:
    """Returns float64[m], scores after novelty and boosts.

    unit = (score - low) / (high - low); adjusted = (1 - novelty) unit + novelty (1 - chosen share) + boost

    Args:
        scores: float64[m], best first.
        boosts: float64[m], -1 to 1.
        chosen_shares: float64[m], 0 for what few chose, 1 for what most chose; None where that is unknown.
        novelty: 0 to 1.
    """
    low, length = unit_scale(scores)
    # Equal scores have no scale of their own; the result is then in units.
    units = (scores - low) / length if length > 0 else np.zeros(len(scores))
    if chosen_shares is not None and novelty > 0:
        units = (1 - novelty) * units + novelty * (1 - chosen_shares)
    units = units + boosts
    adjusted: np.ndarray = low + units * (length if length > 0 else 1.0)
    return adjusted
