"""The most telling questions for somebody of whom nothing is known: active learning with a Gaussian process.

A taste is a function over items, a priori with mean 0 and the covariance k(x, y) = max(0, centred cosine). An answer on
x lowers the variance of each item y by k(x, y | answers)^2 / (k(x, x | answers) + noise); the next question is the one
that lowers most of it, over the items that people choose (Cohn's criterion; C. E. Rasmussen, C. K. I. Williams,
Gaussian Processes for Machine Learning, 2006, section 2.2).
"""

from dataclasses import dataclass

import numpy as np

from core.vectors import unit

_NOISE = 0.3


@dataclass(frozen=True)
class Question:
    """An item to ask about.

    Attributes:
        place: in the candidates.
        gain: share of the uncertainty that is left which the answer settles, 0 to 1.
    """

    place: int
    gain: float


def best_questions(
    vectors: np.ndarray, mean: np.ndarray, weights: np.ndarray, answered: np.ndarray, count: int
) -> list[Question]:
    """Returns the most telling questions, each as if those before were answered.

    Args:
        vectors: float32[C, d], candidates, unit; zeros for what has no text.
        mean: float32[d], of the catalogue.
        weights: float[C], at least 0: how likely the person is to know the item, which is how much it matters too.
        answered: float32[A, d], items that the person spoke of already.
        count: how many.
    """
    everything = np.concatenate([answered, vectors])
    centred = unit(everything - mean)
    centred[~everything.any(axis=1)] = 0
    covariance = np.maximum(centred @ centred.T, 0).astype(np.float64)
    for place in range(len(answered)):
        _settle(covariance, place)
    covariance = covariance[len(answered) :, len(answered) :]
    allowed: np.ndarray = np.asarray(vectors.any(axis=1))
    shares = weights / max(float(weights.sum()), 1e-12)
    found: list[Question] = []
    while len(found) < count and allowed.any():
        variance = np.maximum(np.diag(covariance), 0)
        left = float(shares @ variance)
        if left <= 1e-9:
            break
        settled = shares @ covariance**2 / (variance + _NOISE)
        place = int(np.argmax(np.where(allowed, settled * shares, -1.0)))
        found.append(Question(place, float(min(1.0, settled[place] / left))))
        allowed[place] = False
        _settle(covariance, place)
    return found


def _settle(covariance: np.ndarray, place: int) -> None:
    """Conditions float64[m, m] on an answer at a place, in place."""
    column = covariance[:, place].copy()
    covariance -= np.outer(column, column) / (column[place] + _NOISE)
