"""Orders what was recalled for a text: by words and meaning together, refined by the history and the comments.

score = text score + strength x (history, 0 to 1, + aspects, -1 to 1)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.aspects.profile import aspect_affinity
from core.ranking.blend import HISTORY_STRENGTH, PRIOR, TEXT_SOURCES, Blend, score_candidates
from core.ranking.fusion import candidates_of
from core.ranking.history_effect import LEAST_Z, cosine_effect, history_share, history_z
from core.ranking.text_blend import text_scores
from core.ranking.text_features import TextMatch
from core.retrieval.lexical import LexicalSource
from core.retrieval.source import RecalledList, SourceQuery, SourceScores
from core.vectors import products, top_rows
from domain.recommendation import DEFAULT_PERSONALIZATION, Source
from server.stages.order import Ordered
from server.stages.recall import Recalled
from server.stages.release import ServingRelease

# Most that comments add or take away, in text scores: what the default strength is for the most personal list.
_MOST_OF_ASPECTS = HISTORY_STRENGTH / DEFAULT_PERSONALIZATION


@dataclass(frozen=True)
class TextRequest:
    """A text and a history as candidates are scored by them.

    Attributes:
        query: of the sources.
        personalization: 0 to 1.
        aspects: float32[A], the caller's comments by aspect; None without any.
    """

    query: SourceQuery
    personalization: float = DEFAULT_PERSONALIZATION
    aspects: np.ndarray | None = None

    @property
    def has_history(self) -> bool:
        """True where a history says something."""
        query = self.query
        return bool(len(query.events)) or query.history_vector is not None or query.user_embedding is not None

    def history_counts(self, release: ServingRelease) -> bool:
        """Returns whether the history has a say beside the text."""
        return self.has_history and strength_of(self.personalization, release.blend) > 0


def recalled_rows(recalled: Recalled) -> np.ndarray:
    """Returns int64[C], the rows of a pass, distinct, ascending."""
    if not recalled.lists:
        return np.empty(0, np.int64)
    return np.unique(np.concatenate([found.rows for found in recalled.lists]))


@dataclass(frozen=True)
class TextCandidates:
    """Candidates of a text with what words, meaning and the history say of them, computed once for ranker and order.

    Attributes:
        vectors: float32[C, d], zeros where the encoder cannot read an item.
        match: with the text.
        by_history: C scores by source name; empty where the history does not count.
    """

    vectors: np.ndarray
    match: TextMatch
    by_history: Mapping[str, SourceScores]


def text_candidates(request: TextRequest, rows: np.ndarray, release: ServingRelease) -> TextCandidates:
    """Compares rows with a text and a history.

    Args:
        request: the text and the history.
        rows: int64[C], distinct, ascending.
        release: the release.
    """
    vectors = release.catalogue.vectors_of(rows)
    match = _match(request.query, rows, vectors, release)
    by_history = _history_scores(request.query, rows, release) if request.history_counts(release) else {}
    return TextCandidates(vectors, match, by_history)


def order_candidates(
    request: TextRequest,
    lists: tuple[RecalledList, ...],
    candidates: TextCandidates,
    release: ServingRelease,
    count: int,
) -> Ordered:
    """Returns the first `count` of some candidates in their order.

    Args:
        request: the text and the history.
        lists: what the text's sources recalled.
        candidates: of that request.
        release: the release.
        count: how many.
    """
    rows, texts = candidates.match.rows, candidates.match.scores
    relevance = release.relevance.probabilities(texts)
    strength = np.float32(strength_of(request.personalization, release.blend))
    scores = texts
    if strength > 0:
        # The strength is fitted to histories; comments count no more than by default.
        scores = scores + min(strength, np.float32(_MOST_OF_ASPECTS)) * _aspect_effect(request, rows, release)
    if request.history_counts(release):
        scores = scores + strength * _history_effect(request.query, candidates, release)
        lists = (*lists, *_history_lists(candidates.by_history, rows, release))
    best, ordered = top_rows(scores, rows, count, release.sources.order)
    return Ordered(
        candidates_of(lists, best, ordered),
        relevance[np.searchsorted(rows, best)],
        float(relevance.max()) if len(rows) else None,
    )


def _match(query: SourceQuery, rows: np.ndarray, vectors: np.ndarray, release: ServingRelease) -> TextMatch:
    """Returns how well each row fits the text by words and meaning.

    Args:
        query: the text's vector and words.
        rows: int64[C].
        vectors: float32[C, d], the rows', zeros where the encoder cannot read an item.
        release: gives words and weights.
    """
    if query.text_vector is None:
        cosines = np.full(len(rows), np.nan, np.float32)
    else:
        cosines = products(vectors, query.text_vector)
        zero = np.flatnonzero(cosines == 0)
        if len(zero):
            cosines[zero[~vectors[zero].any(axis=1)]] = np.nan
    lexical = release.sources.get(Source.LEXICAL.value)
    features = None
    if isinstance(lexical, LexicalSource) and query.lexical is not None:
        features = lexical.index.features(query.lexical, rows)
    return TextMatch(rows, text_scores(cosines, features, release.relevance.blend), cosines, features)


def strength_of(personalization: float, blend: Blend) -> float:
    """Returns the weight of the history, in text scores: the release's for 0.5, twice that for 1, none for 0."""
    return blend.history_strength * personalization / DEFAULT_PERSONALIZATION


def _history_scores(query: SourceQuery, rows: np.ndarray, release: ServingRelease) -> dict[str, SourceScores]:
    """Returns the scores of these rows by each source of the history that has a weight or goes by the caller."""
    weights = release.blend.weights_for(query)
    sources = [
        source
        for source in release.sources.answering(query)
        if weights.get(source.name) or source.name not in TEXT_SOURCES | {PRIOR}
    ]
    return score_candidates(sources, query, rows, release.sources.population)


def _history_effect(query: SourceQuery, candidates: TextCandidates, release: ServingRelease) -> np.ndarray:
    """Returns float32[C], 0 to 1: how much the history speaks for each row; 0 for what has nothing to do with it."""
    z_scores = history_z(candidates.by_history, query, release.blend)
    if z_scores is not None:
        return history_share(z_scores)
    if query.history_vector is None:
        return np.zeros(len(candidates.vectors), np.float32)
    return cosine_effect(candidates.vectors, query.history_vector, release.catalogue.mean)


def _aspect_effect(request: TextRequest, rows: np.ndarray, release: ServingRelease) -> np.ndarray:
    """Returns float32[C], -1 to 1: how well reviews speak of each row in what the caller's comments care about."""
    if request.aspects is None or release.aspects is None:
        return np.zeros(len(rows), np.float32)
    return aspect_affinity(request.aspects, release.aspects.of(rows.tolist()))


def _history_lists(
    scored: Mapping[str, SourceScores], rows: np.ndarray, release: ServingRelease
) -> tuple[RecalledList, ...]:
    """Returns the view that each source of the history has of the text's candidates: those well above its mean."""
    lists = []
    for name, view in scored.items():
        known = np.isfinite(view.scores) & (view.z_scores > LEAST_Z)
        if name not in TEXT_SOURCES | {PRIOR} and known.any():
            best = top_rows(view.scores[known], rows[known], int(known.sum()), release.sources.order)
            lists.append(RecalledList(name, *best))
    return tuple(lists)
