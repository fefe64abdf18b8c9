"""How much each recall source counts, and how deep it is asked: training learns it, a release carries it.

A source's scores are standardised before they are weighed, since cosines, sums of neighbours' weights and log P(i) have
no common scale.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

# Items that each source recalls for the ranker, by the sources' names; a release carries those it was trained with.
LIST_LENGTHS: Mapping[str, int] = {"collaborative": 200, "semantic_history": 100, "user_tower": 200, "popular": 50}

_LEAST_SPREAD = 1e-9
# Of a larger catalogue every n-th item says how scores spread: at this many the spread is known to 2 %.
_SAMPLE_ITEMS = 4_096


@dataclass(frozen=True)
class ProxyBlend:
    """How a history is answered that is only told as text, see `core.retrieval.proxy_history`.

    Attributes:
        weights: by source name: `semantic_history` for the text's likeness, `collaborative`, `popular`.
        nearest: how many items of the catalogue stand in for what was told, at least 1.
        temperature: of the softmax of their cosines, above 0; the larger, the more alike they count.
    """

    weights: Mapping[str, float]
    nearest: int
    temperature: float


@dataclass(frozen=True)
class ShortBlend:
    """What each source counts where little is known of somebody.

    Attributes:
        weights: by source name.
        most_events: the longest history, in known items, that they are for; at least 1.
    """

    weights: Mapping[str, float]
    most_events: int


@dataclass(frozen=True)
class Blend:
    """What training chose on validation.

    Attributes:
        weights: by source name; none for a source that does not count, empty where nothing was learned. That of
            `popular` is beta in log P(x | i) + beta log P(i) and may be negative.
        list_lengths: items that each source recalls, by its name.
        told: for histories that are only told; None where nothing was learned of them, as in earlier versions.
        short: for histories of a few events; None where `weights` answer these too, as in earlier versions.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    list_lengths: Mapping[str, int] = field(default_factory=lambda: LIST_LENGTHS)
    told: ProxyBlend | None = None
    short: ShortBlend | None = None

    def weights_for(self, event_count: int) -> Mapping[str, float]:
        """Returns the weights for a history of so many known items."""
        short = self.short
        return self.weights if short is None or event_count > short.most_events else short.weights

    def save(self, path: Path) -> None:
        """Writes JSON."""
        plain: dict[str, object] = {"weights": dict(self.weights), "list_lengths": dict(self.list_lengths)}
        if self.told is not None:
            plain["told"] = vars(self.told) | {"weights": dict(self.told.weights)}
        if self.short is not None:
            plain["short"] = vars(self.short) | {"weights": dict(self.short.weights)}
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
        lengths = parts.get("list_lengths", LIST_LENGTHS)
        if not isinstance(lengths, Mapping) or not all(_is_count(one) for one in lengths.values()):
            raise ValueError(f"{path.name} must hold list_lengths by source, whole numbers above 0")
        told, short = parts.get("told"), parts.get("short")
        return cls(
            _weights(parts["weights"], path),
            dict(lengths),
            None if told is None else _told(told, path),
            None if short is None else _short(short, path),
        )


def _weights(raw: object, path: Path) -> dict[str, float]:
    if not isinstance(raw, dict) or not all(_is_number(one) for one in raw.values()):
        raise ValueError(f"{path.name} must hold weights by source, finite numbers")
    return {name: float(one) for name, one in raw.items()}


def _told(raw: object, path: Path) -> ProxyBlend:
    if not isinstance(raw, dict) or not {"weights", "nearest", "temperature"} <= raw.keys():
        raise ValueError(f"{path.name}: told must hold weights, nearest and temperature")
    nearest, temperature = raw["nearest"], raw["temperature"]
    if not _is_count(nearest) or not _is_number(temperature) or temperature <= 0:
        raise ValueError(f"{path.name}: told.nearest must be a whole number and told.temperature a number, above 0")
    return ProxyBlend(_weights(raw["weights"], path), nearest, float(temperature))


def _short(raw: object, path: Path) -> ShortBlend:
    if not isinstance(raw, dict) or not {"weights", "most_events"} <= raw.keys() or not _is_count(raw["most_events"]):
        raise ValueError(f"{path.name}: short must hold weights, and most_events, a whole number above 0")
    return ShortBlend(_weights(raw["weights"], path), raw["most_events"])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


@dataclass(frozen=True)
class ScoreScaler:
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
    def of(cls, scores: np.ndarray) -> "ScoreScaler":
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
class SourceScores:
    """What one source says of a request's candidates.

    Attributes:
        scores: float32[C], -inf where it cannot say.
        scale: of its scores over the catalogue.
    """

    scores: np.ndarray
    scale: ScoreScaler

    @classmethod
    def of_vectors(cls, vectors: np.ndarray, query: np.ndarray, silent: np.ndarray, rows: np.ndarray) -> "SourceScores":
        """Compares a query with items.

        Args:
            vectors: float32[n, d], the catalogue's.
            query: float32[d].
            silent: bool[n], items whose vectors say nothing.
            rows: int64[C], the candidates.
        """
        step = max(1, len(vectors) // _SAMPLE_ITEMS)
        scale = ScoreScaler.of(np.where(silent[::step], -np.inf, vectors[::step] @ query))
        return cls(np.where(silent[rows], -np.inf, vectors[rows] @ query), scale)

    @classmethod
    def of_sums(cls, sums: np.ndarray, rows: np.ndarray) -> "SourceScores":
        """Takes float[n], sums of a table's weights, 0 where it says nothing, and the candidates, int64[C]."""
        said = np.where(sums != 0, sums, -np.inf)
        return cls(said[rows], ScoreScaler.of(said))


def blended(opinions: Mapping[str, SourceScores], weights: Mapping[str, float]) -> np.ndarray:
    """Returns float32[C], the sum of the standardised scores times the weights.

    Args:
        opinions: by source name, at least one; a source without a weight does not count.
        weights: by source name; a source that says nothing this time is left out.
    """
    total = np.zeros(len(next(iter(opinions.values())).scores), np.float32)
    for source, opinion in opinions.items():
        total += np.float32(weights.get(source, 0.0)) * opinion.scale.apply(opinion.scores)
    return total
