"""Turns what a request says into query vectors; what the encoder cannot serve is left to shared words.

Encoder and user tower are asked at the same time. The tower gives up first: without it a history still has the vectors
of its own items.
"""

import asyncio
from dataclasses import dataclass
from functools import partial

import numpy as np

from core.retrieval.source import SourceQuery
from core.vectors import history_query
from domain.errors import DeadlineExceeded, EncoderUnavailable, ModelUnavailable
from domain.recommendation import Degradation, DegradationReason, Source
from server.deadline import Deadline
from server.stages.history import History
from server.stages.release import ServingRelease
from server.stages.utterance import Utterance, unknown_share, unread_degradations, utterances_of
from server.trace import Trace

# Kept back from the user tower's time beyond the encoder's reserve; with less left it is not asked at all.
_TOWER_RESERVE_S = 0.01


@dataclass(frozen=True)
class Represented:
    """A request as the recall sources take it.

    Attributes:
        query: vectors and events; `words` are parsed by a worker thread.
        unknown_token_share: over all texts.
        degradations: what could not be done as it should.
        encoder_error: why the encoder gave nothing, if it did not.
        by_text: whether a text decides who may appear.
        words: to be matched: the text's, always; of a history, the titles that the encoder did not read.
    """

    query: SourceQuery
    unknown_token_share: float
    degradations: tuple[Degradation, ...]
    encoder_error: EncoderUnavailable | None
    by_text: bool = False
    words: str = ""

    @property
    def similarity_vector(self) -> np.ndarray | None:
        """float32[d], what `similarity` is measured against: the text's vector, else the history's."""
        return self.query.history_vector if self.query.text_vector is None else self.query.text_vector


@dataclass(frozen=True)
class _Encoded:
    """The vectors of some utterances; where the encoder gave none, why, and whether its student did."""

    vectors: dict[Source, np.ndarray]
    error: EncoderUnavailable | None
    by_student: bool = False


@dataclass(frozen=True)
class _Embedded:
    """The user tower's vector; None where there is no tower or no history, or it did not answer."""

    vector: np.ndarray | None = None
    failed: bool = False


async def represent(  # noqa: PLR0913 -- each is a fact of one call
    text: str,
    history: History,
    release: ServingRelease,
    deadline: Deadline,
    trace: Trace,
    *,
    unreadable_limit: float,
    words_only: bool = False,
) -> Represented:
    """Encodes the request's text and the history's.

    Args:
        text: what is left of the request's text to search; may be empty.
        history: the caller's.
        release: the release.
        deadline: of the call.
        trace: gets the stages' times.
        unreadable_limit: above this share of text that the encoder cannot read, words alone are matched.
        words_only: asks neither encoder nor user tower: only the student, words and items' own vectors are left.

    Raises:
        Overloaded: too many texts wait for the encoder.
        DeadlineExceeded: there is no time left at all.
    """
    utterances = await utterances_of(text, history, release, unreadable_limit, trace)
    readable = [utterance for utterance in utterances if utterance.readable(unreadable_limit)]
    if words_only:
        encoded, embedded = _by_student(readable, release, _SHED) if readable else _Encoded({}, None), _Embedded()
    elif release.user_tower is None or not len(history.events):
        encoded, embedded = await _encode(readable, release, deadline, trace), _Embedded()
    else:
        encoded, embedded = await asyncio.gather(
            _encode(readable, release, deadline, trace), _embed(history, release, deadline, trace)
        )
    unread = [one.words for one in utterances if one not in readable or one.source not in encoded.vectors]
    combine = partial(_history_vector, encoded.vectors.get(Source.SEMANTIC_HISTORY), history, release)
    asks = release.catalogue.is_remote and history.rows
    history_vector = await asyncio.to_thread(combine) if asks else combine()
    return Represented(
        query=SourceQuery(
            text_vector=encoded.vectors.get(Source.SEMANTIC_TEXT),
            history_vector=history_vector,
            events=history.events,
            user_embedding=embedded.vector,
            half_lives=release.blend.half_lives,
        ),
        unknown_token_share=unknown_share(utterances),
        degradations=unread_degradations(utterances, readable, release.languages.tags)
        + _degradations(readable, encoded)
        + ((_NO_TOWER,) if embedded.failed else ()),
        encoder_error=encoded.error,
        by_text=bool(text),
        words=text or "\n".join(unread),
    )


_SHED = EncoderUnavailable("the gateway has too many calls to ask it")


async def _embed(history: History, release: ServingRelease, deadline: Deadline, trace: Trace) -> _Embedded:
    tower = release.user_tower
    assert tower is not None
    try:
        with trace.stage("triton"):
            vector = await tower.embed(history.events, deadline.before_fallback().earlier_by(_TOWER_RESERVE_S))
    except (ModelUnavailable, DeadlineExceeded):
        return _Embedded(failed=True)
    return _Embedded(vector)


_NO_TOWER = Degradation(
    DegradationReason.USER_TOWER_UNAVAILABLE,
    "the user tower could not be asked in time; the history was matched by its items' own vectors and neighbours",
)


async def _encode(utterances: list[Utterance], release: ServingRelease, deadline: Deadline, trace: Trace) -> _Encoded:
    if not utterances:
        return _Encoded({}, None)
    try:
        vectors = await release.encoder.encode(
            [utterance.tokenized for utterance in utterances], deadline.before_fallback(), trace
        )
    except EncoderUnavailable as error:
        return _by_student(utterances, release, error)
    except DeadlineExceeded as error:
        if deadline.remaining_s() <= 0:
            raise
        return _by_student(utterances, release, EncoderUnavailable(str(error)))
    return _Encoded({utterance.source: vector for utterance, vector in zip(utterances, vectors, strict=True)}, None)


def _by_student(utterances: list[Utterance], release: ServingRelease, error: EncoderUnavailable) -> _Encoded:
    """Encodes the texts with the encoder's student: a look-up of microseconds, without Triton."""
    student = release.student
    if student is None:
        return _Encoded({}, error)
    read = {utterance.source: student.vector(utterance.text) for utterance in utterances}
    vectors = {source: vector for source, vector in read.items() if vector is not None}
    return _Encoded(vectors, error, by_student=bool(vectors))


def _history_vector(text_vector: np.ndarray | None, history: History, release: ServingRelease) -> np.ndarray | None:
    """Returns the history's items and its text as one centred mean; the text's vector as it is without items."""
    if not history.rows:
        return text_vector
    vectors, weights = release.catalogue.vectors_of(history.rows), history.weights
    half_life = release.blend.half_lives.get(Source.SEMANTIC_HISTORY.value, 0.0)
    if half_life > 0:
        weights = weights * history.events.recency(np.asarray(history.rows, np.int64), half_life)
        weights = weights / weights.sum()
    if text_vector is not None:
        # What is told in words counts as one more item does.
        vectors = np.concatenate([vectors, text_vector[np.newaxis]])
        weights = np.append(weights, 1 / len(weights))
    return history_query(vectors, release.catalogue.mean, weights)


def _degradations(readable: list[Utterance], encoded: _Encoded) -> tuple[Degradation, ...]:
    found = []
    if encoded.error is not None:
        instead = (
            "a small student of it read the text instead, less exactly"
            if encoded.by_student
            else "the text was matched by shared words or characters, not by meaning"
        )
        found.append(
            Degradation(DegradationReason.ENCODER_UNAVAILABLE, f"the encoder could not be asked in time; {instead}")
        )
    if any(utterance.tokenized.truncated for utterance in readable):
        found.append(
            Degradation(
                DegradationReason.TEXT_TRUNCATED,
                "the text is longer than the encoder takes; what lies beyond was not read",
            )
        )
    return tuple(found)
