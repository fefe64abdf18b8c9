"""The ranker's features of one history and its candidates: one code for training and for the gateway."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.aspects.profile import aspect_affinity
from core.events import EventSequence
from core.ranking.item_facts import ItemFacts
from core.retrieval.source import RecalledList
from core.vectors import history_query, unit
from domain.recommendation import Source

# Recall lists whose ranks are features, by the names that `fuse` knows them by.
RANKED_SOURCES = ("semantic_history", "collaborative", "user_tower", "similar_users")

# Features that are also given standardised over the request's candidates: a softmax sees differences only.
STANDARDISED = (
    "semantic",
    "semantic_recent",
    "collaborative",
    "collaborative_recent",
    "next_item",
    "tower",
    "similar_users",
    "log_popularity",
)

_PLAIN_NAMES = (
    "semantic",
    "semantic_recent",
    "semantic_max",
    "semantic_last",
    "tower",
    "collaborative",
    "collaborative_recent",
    "collaborative_max",
    "next_item",
    "next_item_last",
    "similar_users",
    "log_popularity",
    "category_affinity",
    "brand_affinity",
    "price_distance",
    "number_distance",
    "number_offset",
    "aspect_affinity",
    "history_length",
    "last_event_age",
)

FEATURE_NAMES = (
    *_PLAIN_NAMES,
    *(f"{name}_standardised" for name in STANDARDISED),
    *(f"reciprocal_rank_{source}" for source in RANKED_SOURCES),
)

# Most events that are compared with every candidate one by one; the means take all.
RECENT_LIMIT = 50

# An event this many places back counts half in the recent features, and in what follows the latest events.
RECENT_HALF_LIFE = 5.0
NEXT_ITEM_HALF_LIFE = 1.5

_RANK_OFFSET = 10
_SILENT_SCALE = 1e9
_DAY_S = 86_400.0


@dataclass(frozen=True)
class UserSignals:
    """Signals of a user besides the events.

    Attributes:
        embedding: float32[e], unit, by the user tower; None without one.
        aspects: float32[A], aspects of the user's own comments (`aspects.profile.user_aspects`); None without any: then
            what the history's items are praised for counts.
    """

    embedding: np.ndarray | None = None
    aspects: np.ndarray | None = None


@dataclass(frozen=True)
class FeatureScaler:
    """Brings features to zero mean and unit spread; it travels with the ranker.

    Attributes:
        mean: float32[F].
        scale: float32[F], above 0.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fitted(cls, features: np.ndarray) -> "FeatureScaler":
        """Takes float32[m, F]. A feature that never varies gets a scale that makes it 0 whatever it is later on.

        The network knows nothing of it: a source that was absent in training must not steer what is served.
        """
        scale = features.std(axis=0, dtype=np.float64)
        mean = features.mean(axis=0, dtype=np.float64)
        return cls(mean.astype(np.float32), np.where(scale > 1e-6, scale, _SILENT_SCALE).astype(np.float32))

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Returns float32[..., F], at most 8 spreads from the mean: no odd value may rule the network."""
        scaled: np.ndarray = np.clip((features - self.mean) / self.scale, -8, 8)
        return scaled.astype(np.float32)


def rank_features(
    events: EventSequence,
    candidates: np.ndarray,
    facts: ItemFacts,
    lists: Sequence[RecalledList] = (),
    user: UserSignals | None = None,
) -> np.ndarray:
    """Returns float32[C, F], the features in the order of `FEATURE_NAMES`.

    Args:
        events: of the user; may be empty. Rows of -1 are not in the catalogue.
        candidates: int64[C], distinct rows.
        facts: what is known of the items.
        lists: what each source recalled, for the reciprocal ranks and the votes of similar users; sources not in
            `RANKED_SOURCES` are ignored.
        user: what else is known of the user.
    """
    user = user or UserSignals()
    known = events.rows >= 0
    rows, age_s = events.rows[known], events.age_s[known]
    columns = {name: np.zeros(len(candidates), np.float32) for name in FEATURE_NAMES}
    columns |= _semantic(rows, candidates, facts)
    columns |= _collaborative(rows, candidates, facts)
    columns |= _following(rows, candidates, facts)
    columns |= _attributes(rows, candidates, facts)
    columns |= _aspects(user, rows, candidates, facts)
    if user.embedding is not None and facts.tower_vectors is not None:
        columns["tower"] = facts.tower_vectors[candidates] @ user.embedding
    if facts.log_popularity is not None:
        columns["log_popularity"] = facts.log_popularity[candidates]
    columns["history_length"] += np.log1p(len(rows))
    columns["last_event_age"] += np.log1p(max(float(age_s.min()), 0.0) / _DAY_S) if len(rows) else 0.0
    for recalled in lists:
        if recalled.source in RANKED_SOURCES:
            columns[f"reciprocal_rank_{recalled.source}"] = _reciprocal_ranks(recalled.rows, candidates)
        if recalled.source == Source.SIMILAR_USERS:
            columns["similar_users"] = _shares_of_best(recalled, candidates)
    for name in STANDARDISED:
        columns[f"{name}_standardised"] = standardised(columns[name])
    return np.stack([columns[name] for name in FEATURE_NAMES], axis=1).astype(np.float32)


def standardised(scores: np.ndarray) -> np.ndarray:
    """Returns float32[C], the scores less their mean in units of their spread; zero where they do not differ."""
    spread = scores.std() if len(scores) else 0.0
    return ((scores - scores.mean()) / spread).astype(np.float32) if spread > 1e-6 else np.zeros_like(scores)


def recency_weights(count: int, half_life: float = RECENT_HALF_LIFE) -> np.ndarray:
    """Returns float32[count], 2^(-places from the end / half_life), summing to 1."""
    weights = np.exp2(-np.arange(count)[::-1] / half_life)
    shares: np.ndarray = weights / weights.sum() if count else weights
    return shares.astype(np.float32)


def _semantic(rows: np.ndarray, candidates: np.ndarray, facts: ItemFacts) -> dict[str, np.ndarray]:
    if facts.vectors is None or facts.mean is None:
        return {}
    columns: dict[str, np.ndarray] = {}
    vectors = facts.vectors[candidates]
    readable = rows[facts.vectors[rows].any(axis=1)]
    query = history_query(facts.vectors[readable], facts.mean)
    if query is not None:
        columns["semantic"] = columns["semantic_recent"] = vectors @ query
    if not len(readable):
        return columns
    recent = readable[-RECENT_LIMIT:]
    centred = facts.vectors[recent] - facts.mean
    latest = unit(recency_weights(len(recent)) @ centred)
    similarity = _centred_similarity(vectors, unit(centred), facts.mean)
    return columns | {
        "semantic_recent": vectors @ latest,
        "semantic_max": similarity.max(axis=1),
        "semantic_last": similarity[:, -1],
    }


def _centred_similarity(vectors: np.ndarray, events: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Returns float32[C, N], cosines of v - mean to the events, float32[N, d] unit, without making v - mean.

    (v - mean) e = v e - mean e, and |v - mean|^2 = v v - 2 v mean + mean mean: in serving, subtracting and scaling
    hundreds of vectors took longer than all other features together.
    """
    squares = np.einsum("cd,cd->c", vectors, vectors) - 2 * (vectors @ mean) + mean @ mean
    norms = np.sqrt(np.maximum(squares, 1e-12))
    similarity: np.ndarray = (vectors @ events.T - events @ mean) / norms[:, None]
    return similarity


def _collaborative(rows: np.ndarray, candidates: np.ndarray, facts: ItemFacts) -> dict[str, np.ndarray]:
    """Sums the neighbour table's weights by candidate: over all events alike, by recency, and the strongest."""
    if facts.neighbour_rows is None or facts.neighbour_weights is None or not len(rows) or not len(candidates):
        return {}
    places, events, weights = _linked(rows, candidates, facts.neighbour_rows, facts.neighbour_weights)
    recency = recency_weights(len(rows))[events]
    strongest = np.zeros(len(candidates), np.float32)
    np.maximum.at(strongest, places, weights)
    return {
        "collaborative": np.bincount(places, weights, len(candidates)).astype(np.float32),
        "collaborative_recent": np.bincount(places, weights * recency, len(candidates)).astype(np.float32),
        "collaborative_max": strongest,
    }


def _following(rows: np.ndarray, candidates: np.ndarray, facts: ItemFacts) -> dict[str, np.ndarray]:
    """Sums by candidate how often it came next: after the latest events by recency, and after the last one alone."""
    if facts.transition_rows is None or facts.transition_weights is None or not len(rows) or not len(candidates):
        return {}
    rows = rows[-RECENT_LIMIT:]
    places, events, weights = _linked(rows, candidates, facts.transition_rows, facts.transition_weights)
    recency = recency_weights(len(rows), NEXT_ITEM_HALF_LIFE)[events]
    last = np.where(events == len(rows) - 1, weights, 0)
    return {
        "next_item": np.bincount(places, weights * recency, len(candidates)).astype(np.float32),
        "next_item_last": np.bincount(places, last, len(candidates)).astype(np.float32),
    }


def _linked(
    rows: np.ndarray, candidates: np.ndarray, neighbour_rows: np.ndarray, neighbour_weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the candidates among the rows' neighbours: places in `candidates`, places in `rows`, weights."""
    # The place after the last row is that of -1, no neighbour.
    place_of = np.full(len(neighbour_rows) + 1, -1, np.int32)
    place_of[candidates] = np.arange(len(candidates))
    places = place_of[neighbour_rows[rows]]
    hit = places >= 0
    return places[hit], np.nonzero(hit)[0], neighbour_weights[rows][hit]


def _attributes(rows: np.ndarray, candidates: np.ndarray, facts: ItemFacts) -> dict[str, np.ndarray]:
    if not len(rows):
        return {}
    columns: dict[str, np.ndarray] = {}
    if facts.categories is not None and facts.category_weights is not None:
        columns["category_affinity"] = _category_affinity(rows, candidates, facts.categories, facts.category_weights)
    if facts.brands is not None:
        same = facts.brands[candidates][:, None] == facts.brands[rows][None, :]
        columns["brand_affinity"] = (same & (facts.brands[rows] >= 0)).mean(axis=1)
    if facts.log_price is not None:
        columns["price_distance"] = _distance(facts.log_price[rows, None], facts.log_price[candidates, None])[0]
    if facts.numbers is not None:
        columns["number_distance"], columns["number_offset"] = _distance(facts.numbers[rows], facts.numbers[candidates])
    return columns


def _aspects(user: UserSignals, rows: np.ndarray, candidates: np.ndarray, facts: ItemFacts) -> dict[str, np.ndarray]:
    if facts.aspects is None:
        return {}
    if user.aspects is not None and user.aspects.any():
        return {"aspect_affinity": aspect_affinity(user.aspects, facts.aspects[candidates])}
    if not len(rows):
        return {}
    # What the history's items are blamed for is not what the user looks for.
    praised = np.maximum(facts.aspects[rows].mean(axis=0), 0)
    return {"aspect_affinity": aspect_affinity(praised, facts.aspects[candidates])}


def _category_affinity(
    rows: np.ndarray, candidates: np.ndarray, categories: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Returns float32[C], the cosine of the history's weighted categories and the candidate's."""
    codes = categories[rows]
    profile = np.bincount(codes[codes >= 0], minlength=len(weights)) * weights
    norm = np.linalg.norm(profile)
    own = categories[candidates]
    lengths = np.sqrt(np.where(own >= 0, weights[own] ** 2, 0).sum(axis=1))
    together = np.where(own >= 0, profile[own] * weights[own], 0).sum(axis=1)
    cosine: np.ndarray = together / np.maximum(norm * lengths, 1e-9)
    return cosine.astype(np.float32)


def _distance(history: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns float32[C] twice, the distance from the history's mean and the signed offset, over what both have.

    Args:
        history: float32[N, m], NaN where absent.
        candidates: float32[C, m], NaN where absent.
    """
    known = ~np.isnan(history)
    middle = np.where(known, history, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    offset = np.where(np.isnan(candidates) | ~known.any(axis=0), 0, candidates - middle)
    return np.abs(offset).mean(axis=1).astype(np.float32), offset.mean(axis=1).astype(np.float32)


def _shares_of_best(recalled: RecalledList, candidates: np.ndarray) -> np.ndarray:
    """Returns float32[C], the source's scores as shares of its best one; 0 for what it did not recall."""
    if not len(recalled.rows) or not len(candidates):
        return np.zeros(len(candidates), np.float32)
    places, hit = _places_in(recalled.rows, candidates)
    shares: np.ndarray = np.where(hit, recalled.scores[places] / recalled.scores[0], 0)
    return shares.astype(np.float32)


def _places_in(found: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns int64[C], each candidate's place in a list that is not empty, and bool[C], whether it is there."""
    order = np.argsort(found, kind="stable")
    places = order[np.minimum(np.searchsorted(found[order], candidates), len(found) - 1)]
    return places, found[places] == candidates


def _reciprocal_ranks(found: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Returns float32[C], (1 + offset) / (rank + offset) with ranks from 1; 0 for what the source did not recall."""
    if not len(found) or not len(candidates):
        return np.zeros(len(candidates), np.float32)
    places, hit = _places_in(found, candidates)
    values: np.ndarray = np.where(hit, (1 + _RANK_OFFSET) / (places + 1 + _RANK_OFFSET), 0)
    return values.astype(np.float32)
