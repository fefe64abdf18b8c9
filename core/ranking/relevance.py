"""Calibrated relevance: from an item's text score to the probability that it is what the text asks for."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from core.ranking.text_blend import TextBlend

# One random pair in a hundred lies above the floor of a claim.
_RANDOM_QUANTILE = 0.99
# Where few kinds of items make many random pairs alike, the floor is no higher than this many spreads above the median,
# a spread being what lies between the median and the quantile that a normal distribution has one deviation below it.
_MOST_SPREADS = 3.5
_ONE_DEVIATION_BELOW = 0.1587
# Share of the texts that mean nothing whose best items lie below the floor.
_FLOOR_QUANTILE = 0.95
_NEWTON_STEPS = 50
# Keeps the slope finite where scores separate the two kinds without overlap.
_RIDGE = 1e-3


@dataclass(frozen=True)
class RelevanceScale:
    """relevance = 1 / (1 + exp(-(slope x score + intercept))) (Platt 1999), fitted when a release is built.

    Attributes:
        slope: above 0.
        intercept: see above.
        floor: least relevance of an answer: below it lie the best items for texts that mean nothing.
        close_from: cosine of a text and an item that few random pairs reach; from it on meaning is claimed.
        resembles_from: the same of two items.
        blend: weights of the text scores that it was fitted on.
    """

    slope: float = 12.0
    intercept: float = -4.8
    floor: float = 0.25
    close_from: float = 0.2
    resembles_from: float = 0.3
    blend: TextBlend = field(default_factory=TextBlend)

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Returns float64 of the shape of text scores, 0 to 1."""
        exponent = np.clip(self.slope * np.asarray(scores, np.float64) + self.intercept, -500, 500)
        shares: np.ndarray = 1 / (1 + np.exp(-exponent))
        return shares

    @classmethod
    def fitted(
        cls, relevant: np.ndarray, irrelevant: np.ndarray, best_of_nonsense: np.ndarray, blend: TextBlend
    ) -> "RelevanceScale":
        """Finds slope and intercept by maximum likelihood, both kinds weighing the same.

        Args:
            relevant: float[p], text scores of items for texts that ask for them.
            irrelevant: float[m], text scores of items that have nothing to do with the text.
            best_of_nonsense: float[q], the best score in the catalogue for each of some texts that mean nothing.
            blend: weights of these scores.

        Raises:
            ValueError: one of them is empty.
        """
        if not (len(relevant) and len(irrelevant) and len(best_of_nonsense)):
            raise ValueError("relevance needs scores of relevant and irrelevant items and of texts that mean nothing")
        scores = np.concatenate([relevant, irrelevant]).astype(np.float64)
        outcome = np.concatenate([np.ones(len(relevant)), np.zeros(len(irrelevant))])
        weight = np.where(outcome == 1, 0.5 / len(relevant), 0.5 / len(irrelevant))
        slope, intercept = _logistic(scores, outcome, weight)
        scale = cls(slope, intercept, 0.0, blend=blend)
        floor = float(np.quantile(scale.probabilities(best_of_nonsense), _FLOOR_QUANTILE))
        return replace(scale, floor=floor)

    def save(self, path: Path) -> None:
        """Writes JSON."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "RelevanceScale":
        """Reads what `save` wrote.

        Raises:
            OSError: it cannot be read.
            ValueError: it does not hold a slope above 0, an intercept, a floor from 0 to 1, the cosines of claims, and
                a blend with all its weights.
        """
        raw = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, Mapping):
            raise ValueError(f"{path.name} must hold an object")
        blend = TextBlend(**_numbers(TextBlend, raw.get("blend"), f"{path.name}: blend"))
        scale = cls(**_numbers(cls, raw, path.name), blend=blend)
        if scale.slope <= 0 or not 0 <= scale.floor <= 1:
            raise ValueError(f"{path.name} must hold a slope above 0 and a floor from 0 to 1")
        return scale


def _numbers(kind: type, raw: object, name: str) -> dict[str, float]:
    """Returns a dataclass's fields of type float.

    Raises:
        ValueError: one of them is missing or not a finite number.
    """
    names = [one.name for one in fields(kind) if one.type is float]
    values = [raw.get(one) for one in names] if isinstance(raw, Mapping) else [None] * len(names)
    bad = [
        one
        for one, value in zip(names, values, strict=True)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value)
    ]
    if bad:
        raise ValueError(f"{name} must hold finite numbers: {', '.join(bad)}")
    return {one: float(value) for one, value in zip(names, values, strict=True)}  # type: ignore[arg-type]


def meaning_floor(random_cosines: np.ndarray) -> float:
    """Returns the cosine from which closeness in meaning is claimed: few random pairs reach it.

    Args:
        random_cosines: float[m], m >= 1, of pairs that were put together by chance.
    """
    median, below, high = np.quantile(random_cosines, (0.5, _ONE_DEVIATION_BELOW, _RANDOM_QUANTILE))
    return float(min(high, median + _MOST_SPREADS * (median - below)))


def _logistic(scores: np.ndarray, outcome: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Returns slope and intercept of a weighted logistic regression on one number, by Newton's method."""
    mean, spread = float(scores.mean()), float(scores.std()) or 1.0
    design = np.stack([(scores - mean) / spread, np.ones(len(scores))], axis=1)
    beta = np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        gradient = design.T @ (weight * (outcome - probability)) - _RIDGE * np.array([beta[0], 0.0])
        curvature = (design * (weight * probability * (1 - probability))[:, None]).T @ design
        curvature[np.diag_indices(2)] += (_RIDGE, 1e-9)
        step = np.linalg.solve(curvature, gradient)
        beta += step
        if np.abs(step).max() < 1e-9:
            break
    slope = max(float(beta[0] / spread), 1e-3)
    return slope, float(beta[1] - slope * mean)
