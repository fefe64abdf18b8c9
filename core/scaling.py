"""Standardisation of a source's scores: cosines, sums of weights and log P(i) have no common scale."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

# The items over which scores are standardised, in training, in evaluation and in service; a release states it.
POPULATION = "chosen_items"

_LEAST_SPREAD = 1e-9
# Moments over this many vectors are exact enough; more would only take time at the start.
_MOMENT_ROWS = 100_000
# What a vector cannot speak of lies this many spreads below the mean, where the least of some thousand scores is.
_SILENT_SPREADS = 3.0


@dataclass(frozen=True)
class ScoreScaler:
    """Mean and spread of one source's scores for one query over the population.

    Attributes:
        mean: of the scores, as far as the source can answer.
        spread: their standard deviation.
        least: the value of an item that the source cannot score.
    """

    mean: float
    spread: float
    least: float

    @classmethod
    def of(cls, scores: np.ndarray) -> "ScoreScaler":
        """Takes float[m], -inf where the source cannot score an item."""
        known = scores[np.isfinite(scores)].astype(np.float64)
        return cls(float(known.mean()), float(known.std()), float(known.min())) if len(known) else cls(0.0, 0.0, 0.0)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Returns float32[C], z-scores; zeros where the scores over the population do not differ."""
        if self.spread <= _LEAST_SPREAD:
            return np.zeros(len(scores), np.float32)
        filled = np.where(np.isfinite(scores), scores, self.least)
        return ((filled - self.mean) / self.spread).astype(np.float32)


@dataclass(frozen=True)
class Moments:
    """First and second moments of vectors: the mean and spread of their inner products with any query.

    Attributes:
        mean: float64[d].
        covariance: float32[d, d].
    """

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> "Moments":
        """Takes float32[m, d]."""
        if not len(vectors):
            return cls(np.zeros(vectors.shape[1]), np.zeros((vectors.shape[1],) * 2, np.float32))
        mean = vectors.mean(axis=0, dtype=np.float64)
        centred = vectors - mean.astype(np.float32)
        return cls(mean, (centred.T @ centred / np.float32(len(vectors))).astype(np.float32))

    def scaler(self, query: np.ndarray) -> ScoreScaler:
        """Returns mean and spread of the inner products with float32[d]: q mu and sqrt(q C q)."""
        mean = float(self.mean @ query)
        spread = float(np.sqrt(max(float(query @ self.covariance @ query), 0.0)))
        return ScoreScaler(mean, spread, mean - _SILENT_SPREADS * spread)


@dataclass(frozen=True)
class Population:
    """The items over which scores are standardised: those that somebody chose in training.

    Where that is unknown, or nobody chose anything, the whole catalogue.

    Attributes:
        chosen: bool[n], at least one of them true.
    """

    chosen: np.ndarray
    _moments: dict[int, tuple[np.ndarray, Moments]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, chosen: np.ndarray) -> "Population":
        """Takes bool[n]."""
        return cls(chosen if chosen.any() else np.ones_like(chosen))

    @cached_property
    def rows(self) -> np.ndarray:
        """int64[p], ascending."""
        return np.flatnonzero(self.chosen)

    def scaler(self, scores: np.ndarray) -> ScoreScaler:
        """Returns mean and spread of float[n] scores over the population; -inf where the source cannot score."""
        return ScoreScaler.of(scores[self.rows])

    def moments(self, vectors: np.ndarray, silent: np.ndarray) -> Moments:
        """Returns the moments of these vectors over the population, computed once.

        Args:
            vectors: float32[n, d].
            silent: bool[n], items whose vectors say nothing.
        """
        known = self._moments.get(id(vectors))
        if known is None or known[0] is not vectors:
            rows = np.flatnonzero(self.chosen & ~silent)
            step = -(-len(rows) // _MOMENT_ROWS) if len(rows) else 1
            known = self._moments[id(vectors)] = (vectors, Moments.of(vectors[rows[::step]]))
        return known[1]
