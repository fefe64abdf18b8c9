"""Calibration: from logits to probabilities."""

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
