"""Fits the calibration of logits to the outcomes of users that the network was not trained on."""

import numpy as np
from scipy.optimize import isotonic_regression, minimize

from core.ranking.match_calibration import MatchCalibration

# Pairs and hits in a bin of the broken line; below this many hits in all the line is left straight.
_FEWEST_PAIRS = 200
_FEWEST_HITS = 150
_MOST_BINS = 20


def fit_calibration(logits: np.ndarray, chosen: np.ndarray) -> MatchCalibration:
    """Finds slope and intercept by maximum likelihood, with Platt's smoothed outcomes, and bends the line to the bins.

    A straight line fits where nearly all pairs lie, at small probabilities; the few large ones, which people look at,
    may lie far from it. Bins of as many hits each, made monotone (Ayer et al. 1955), bend it there.

    Args:
        logits: float32[m].
        chosen: bool[m].
    """
    x, hit = np.asarray(logits, np.float64), np.asarray(chosen, bool)
    straight = _straight(x, hit)
    knots, bent = _bent(straight.slope * x + straight.intercept, hit)
    return MatchCalibration(straight.slope, straight.intercept, knots, bent)


def _straight(x: np.ndarray, hit: np.ndarray) -> MatchCalibration:
    positives, negatives = float(hit.sum()), float((~hit).sum())
    target = np.where(hit, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    spread = x.std() or 1.0

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = parameters[0] * x / spread + parameters[1]
        slope = (1 / (1 + np.exp(-np.clip(z, -500, 500))) - target) / len(x)
        return float((np.logaddexp(0, z) - target * z).mean()), np.array([(slope * x / spread).sum(), slope.sum()])

    start = np.array([1.0, np.log((positives + 1) / (negatives + 1))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)]).x
    return MatchCalibration(float(found[0] / spread), float(found[1]))


def _bent(z: np.ndarray, hit: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns knots and values of the broken line; empty where there are too few hits."""
    order = np.argsort(z, kind="stable")
    z, hit = z[order], hit[order]
    bin_count = min(_MOST_BINS, int(hit.sum()) // _FEWEST_HITS, len(z) // _FEWEST_PAIRS)
    if bin_count < 3:
        return (), ()
    edges = np.searchsorted(np.cumsum(hit), np.arange(1, bin_count) * hit.sum() / bin_count)
    bins = [part for part in np.split(np.arange(len(z)), edges) if len(part)]
    totals = np.array([len(part) for part in bins], np.float64)
    hits = np.array([hit[part].sum() for part in bins], np.float64)
    predicted = np.array([(1 / (1 + np.exp(-z[part]))).mean() for part in bins])
    # Half a hit on either side keeps a bin of none, or of all, finite.
    observed = isotonic_regression((hits + 0.5) / (totals + 1), weights=totals).x
    knots, bent = np.log(predicted / (1 - predicted)), np.log(observed / (1 - observed))
    rising = np.append(True, np.diff(knots) > 1e-6)
    return tuple(knots[rising].tolist()), tuple(bent[rising].tolist())
