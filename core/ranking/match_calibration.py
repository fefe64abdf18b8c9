"""Calibration of a ranker's logits: one map from logits to match probabilities for training, evaluation and service."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

_NEWTON_STEPS = 50
_MOST_STEP = 1.0
# The order of probabilities stays that of the logits.
_LEAST_SLOPE = 0.05


@dataclass(frozen=True)
class MatchCalibration:
    """probability = sigmoid(z) with z = slope x logit + intercept (Platt 1999), bent by a monotone broken line.

    Attributes:
        slope: at least 0.
        intercept: see above.
        knots: z at which the line bends, ascending; empty for none.
        bent: z at the knots after bending, never falling; outside the knots the line goes on in parallel.
    """

    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[float, ...] = ()
    bent: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Checks that the line can be drawn."""
        if len(self.knots) != len(self.bent):
            raise ValueError(f"{len(self.knots)} knots, {len(self.bent)} values; give one each")
        if not np.isfinite([self.slope, self.intercept, *self.knots, *self.bent]).all():
            raise ValueError("slope, intercept, knots and values must be finite")
        if (np.diff(self.knots) <= 0).any() or (np.diff(self.bent) < 0).any():
            raise ValueError("knots must rise and values never fall")

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Returns float64 of the same shape, 0 to 1."""
        z = self.slope * np.asarray(logits, np.float64) + self.intercept
        if self.knots:
            inside = np.clip(z, self.knots[0], self.knots[-1])
            z = np.interp(inside, self.knots, self.bent) + (z - inside)
        probabilities: np.ndarray = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
        return probabilities

    def corrected(self, logits: np.ndarray, chosen: np.ndarray) -> "MatchCalibration":
        """Returns the map after a x z + b, fitted to outcomes by maximum likelihood, the slope drawn slightly to 1.

        Args:
            logits: float32[m].
            chosen: bool[m], the outcomes; some true and some false.
        """
        p = np.clip(self.probabilities(logits), 1e-9, 1 - 1e-9)
        z, hit = np.log(p / (1 - p)), np.asarray(chosen, np.float64)
        inputs = np.stack([z, np.ones_like(z)], axis=1)
        at, pull = np.array([1.0, 0.0]), np.array([1.0, 0.0])
        for _ in range(_NEWTON_STEPS):
            q = 1 / (1 + np.exp(-np.clip(inputs @ at, -500, 500)))
            slope = inputs.T @ (q - hit) + pull * (at - np.array([1.0, 0.0]))
            curve = (inputs * (q * (1 - q) + 1e-9)[:, None]).T @ inputs + np.diag(pull + 1e-6)
            at = at - np.clip(np.linalg.solve(curve, slope), -_MOST_STEP, _MOST_STEP)
        a, b = max(float(at[0]), _LEAST_SLOPE), float(at[1])
        moved = (tuple(a * value + b for value in line) for line in (self.knots, self.bent))
        return MatchCalibration(a * self.slope, a * self.intercept + b, *moved)

    def to_json(self) -> dict[str, object]:
        """Returns plain values, which `from_json` reads."""
        plain: dict[str, object] = {"slope": self.slope, "intercept": self.intercept}
        if self.knots:
            plain |= {"knots": list(self.knots), "bent": list(self.bent)}
        return plain

    @classmethod
    def from_json(cls, raw: Mapping[str, object]) -> "MatchCalibration":
        """Reads what `to_json` returned, among other values.

        Raises:
            ValueError, KeyError, TypeError: it is damaged.
        """
        numbers = [np.asarray(raw[name], np.float64) for name in ("slope", "intercept")]
        lines = [np.asarray(raw.get(name, ()), np.float64) for name in ("knots", "bent")]
        if any(one.ndim for one in numbers) or any(line.ndim != 1 for line in lines):
            raise ValueError("slope and intercept must be numbers, knots and bent lists of numbers")
        return cls(float(numbers[0]), float(numbers[1]), tuple(lines[0].tolist()), tuple(lines[1].tolist()))
