"""Features of a text's candidates: one definition for training and for the gateway."""

from dataclasses import dataclass

import numpy as np

from core.events import EventSequence
from core.ranking.features import FEATURE_NAMES, UserSignals, rank_features, standardised
from core.ranking.item_facts import ItemFacts
from core.retrieval.lexical_match import MATCH_FEATURES

# What the history says of a candidate, as the ranker sees it; ranks in its own lists are left out: a text has others.
# Of a history beside a text: what needs no recall lists, since a text's sources alone find candidates.
_FROM_LISTS = ("reciprocal_rank_", "similar_users", "log_popularity")
_HISTORY_NAMES = tuple(name for name in FEATURE_NAMES if not name.startswith(_FROM_LISTS))
_TEXT_NAMES = (
    "text_score",
    "text_score_below_best",
    "text_score_standardised",
    "reciprocal_rank_text",
    "cosine",
    *MATCH_FEATURES,
    "log_popularity",
    "log_popularity_standardised",
    "candidate_count",
    "has_history",
    "history_z",
    "history_z_standardised",
)
TEXT_FEATURE_NAMES = (*_TEXT_NAMES, *_HISTORY_NAMES)
_RANK_OFFSET = 10
_MOST_Z = 10.0


@dataclass(frozen=True)
class TextMatch:
    """Match of some candidates with a text.

    Attributes:
        rows: int64[C], the candidates.
        scores: float32[C], `text_blend.text_scores`.
        cosines: float32[C], NaN where text or item cannot be read by the encoder.
        matches: float32[C, M], `MATCH_FEATURES`; None without words.
    """

    rows: np.ndarray
    scores: np.ndarray
    cosines: np.ndarray
    matches: np.ndarray | None


@dataclass(frozen=True)
class TextHistory:
    """Signals of a history beside a text.

    Attributes:
        events: of the history; may be empty.
        z_scores: float32[C], `history_effect.history_z`; None where nothing was fitted, or there is no history.
        user: what else is known of the user.
    """

    events: EventSequence
    z_scores: np.ndarray | None = None
    user: UserSignals | None = None


def text_features(match: TextMatch, history: TextHistory, facts: ItemFacts) -> np.ndarray:
    """Returns float32[C, F], the features in the order of `TEXT_FEATURE_NAMES`.

    Args:
        match: the candidates as they match the text.
        history: the caller's.
        facts: of the catalogue's items.
    """
    count, scores = len(match.rows), match.scores
    columns = {name: np.zeros(count, np.float32) for name in TEXT_FEATURE_NAMES}
    columns["text_score"] = scores
    columns["text_score_below_best"] = scores - scores.max(initial=-np.inf) if count else scores
    columns["text_score_standardised"] = standardised(scores)
    columns["reciprocal_rank_text"] = _reciprocal_ranks(scores)
    columns["cosine"] = np.nan_to_num(match.cosines, nan=0.0)
    if match.matches is not None:
        columns |= {name: match.matches[:, place] for place, name in enumerate(MATCH_FEATURES)}
    if facts.log_popularity is not None:
        columns["log_popularity"] = facts.log_popularity[match.rows]
        columns["log_popularity_standardised"] = standardised(columns["log_popularity"])
    columns["candidate_count"] += np.log1p(count)
    if len(history.events):
        columns["has_history"] += 1
        found = rank_features(history.events, match.rows, facts, (), history.user)
        places = {name: place for place, name in enumerate(FEATURE_NAMES)}
        columns |= {name: found[:, places[name]] for name in _HISTORY_NAMES}
    if history.z_scores is not None:
        columns["history_z"] = np.clip(history.z_scores, -_MOST_Z, _MOST_Z)
        columns["history_z_standardised"] = standardised(columns["history_z"])
    return np.stack([columns[name] for name in TEXT_FEATURE_NAMES], axis=1).astype(np.float32)


def _reciprocal_ranks(scores: np.ndarray) -> np.ndarray:
    """Returns float32[C], (1 + offset) / (rank + offset) by score, best first, equal scores in their order."""
    ranks = np.empty(len(scores), np.float32)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    result: np.ndarray = (1 + _RANK_OFFSET) / (ranks + _RANK_OFFSET)
    return result.astype(np.float32)
