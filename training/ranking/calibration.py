"""From logits to probabilities that mean what they say, and how far they do."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize


@dataclass(frozen=True)
class Calibration:
    """probability = 1 / (1 + exp(-(slope x logit + intercept))) (Platt 1999)."""

    slope: float = 1.0
    intercept: float = 0.0

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Returns float64 of the same shape, 0 to 1."""
        exponent = np.clip(self.slope * np.asarray(logits, np.float64) + self.intercept, -500, 500)
        return 1 / (1 + np.exp(-exponent))


@dataclass(frozen=True)
class Reliability:
    """Reliability of probabilities.

    Attributes:
        brier: mean squared difference of probability and outcome.
        mean_probability: float64[bins], mean probability by bin.
        came_true: float64[bins], share of outcomes by bin.
        counts: int64[bins].
    """

    brier: float
    mean_probability: np.ndarray
    came_true: np.ndarray
    counts: np.ndarray


def fit_calibration(logits: np.ndarray, chosen: np.ndarray) -> Calibration:
    """Finds slope and intercept by maximum likelihood, with Platt's smoothed outcomes.

    Args:
        logits: float32[m].
        chosen: bool[m].
    """
    x, hit = np.asarray(logits, np.float64), np.asarray(chosen, bool)
    positives, negatives = int(hit.sum()), int((~hit).sum())
    target = np.where(hit, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    spread = x.std() or 1.0

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = parameters[0] * x / spread + parameters[1]
        slope = 1 / (1 + np.exp(-np.clip(z, -500, 500))) - target
        return float((np.logaddexp(0, z) - target * z).mean()), np.array([(slope * x / spread).mean(), slope.mean()])

    start = np.array([1.0, np.log((positives + 1) / (negatives + 1))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)]).x
    return Calibration(float(found[0] / spread), float(found[1]))


def reliability(probabilities: np.ndarray, chosen: np.ndarray, bins: int = 10) -> Reliability:
    """Compares float[m] probabilities with bool[m] outcomes in bins of equal counts."""
    order = np.argsort(probabilities, kind="stable")
    mean_probability = np.asarray(probabilities, np.float64)[order]
    observed = np.asarray(chosen, np.float64)[order]
    parts = [part for part in np.array_split(np.arange(len(mean_probability)), bins) if len(part)]
    return Reliability(
        float(((mean_probability - observed) ** 2).mean()) if len(mean_probability) else 0.0,
        np.array([mean_probability[part].mean() for part in parts]),
        np.array([observed[part].mean() for part in parts]),
        np.array([len(part) for part in parts]),
    )
