"""Orders what was recalled for a text: by words and meaning together, refined by the history."""

from dataclasses import dataclass

import numpy as np

from core.ranking.blend import PRIOR, TEXT_SOURCES, blend_scores
from core.ranking.fusion import candidates_of
from core.ranking.text_blend import text_scores
from core.retrieval.lexical import LexicalSource
from core.retrieval.source import RecalledList, SourceQuery
from core.vectors import top_rows
from domain.recommendation import Source
from server.stages.order import Ordered
from server.stages.recall import Recalled
from server.stages.release import ServingRelease

# Above this many spreads over the population a history speaks for an item; what lies below is chance.
_LEAST_Z = 1.0
_FULL_Z = 4.0
# The same for centred cosines to the history, where no weights were fitted.
_LEAST_COSINE = 0.1
_FULL_COSINE = 0.6


_DEFAULT_PERSONALIZATION = 0.5


@dataclass(frozen=True)
class TextRequest:
    """A text and a history as candidates are scored by them.

    Attributes:
        query: of the sources.
        personalization: 0 to 1; None takes the release's strength.
        aspects: float32[A], the caller's comments by aspect; None without any.
    """

    query: SourceQuery
    personalization: float | None = None
    aspects: np.ndarray | None = None

    @property
    def has_history(self) -> bool:
        """True where a history says something."""
        query = self.query
        return bool(len(query.events)) or query.history_vector is not None or query.user_embedding is not None


def by_text(request: TextRequest, recalled: Recalled, release: ServingRelease, count: int) -> Ordered:
    """Returns the first `count` of a pass's candidates in their order."""
    lists = tuple(found for found in recalled.lists if len(found.rows))
    if not lists:
        return Ordered([], np.empty(0))
    return score_rows(request, lists, np.unique(np.concatenate([found.rows for found in lists])), release, count)


def score_rows(
    request: TextRequest, lists: tuple[RecalledList, ...], rows: np.ndarray, release: ServingRelease, count: int
) -> Ordered:
    """Returns the first `count` of these rows, int64[C], in their order.

    Args:
        request: the text and the history.
        lists: what the text's sources recalled.
        rows: int64[C], distinct.
        release: the release.
        count: how many.
    """
    texts = text_scores_of(request.query, rows, release)
    strength = _strength(request.personalization, release) if request.has_history else 0.0
    by_history = _history_lists(request.query, rows, release) if strength > 0 else ()
    scores = texts
    if strength > 0:
        scores = texts + np.float32(strength) * history_effect(request, rows, release)
    best, ordered = top_rows(scores, rows, count)
    places = np.searchsorted(rows, best)
    return Ordered(candidates_of((*lists, *by_history), best, ordered), release.relevance.probabilities(texts[places]))


def text_scores_of(query: SourceQuery, rows: np.ndarray, release: ServingRelease) -> np.ndarray:
    """Returns float32[C], how well each row fits the text by words and meaning."""
    cosines = np.full(len(rows), np.nan, np.float32)
    if query.text_vector is not None:
        vectors = release.catalogue.vectors_of(rows.tolist())
        readable = vectors.any(axis=1)
        cosines[readable] = vectors[readable] @ query.text_vector
    lexical = release.sources.get(Source.LEXICAL.value)
    features = None
    if isinstance(lexical, LexicalSource) and query.lexical is not None:
        features = lexical.index.features(query.lexical, rows)
    return text_scores(cosines, features, release.text_blend)


def history_effect(request: TextRequest, rows: np.ndarray, release: ServingRelease) -> np.ndarray:
    """Returns float32[C], 0 to 1: how much the history speaks for each row; 0 for what has nothing to do with it."""
    query = request.query
    weights = release.blend.weights_for(query)
    total = sum(abs(weight) for weight in weights.values())
    scores = blend_scores(release.sources, query, weights, rows) if total else None
    if scores is not None:
        return _share(scores / np.float32(total), _LEAST_Z, _FULL_Z)
    if query.history_vector is None:
        return np.zeros(len(rows), np.float32)
    centred = release.catalogue.vectors_of(rows.tolist()) - release.catalogue.mean
    norms = np.maximum(np.linalg.norm(centred, axis=1), 1e-6)
    return _share(centred @ query.history_vector / norms, _LEAST_COSINE, _FULL_COSINE)


def _strength(personalization: float | None, release: ServingRelease) -> float:
    """Returns the weight of the history: the release's for 0.5, twice that for 1, none for 0."""
    share = _DEFAULT_PERSONALIZATION if personalization is None else personalization
    return release.history_strength * share / _DEFAULT_PERSONALIZATION


def _share(scores: np.ndarray, least: float, full: float) -> np.ndarray:
    share: np.ndarray = np.clip((scores - least) / (full - least), 0, 1)
    return share.astype(np.float32)


def _history_lists(query: SourceQuery, rows: np.ndarray, release: ServingRelease) -> tuple[RecalledList, ...]:
    """Returns the view that each source of the history has of the text's candidates: those above its mean."""
    lists = []
    for source in release.sources.answering(query):
        if source.name in TEXT_SOURCES or source.name == PRIOR:
            continue
        scored = source.scores(query, rows, release.sources.population)
        known = np.isfinite(scored.scores) & (scored.z_scores > _LEAST_Z)
        if known.any():
            lists.append(RecalledList(source.name, *top_rows(scored.scores[known], rows[known], int(known.sum()))))
    return tuple(lists)
