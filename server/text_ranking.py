"""Ranks texts that are in no catalogue: by the live release's encoder, by words, and by the history.

Texts are encoded and analysed a few at a time, analysis in worker threads: a thousand of them must not hold others up.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from core.ranking.blend import Blend
from core.ranking.history_effect import cosine_effect
from core.ranking.text_blend import text_scores
from core.ranking.word_coverage import QueryWords
from core.retrieval.lexical_match import BM25, MATCH_FEATURES
from core.vectors import unit
from domain.errors import DeadlineExceeded, EncoderUnavailable, FieldViolation, NothingToGoOn
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

# Analysing as many characters takes 3 ms of the interpreter, which others wait for.
_CHARACTERS_AT_ONCE = 8_000
# Kept back from the encoder's time for each text beyond the reserve of any call: to score it, and to send the answer.
_ANSWER_S = 0.0002
_MOST_ANSWER_SHARE = 0.2


@dataclass(frozen=True)
class _Encoded:
    """Texts as the encoder reads them.

    Attributes:
        vectors: float32[T, d], zeros where a text cannot be read.
        truncated: whether one was cut.
        error: why none was encoded, if none was.
    """

    vectors: np.ndarray
    truncated: bool = False
    error: EncoderUnavailable | None = None


@dataclass(frozen=True)
class TextRanker:
    """Ranks a caller's texts.

    Attributes:
        live: returns the live release; raises NoRelease where there is none.
        searchers: threads in which texts are analysed.
        unreadable_limit: above this share of text that the encoder cannot read, words alone count.
    """

    live: Callable[[], ServingRelease]
    searchers: Executor
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
        loop = asyncio.get_running_loop()
        history = await loop.run_in_executor(self.searchers, read_history, asked, release)
        if not query.text and not history.rows and not history.text:
            raise NothingToGoOn(
                FieldViolation("query", "give a query, or events or item_ids of which one is known or has a title")
            )
        texts = tuple(dict.fromkeys(query.candidates))
        words = QueryWords.of(query.text)
        matching = loop.create_task(self._shared(words, texts))
        try:
            with trace.stage("represent"):
                represented = await represent(
                    query.text, history, release, deadline, trace, unreadable_limit=self.unreadable_limit
                )
                encoded = await self._encoded(texts, represented, release, deadline, trace)
            with trace.stage("rank"):
                given = _Texts(texts, words, await matching, encoded.vectors)
                results = await loop.run_in_executor(self.searchers, _ranked, query, represented, given, release)
        finally:
            matching.cancel()
        return TextRanking(
            results[: query.k],
            release.release_id,
            _degradations(represented, encoded),
            history.unknown_item_ids,
        )

    async def _shared(self, words: QueryWords, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Returns for each text the words of the query that it has."""
        if not words.words:
            return [()] * len(texts)
        loop, shared = asyncio.get_running_loop(), []
        for part in _parts(texts):
            shared += await loop.run_in_executor(self.searchers, words.shared, part)
        return shared

    async def _encoded(
        self,
        texts: Sequence[str],
        represented: Represented,
        release: ServingRelease,
        deadline: Deadline,
        trace: Trace,
    ) -> _Encoded:
        """Encodes the texts.

        Raises:
            EncoderUnavailable, DeadlineExceeded: the encoder gave nothing, and there are no words to match instead.
        """
        nothing = np.zeros((len(texts), len(release.catalogue.mean)), np.float32)
        if represented.encoder_error is not None and represented.by_text:
            return _Encoded(nothing, error=represented.encoder_error)
        if represented.similarity_vector is None:
            return _Encoded(nothing)
        if not represented.by_text:
            return await self._encoded_by(deadline, texts, release, trace)
        try:
            answer_s = min(_ANSWER_S * len(texts), _MOST_ANSWER_SHARE * deadline.remaining_s())
            limit = deadline.before_fallback().earlier_by(answer_s)
            async with asyncio.timeout_at(limit.at_s):
                return await self._encoded_by(limit, texts, release, trace)
        except EncoderUnavailable as error:
            return _Encoded(nothing, error=error)
        except (DeadlineExceeded, TimeoutError) as error:
            if deadline.remaining_s() <= 0:
                raise
            return _Encoded(nothing, error=EncoderUnavailable(str(error)))

    async def _encoded_by(
        self, deadline: Deadline, texts: Sequence[str], release: ServingRelease, trace: Trace
    ) -> _Encoded:
        tokenized = await release.encoder.tokenize(texts, trace, TextRole.PASSAGE)
        readable = [place for place, text in enumerate(tokenized) if text.unreadable_share <= self.unreadable_limit]
        vectors = np.zeros((len(texts), len(release.catalogue.mean)), np.float32)
        if readable:
            vectors[readable] = await release.encoder.encode([tokenized[place] for place in readable], deadline, trace)
        return _Encoded(vectors, any(tokenized[place].truncated for place in readable))


@dataclass(frozen=True)
class _Texts:
    """The distinct texts of a request. Equal texts are scored once, so that they tie.

    Attributes:
        texts: T of them.
        words: of the query.
        shared: for each text the words that it has.
        vectors: float32[T, d], zeros where a text was not read.
    """

    texts: Sequence[str]
    words: QueryWords
    shared: Sequence[tuple[str, ...]]
    vectors: np.ndarray

    def places(self, candidates: Sequence[str]) -> np.ndarray:
        """Returns int64[C], the text of each candidate."""
        places = {text: place for place, text in enumerate(self.texts)}
        return np.asarray([places[text] for text in candidates], np.int64)


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yields texts a few at a time; a longer one alone."""
    part: list[str] = []
    characters = 0
    for text in texts:
        if part and characters + len(text) > _CHARACTERS_AT_ONCE:
            yield part
            part, characters = [], 0
        part.append(text)
        characters += len(text)
    if part:
        yield part


def _ranked(
    query: RankQuery, represented: Represented, given: _Texts, release: ServingRelease
) -> tuple[RankedText, ...]:
    """Scores and orders; in a worker thread."""
    places = given.places(query.candidates)
    compared = represented.similarity_vector
    cosines = np.full(len(given.texts), np.nan, np.float32)
    if compared is not None:
        readable = given.vectors.any(axis=1)
        cosines[readable] = given.vectors[readable] @ compared
    shared = [given.shared[place] for place in places.tolist()]
    if query.text:
        features = np.zeros((len(places), len(MATCH_FEATURES)), np.float32)
        features[:, BM25] = given.words.coverage(shared)
        texts = text_scores(cosines[places], features, release.relevance.blend)
        relevance = release.relevance.probabilities(texts)
        scores = texts + _history_part(query, represented, given.vectors, release)[places]
    else:
        relevance = None
        scores = _history_cosines(represented, given.vectors, release)[places]
    choices = softmax(release.relevance.slope * scores)
    order = np.lexsort((np.arange(len(scores)), -scores))
    return tuple(
        RankedText(
            place,
            float(scores[place]),
            None if np.isnan(cosines[places[place]]) else float(cosines[places[place]]),
            None if relevance is None else float(relevance[place]),
            float(choices[place]),
            given.words.whole(shared[place]),
        )
        for place in order.tolist()
    )


def _history_part(
    query: RankQuery, represented: Represented, vectors: np.ndarray, release: ServingRelease
) -> np.ndarray:
    """Returns float32[T], what the history adds to the score of each text.

    A release's strength is fitted to what its sources say of items. A cosine counts no more than by default.
    """
    history = represented.query.history_vector
    strength = np.float32(min(strength_of(query.personalization, blend) for blend in (release.blend, Blend())))
    if history is None or strength <= 0:
        return np.zeros(len(vectors), np.float32)
    return strength * cosine_effect(vectors, history, release.catalogue.mean)


def _history_cosines(represented: Represented, vectors: np.ndarray, release: ServingRelease) -> np.ndarray:
    """Returns float32[T], centred cosines to the history; 0 for what cannot be read."""
    history = represented.query.history_vector
    if history is None:
        return np.zeros(len(vectors), np.float32)
    return np.where(vectors.any(axis=1), unit(vectors - release.catalogue.mean) @ history, np.float32(0))


def _degradations(represented: Represented, encoded: _Encoded) -> tuple[Degradation, ...]:
    found = list(represented.degradations)
    if encoded.error is not None:
        found = [one for one in found if one.reason is not DegradationReason.ENCODER_UNAVAILABLE]
        found.append(
            Degradation(
                DegradationReason.ENCODER_UNAVAILABLE,
                "the encoder could not be asked in time; only words were matched",
            )
        )
    if encoded.truncated and DegradationReason.TEXT_TRUNCATED not in {one.reason for one in found}:
        found.append(
            Degradation(DegradationReason.TEXT_TRUNCATED, "a candidate is longer than the encoder takes; it was cut")
        )
    return tuple(found)
