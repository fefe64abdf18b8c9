"""Turns what a request says into query vectors; what the encoder cannot serve is left to shared words.

Encoder and user tower are asked at the same time. The tower gives up first: without it a history still has the vectors
of its own items.
"""

import asyncio
from dataclasses import dataclass

import numpy as np

from core.text.tokenize import TokenizedText
from core.vectors import history_query
from domain.errors import DeadlineExceeded, EncoderUnavailable, ModelUnavailable
from domain.prompts import TextRole
from domain.recommendation import Degradation, DegradationReason, RecommendQuery, Source
from server.deadline import Deadline
from server.release.live_release import LiveRelease
from server.stages.history import History
from server.trace import Trace

# Kept back from the encoder's time, so that a late encoder still leaves time to answer by shared words.
_FALLBACK_SHARE = 0.2
_FALLBACK_MOST_S = 0.05
# Beyond that, kept back from the user tower's time; with less left it is not asked at all.
_TOWER_RESERVE_S = 0.01


@dataclass(frozen=True)
class VectorQuery:
    """What to look for.

    Attributes:
        source: how its finds are labelled.
        vector: float32[d], unit.
    """

    source: Source
    vector: np.ndarray


@dataclass(frozen=True)
class Represented:
    """A request as the recall sources take it.

    Attributes:
        queries: for the vector index; the first one is what `similarity` is measured against.
        lexical_text: for the lexical index; empty where vectors speak for everything.
        unknown_token_share: over all texts.
        degradations: what could not be done as it should.
        encoder_error: why the encoder gave nothing, if it did not.
        user_embedding: float32[e], unit, the user tower's; None where there is none.
    """

    queries: tuple[VectorQuery, ...]
    lexical_text: str
    unknown_token_share: float
    degradations: tuple[Degradation, ...]
    encoder_error: EncoderUnavailable | None
    user_embedding: np.ndarray | None = None


@dataclass(frozen=True)
class _Utterance:
    """A text to encode, and the words in it that may be matched instead."""

    source: Source
    text: str
    words: str
    tokenized: TokenizedText


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
    query: RecommendQuery,
    history: History,
    release: LiveRelease,
    deadline: Deadline,
    trace: Trace,
    *,
    unreadable_limit: float,
) -> Represented:
    """Encodes the request's text and told history, and makes the history's query.

    Raises:
        Overloaded: too many texts wait for the encoder.
        DeadlineExceeded: there is no time left at all.
    """
    texts = [
        (Source.SEMANTIC_TEXT, query.text, query.text),
        (Source.SEMANTIC_HISTORY, history.told, history.told_titles),
    ]
    texts = [entry for entry in texts if entry[1]]
    tokenized = await release.encoder.tokenize([text for _, text, _ in texts], trace, TextRole.QUERY)
    said = [_Utterance(*entry, tokens) for entry, tokens in zip(texts, tokenized, strict=True)]
    understood = [one for one in said if one.tokenized.unreadable_share <= unreadable_limit]
    if release.user_tower is None or history.past is None:
        encoded, embedded = await _encode(understood, release, deadline, trace), _Embedded()
    else:
        encoded, embedded = await asyncio.gather(
            _encode(understood, release, deadline, trace), _embed(history, release, deadline, trace)
        )
    left = [one for one in said if one.source not in encoded.vectors]
    return Represented(
        queries=_queries(encoded.vectors, history, release),
        lexical_text="\n".join(one.words for one in left),
        unknown_token_share=_unknown_share(said),
        degradations=_degradations(said, understood, encoded) + ((_NO_TOWER,) if embedded.failed else ()),
        encoder_error=encoded.error,
        user_embedding=embedded.vector,
    )


async def _embed(history: History, release: LiveRelease, deadline: Deadline, trace: Trace) -> _Embedded:
    tower, past = release.user_tower, history.past
    assert tower is not None and past is not None
    reserve_s = min(_FALLBACK_MOST_S, _FALLBACK_SHARE * deadline.remaining_s()) + _TOWER_RESERVE_S
    try:
        with trace.stage("triton"):
            vector = await tower.embed(past, deadline.earlier_by(reserve_s))
    except (ModelUnavailable, DeadlineExceeded):
        return _Embedded(failed=True)
    return _Embedded(vector)


_NO_TOWER = Degradation(
    DegradationReason.USER_TOWER_UNAVAILABLE,
    "the user tower could not be asked in time; the history was matched by its items' own vectors and neighbours",
)


async def _encode(utterances: list[_Utterance], release: LiveRelease, deadline: Deadline, trace: Trace) -> _Encoded:
    if not utterances:
        return _Encoded({}, None)
    reserve_s = min(_FALLBACK_MOST_S, _FALLBACK_SHARE * deadline.remaining_s())
    try:
        vectors = await release.encoder.encode(
            [one.tokenized for one in utterances], deadline.earlier_by(reserve_s), trace
        )
    except EncoderUnavailable as error:
        return _by_student(utterances, release, error)
    except DeadlineExceeded as error:
        if deadline.remaining_s() <= 0:
            raise
        return _by_student(utterances, release, EncoderUnavailable(str(error)))
    return _Encoded({one.source: vector for one, vector in zip(utterances, vectors, strict=True)}, None)


def _by_student(utterances: list[_Utterance], release: LiveRelease, error: EncoderUnavailable) -> _Encoded:
    """What the encoder's student makes of the texts: a look-up of microseconds that needs no Triton."""
    student = release.data.student
    if student is None:
        return _Encoded({}, error)
    read = {one.source: student.vector(one.text) for one in utterances}
    vectors = {source: vector for source, vector in read.items() if vector is not None}
    return _Encoded(vectors, error, by_student=bool(vectors))


def _queries(encoded: dict[Source, np.ndarray], history: History, release: LiveRelease) -> tuple[VectorQuery, ...]:
    """The text's vector as it is; the history's items and its told part as one centred mean."""
    queries = []
    if Source.SEMANTIC_TEXT in encoded:
        queries.append(VectorQuery(Source.SEMANTIC_TEXT, encoded[Source.SEMANTIC_TEXT]))
    told = encoded.get(Source.SEMANTIC_HISTORY)
    if told is not None and not history.rows:
        queries.append(VectorQuery(Source.SEMANTIC_HISTORY, told))
    elif history.rows:
        vectors = release.data.index.vectors[list(history.rows)]
        if told is not None:
            vectors = np.concatenate([vectors, told[np.newaxis]])
        vector = history_query(vectors, release.data.mean)
        if vector is not None:
            queries.append(VectorQuery(Source.SEMANTIC_HISTORY, vector))
    return tuple(queries)


def _unknown_share(said: list[_Utterance]) -> float:
    own = sum(one.tokenized.own_count for one in said)
    return sum(one.tokenized.unknown_count for one in said) / own if own else 0.0


def _degradations(said: list[_Utterance], understood: list[_Utterance], encoded: _Encoded) -> tuple[Degradation, ...]:
    found = []
    if len(understood) < len(said):
        share = max(one.tokenized.unreadable_share for one in said if one not in understood)
        found.append(
            Degradation(
                DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED,
                f"the encoder cannot read {share:.0%} of the text (unknown tokens, or a script it knows no words of); "
                "it was matched by shared words or characters, not by meaning",
            )
        )
    if encoded.error is not None:
        instead = (
            "a small student of it read the text instead, less exactly"
            if encoded.by_student
            else "the text was matched by shared words or characters, not by meaning"
        )
        found.append(
            Degradation(DegradationReason.ENCODER_UNAVAILABLE, f"the encoder could not be asked in time; {instead}")
        )
    if any(one.tokenized.truncated for one in understood):
        found.append(
            Degradation(
                DegradationReason.TEXT_TRUNCATED,
                "the text is longer than the encoder takes; what lies beyond was not read",
            )
        )
    return tuple(found)
