"""How much each recall source counts, and how deep it is asked: training learns it, a release carries it.

A source's scores are standardised before they are weighed, since cosines, sums of neighbours' weights and log P(i) have
no common scale.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

# Items that each source recalls for the ranker, by the sources' names; a release carries those it was trained with.
LIST_LENGTHS: Mapping[str, int] = {"collaborative": 200, "semantic_history": 100, "user_tower": 200, "popular": 50}

_LEAST_SPREAD = 1e-9


@dataclass(frozen=True)
class Blend:
    """What training chose on validation.

    Attributes:
        weights: by source name; none for a source that does not count, empty where nothing was learned. That of
            `popular` is beta in log P(x | i) + beta log P(i) and may be negative.
        list_lengths: items that each source recalls, by its name.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    list_lengths: Mapping[str, int] = field(default_factory=lambda: LIST_LENGTHS)

    def save(self, path: Path) -> None:
        """Writes JSON."""
        plain = {name: dict(part) for name, part in asdict(self).items()}
        path.write_text(json.dumps(plain, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Blend":
        """Reads what `save` wrote, or the weights alone, as earlier versions did.

        Raises:
            OSError: it cannot be read.
            ValueError: it says something else.
        """
        raw = json.loads(path.read_text(encoding="utf-8"))
        parts = raw if isinstance(raw, dict) and "weights" in raw else {"weights": raw}
        weights, lengths = parts["weights"], parts.get("list_lengths", LIST_LENGTHS)
        if not isinstance(weights, dict) or not isinstance(lengths, Mapping):
            raise ValueError(f"{path.name} must hold weights and list_lengths by source")
        numbers = all(isinstance(one, int | float) and math.isfinite(one) for one in weights.values())
        if not numbers or not all(isinstance(one, int) and one > 0 for one in lengths.values()):
            raise ValueError(f"{path.name}: weights must be finite numbers, list_lengths whole ones above 0")
        return cls({name: float(one) for name, one in weights.items()}, dict(lengths))


@dataclass(frozen=True)
class Scale:
    """What a source's scores are standardised by.

    Attributes:
        mean: of the scores over the catalogue, as far as the source can speak of it.
        spread: their standard deviation.
        least: the smallest; what the source cannot speak of counts as that.
    """

    mean: float
    spread: float
    least: float

    @classmethod
    def of(cls, scores: np.ndarray) -> "Scale":
        """Takes float[m], -inf where the source cannot say."""
        said = scores[np.isfinite(scores)].astype(np.float64)
        return cls(float(said.mean()), float(said.std()), float(said.min())) if len(said) else cls(0.0, 0.0, 0.0)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Returns float32[C]; zeros where the scores over the catalogue do not differ."""
        if self.spread <= _LEAST_SPREAD:
            return np.zeros(len(scores), np.float32)
        filled = np.where(np.isfinite(scores), scores, self.least)
        return ((filled - self.mean) / self.spread).astype(np.float32)


@dataclass(frozen=True)
class Opinion:
    """What one source says of a request's candidates.

    Attributes:
        scores: float32[C], -inf where it cannot say.
        scale: of its scores over the catalogue.
    """

    scores: np.ndarray
    scale: Scale


def blended(opinions: Mapping[str, Opinion], weights: Mapping[str, float]) -> np.ndarray:
    """Returns float32[C], the sum of the standardised scores times the weights.

    Args:
        opinions: by source name, at least one; a source without a weight does not count.
        weights: by source name; a source that says nothing this time is left out.
    """
    total = np.zeros(len(next(iter(opinions.values())).scores), np.float32)
    for source, opinion in opinions.items():
        total += np.float32(weights.get(source, 0.0)) * opinion.scale.apply(opinion.scores)
    return total
