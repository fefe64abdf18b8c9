"""Ranks texts that are in no catalogue: by the live release's encoder, by words, and by the history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.text.analysis import analyze
from core.text.tokenize import TokenizedText
from core.vectors import unit
from domain.errors import EncoderUnavailable, FieldViolation, NothingToGoOn
from domain.prompts import TextRole
from domain.recommendation import Degradation, DegradationReason, RecommendQuery
from domain.text_ranking import RankedText, RankQuery, TextRanking
from server.deadline import Deadline
from server.stages.history import read_history
from server.stages.rank import softmax
from server.stages.release import ServingRelease
from server.stages.represent import Represented, represent
from server.stages.text_order import strength_of
from server.trace import Trace

# Texts encoded together: as many as one Embed takes.
_AT_ONCE = 256
# Differences of .05 in score, which decide between descriptions, are one unit of a choice.
_TEMPERATURE = 0.05


@dataclass(frozen=True)
class TextRanker:
    """Ranks a caller's texts.

    Attributes:
        live: returns the live release; raises NoRelease where there is none.
        unreadable_limit: above this share of text that the encoder cannot read, words alone count.
    """

    live: Callable[[], ServingRelease]
    unreadable_limit: float

    async def rank(self, query: RankQuery, deadline: Deadline, trace: Trace) -> TextRanking:
        """Returns the texts, best first.

        Raises:
            NoRelease: none is live.
            NothingToGoOn: there is no text, and the history says nothing.
            EncoderUnavailable: the encoder is away and there is no text to match by words.
            Overloaded, DeadlineExceeded: not in time.
        """
        release = self.live()
        asked = RecommendQuery(text=query.text, events=query.events, item_ids=query.item_ids)
        history = read_history(asked, release)
        if not query.text and not history.rows and not history.text:
            raise NothingToGoOn(
                FieldViolation("query", "give a query, or events or item_ids of which one is known or has a title")
            )
        with trace.stage("represent"):
            represented = await represent(
                asked, query.text, history, release, deadline, trace, unreadable_limit=self.unreadable_limit
            )
            vectors, truncated, error = await self._encoded(query.candidates, release, deadline, trace)
        if error is not None and not query.text:
            raise error
        with trace.stage("rank"):
            results = _ranked(query, represented, vectors, release)
        return TextRanking(
            tuple(results[: query.k]),
            release.release_id,
            _degradations(represented, error, truncated=truncated),
            history.unknown_item_ids,
        )

    async def _encoded(
        self, texts: Sequence[str], release: ServingRelease, deadline: Deadline, trace: Trace
    ) -> tuple[np.ndarray, bool, EncoderUnavailable | None]:
        """Returns float32[C, d], zeros where a text cannot be read, whether one was cut, and why none was encoded."""
        distinct = list(dict.fromkeys(texts))
        tokenized = await release.encoder.tokenize(distinct, trace, TextRole.PASSAGE)
        width = len(release.catalogue.mean)
        vectors = np.zeros((len(distinct), width), np.float32)
        readable = [place for place, text in enumerate(tokenized) if text.unreadable_share <= self.unreadable_limit]
        truncated = any(tokenized[place].truncated for place in readable)
        try:
            for start in range(0, len(readable), _AT_ONCE):
                part = readable[start : start + _AT_ONCE]
                batch: list[TokenizedText] = [tokenized[place] for place in part]
                vectors[part] = await release.encoder.encode(batch, deadline, trace)
        except EncoderUnavailable as error:
            return np.zeros((len(texts), width), np.float32), False, error
        places = {text: place for place, text in enumerate(distinct)}
        return vectors[[places[text] for text in texts]], truncated, None


def _ranked(
    query: RankQuery, represented: Represented, vectors: np.ndarray, release: ServingRelease
) -> list[RankedText]:
    asked = represented.query
    readable: np.ndarray = np.asarray(vectors.any(axis=1))
    by_history = np.zeros(len(vectors), np.float32)
    if asked.history_vector is not None:
        by_history = np.where(readable, unit(vectors - release.catalogue.mean) @ asked.history_vector, 0)
    terms = analyze(query.text).terms
    shared = _shared(terms, query.candidates)
    texts: np.ndarray = _coverage(terms, shared) * release.relevance.blend.bm25
    compared = asked.text_vector if query.text else asked.history_vector
    cosines = np.zeros(len(vectors), np.float32) if compared is None else vectors @ compared
    if query.text:
        texts = texts + np.where(readable, cosines, 0)
        scores: np.ndarray = texts + strength_of(query.personalization, release.blend) * by_history
    else:
        texts, scores = by_history, by_history
    choices = softmax(scores / _TEMPERATURE)
    relevance = release.relevance.probabilities(texts)
    order = np.lexsort((np.arange(len(scores)), -scores)).tolist()
    return [
        RankedText(
            place,
            float(scores[place]),
            float(cosines[place]) if compared is not None and readable[place] else None,
            float(relevance[place]) if query.text else None,
            float(choices[place]),
            shared[place],
        )
        for place in order
    ]


def _shared(terms: Sequence[str], texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Returns for each text the terms that it has."""
    if not terms:
        return [()] * len(texts)
    own = [frozenset(analyze(text).terms) for text in texts]
    return [tuple(term for term in terms if term in words) for words in own]


def _coverage(terms: Sequence[str], shared: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Returns float32[C], the share of the terms that each text has, each by how rare it is among the texts."""
    counts = {term: sum(term in own for own in shared) for term in terms}
    weights = {
        term: float(np.log1p((len(shared) - count + 0.5) / (count + 0.5))) for term, count in counts.items() if count
    }
    total = sum(weights.values()) or 1.0
    return np.asarray([sum(weights[term] for term in own) / total for own in shared], np.float32)


def _degradations(
    represented: Represented, error: EncoderUnavailable | None, *, truncated: bool
) -> tuple[Degradation, ...]:
    found = list(represented.degradations)
    reasons = {degradation.reason for degradation in found}
    if error is not None and DegradationReason.ENCODER_UNAVAILABLE not in reasons:
        found.append(
            Degradation(
                DegradationReason.ENCODER_UNAVAILABLE,
                "the encoder could not be asked in time; only words were matched",
            )
        )
    if truncated and DegradationReason.TEXT_TRUNCATED not in reasons:
        found.append(
            Degradation(DegradationReason.TEXT_TRUNCATED, "a candidate is longer than the encoder takes; it was cut")
        )
    return tuple(found)
