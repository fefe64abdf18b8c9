"""The one blend of recall sources: fitted in training, evaluated, gated, and served by these very functions.

    sources -> lists -> pool -> weighted sum of each source's z-scores -> order

Scores are standardised over one population, `core.scaling.POPULATION`, which a release states.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.ranking.fusion import best_rows
from core.retrieval.source import (
    DEFAULT_LIST_LENGTH,
    RecalledList,
    RecallSource,
    RecallSources,
    SourceQuery,
    SourceScores,
)
from core.scaling import POPULATION, Population
from core.vectors import top_rows
from domain.recommendation import Source

# Items that each source recalls for the ranker, by the sources' names; a release carries those it was trained with.
LIST_LENGTHS: Mapping[str, int] = {
    "collaborative": 200,
    "semantic_history": 100,
    "similar_users": 100,
    "user_tower": 200,
    "popular": 50,
}
# Weight of a history beside a text where none was fitted, in text scores.
HISTORY_STRENGTH = 0.08
# Sources that go by the request's text; the blend orders what a history recalled.
TEXT_SOURCES = frozenset({Source.SEMANTIC_TEXT.value, Source.LEXICAL.value})
PRIOR = Source.POPULAR.value


@dataclass(frozen=True)
class ProxyBlend:
    """Fitted answer to a history that is only text, see `core.retrieval.proxy_history`.

    Attributes:
        weights: by source name: `semantic_history` for similarity to the text, `collaborative`, `popular`.
        nearest: how many items of the catalogue form the proxy history, at least 1.
        temperature: of the softmax of their cosines, above 0; the larger, the more alike they count.
    """

    weights: Mapping[str, float]
    nearest: int
    temperature: float


@dataclass(frozen=True)
class ShortBlend:
    """Weights for short histories.

    Attributes:
        weights: by source name.
        most_events: the longest history, in distinct known items, that they are for; at least 1.
    """

    weights: Mapping[str, float]
    most_events: int


@dataclass(frozen=True)
class Blend:
    """Weights and list lengths of the sources, fitted on validation.

    Attributes:
        weights: by source name; none for a source that does not count, empty where nothing was fitted. That of
            `popular` is beta in log P(x | i) + beta log P(i) and may be negative.
        list_lengths: items that each source recalls for the ranker, by its name.
        proxy: for histories that are only text; None where nothing was fitted for them.
        short: for histories of a few events; None where `weights` answer these too.
        history_strength: weight of a history beside a text, in text scores, at least 0.
        half_lives: by source name, the events after which an event counts half for it; none for a source that ignores
            the order.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    list_lengths: Mapping[str, int] = field(default_factory=lambda: LIST_LENGTHS)
    proxy: ProxyBlend | None = None
    short: ShortBlend | None = None
    history_strength: float = HISTORY_STRENGTH
    half_lives: Mapping[str, float] = field(default_factory=dict)

    def weights_for(self, query: SourceQuery) -> Mapping[str, float]:
        """Returns the weights for a query's history."""
        if not len(query.events) and query.proxy_history is not None and self.proxy is not None:
            return self.proxy.weights
        short = self.short
        few = short is not None and len(query.events.distinct_rows) <= short.most_events
        return short.weights if short is not None and few else self.weights

    def source_names(self) -> set[str]:
        """Returns every source that has a weight."""
        parts = [part.weights for part in (self.proxy, self.short) if part is not None]
        return {name for weights in (self.weights, *parts) for name in weights}

    def save(self, path: Path) -> None:
        """Writes JSON."""
        plain: dict[str, object] = {
            "population": POPULATION,
            "weights": dict(self.weights),
            "list_lengths": dict(self.list_lengths),
            "history_strength": self.history_strength,
        }
        if self.half_lives:
            plain["half_lives"] = dict(self.half_lives)
        if self.proxy is not None:
            plain["proxy"] = vars(self.proxy) | {"weights": dict(self.proxy.weights)}
        if self.short is not None:
            plain["short"] = vars(self.short) | {"weights": dict(self.short.weights)}
        path.write_text(json.dumps(plain, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Blend":
        """Reads what `save` wrote.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not a blend, or one over another population.
        """
        raw = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or not {"population", "weights", "list_lengths"} <= raw.keys():
            raise ValueError(f"{path.name} must hold population, weights and list_lengths")
        if raw["population"] != POPULATION:
            raise ValueError(f"{path.name} standardises scores over {raw['population']!r}, this program {POPULATION!r}")
        lengths = raw["list_lengths"]
        if not isinstance(lengths, Mapping) or not all(_is_count(length) for length in lengths.values()):
            raise ValueError(f"{path.name} must hold list_lengths by source, whole numbers above 0")
        proxy, short = raw.get("proxy"), raw.get("short")
        return cls(
            _weights(raw["weights"], path),
            dict(lengths),
            None if proxy is None else _proxy(proxy, path),
            None if short is None else _short(short, path),
            _strength(raw.get("history_strength", HISTORY_STRENGTH), path),
            _half_lives(raw.get("half_lives", {}), path),
        )


def blend_scores(
    sources: RecallSources, query: SourceQuery, weights: Mapping[str, float], rows: np.ndarray
) -> np.ndarray | None:
    """Returns the weighted sum of the z-scores of every source that can answer; see `weighted_sum`.

    Args:
        sources: of the catalogue.
        query: the query.
        weights: by source name.
        rows: int64[C], the candidates.
    """
    answering = [source for source in sources.answering(query) if weights.get(source.name)]
    return weighted_sum(score_candidates(answering, query, rows, sources.population), query, weights)


def score_candidates(
    answering: Sequence[RecallSource], query: SourceQuery, rows: np.ndarray, population: Population
) -> dict[str, SourceScores]:
    """Returns the scores of some candidates by source name, in the order of the sources.

    Args:
        answering: sources that can answer the query.
        query: the query.
        rows: int64[C], the candidates.
        population: over which scores are standardised.
    """
    return {source.name: source.scores(query, rows, population) for source in answering}


def weighted_sum(
    scored: Mapping[str, SourceScores], query: SourceQuery, weights: Mapping[str, float]
) -> np.ndarray | None:
    """Returns the weighted sum of the z-scores of the sources that have a weight.

    Args:
        scored: C candidates' scores by source name.
        query: the query that was scored.
        weights: by source name.

    Returns:
        float32[C]; None where no source has a weight, or none but the prior for a history of known items.
    """
    counted = {name: scores for name, scores in scored.items() if weights.get(name)}
    if not counted or (len(query.events) and all(name == PRIOR for name in counted)):
        return None
    total: np.ndarray = np.zeros(1, np.float32)
    for name, scores in counted.items():
        total = total + np.float32(weights[name]) * scores.z_scores
    return total


def history_sources(sources: RecallSources, query: SourceQuery, weights: Mapping[str, float]) -> list[RecallSource]:
    """Returns the sources that recall for the blend: those of a history, and the prior where its weight is above 0."""
    return [
        source
        for source in sources.answering(query)
        if source.name not in TEXT_SOURCES and (source.name != PRIOR or weights.get(PRIOR, 0.0) > 0)
    ]


def blended_list(
    sources: RecallSources, query: SourceQuery, blend: Blend, lists: Sequence[RecalledList]
) -> RecalledList | None:
    """Returns the pool of a history's candidates in the order of the blend.

    Args:
        sources: of the catalogue.
        query: the query.
        blend: gives the weights.
        lists: what the sources recalled; those of text sources, and a prior that does not recall, are left out.

    Returns:
        The order; None where nothing was fitted, the query has no history, or no list has a candidate.
    """
    weights = blend.weights_for(query)
    pooled = {source.name for source in history_sources(sources, query, weights)}
    pool = [recalled.rows for recalled in lists if recalled.source in pooled and len(recalled.rows)]
    if not weights or not pool or not (len(query.events) or query.proxy_history is not None):
        return None
    rows = np.unique(np.concatenate(pool))
    scores = blend_scores(sources, query, weights, rows)
    return None if scores is None else RecalledList("history", *top_rows(scores, rows, len(rows), sources.order))


def history_order(
    sources: RecallSources, query: SourceQuery, blend: Blend, lists: Sequence[RecalledList]
) -> RecalledList | None:
    """Returns a history's candidates in the order of the blend; by reciprocal rank where the blend cannot order them.

    Args:
        sources: of the catalogue.
        query: the query.
        blend: gives the weights.
        lists: what the history's sources recalled.

    Returns:
        The order; None where nothing was recalled.
    """
    ordered = blended_list(sources, query, blend, lists)
    if ordered is not None:
        return ordered
    filled = [recalled for recalled in lists if len(recalled.rows)]
    if len(filled) < 2:
        return filled[0] if filled else None
    rows, scores = best_rows(filled, sum(len(recalled.rows) for recalled in filled), sources.order)
    return RecalledList("history", rows, scores)


def list_length(blend: Blend, name: str, least: int = DEFAULT_LIST_LENGTH) -> int:
    """Returns how many items a source recalls: at least `least`, more where the ranker was trained on more."""
    return max(least, blend.list_lengths.get(name, 0))


def _weights(raw: object, path: Path) -> dict[str, float]:
    if not isinstance(raw, dict) or not all(_is_number(weight) for weight in raw.values()):
        raise ValueError(f"{path.name} must hold weights by source, finite numbers")
    return {name: float(weight) for name, weight in raw.items()}


def _proxy(raw: object, path: Path) -> ProxyBlend:
    if not isinstance(raw, dict) or not {"weights", "nearest", "temperature"} <= raw.keys():
        raise ValueError(f"{path.name}: proxy must hold weights, nearest and temperature")
    nearest, temperature = raw["nearest"], raw["temperature"]
    if not _is_count(nearest) or not _is_number(temperature) or temperature <= 0:
        raise ValueError(f"{path.name}: proxy.nearest must be a whole number and proxy.temperature a number, above 0")
    return ProxyBlend(_weights(raw["weights"], path), nearest, float(temperature))


def _short(raw: object, path: Path) -> ShortBlend:
    if not isinstance(raw, dict) or not {"weights", "most_events"} <= raw.keys() or not _is_count(raw["most_events"]):
        raise ValueError(f"{path.name}: short must hold weights, and most_events, a whole number above 0")
    return ShortBlend(_weights(raw["weights"], path), raw["most_events"])


def _strength(raw: object, path: Path) -> float:
    if not _is_number(raw) or float(raw) < 0:  # type: ignore[arg-type]
        raise ValueError(f"{path.name}: history_strength must be a number, at least 0")
    return float(raw)  # type: ignore[arg-type]


def _half_lives(raw: object, path: Path) -> dict[str, float]:
    if not isinstance(raw, dict) or not all(_is_number(value) and value > 0 for value in raw.values()):
        raise ValueError(f"{path.name}: half_lives must hold numbers above 0 by source, in events")
    return {name: float(value) for name, value in raw.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
