"""Texts of a request as the encoder reads them, or does not: then their words are matched instead."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.retrieval.lexical import LexicalSource
from core.text.tokenize import TokenizedText
from domain.language_tags import language_name, language_names
from domain.prompts import TextRole
from domain.recommendation import Degradation, DegradationReason, Source
from server.stages.history import History
from server.stages.release import ServingRelease
from server.trace import Trace


@dataclass(frozen=True, eq=False)
class Utterance:
    """A text to encode, and the words in it that may be matched instead.

    Attributes:
        source: that takes its vector.
        text: to be encoded.
        words: that may be matched.
        tokenized: the text.
        language: of the words, where the encoder surely does not read it.
        matched: whether an item holds one of the words.
    """

    source: Source
    text: str
    words: str
    tokenized: TokenizedText
    language: str | None = None
    matched: bool = True

    def readable(self, limit: float) -> bool:
        """Returns True where the encoder reads the text, or can at least spell it and no word of it is held."""
        return self.tokenized.unreadable_share <= limit and (self.language is None or not self.matched)


async def utterances_of(
    text: str, history: History, release: ServingRelease, limit: float, trace: Trace
) -> list[Utterance]:
    """Returns the request's text and the history's; of each source at most one that the encoder reads.

    Args:
        text: the request's; may be empty.
        history: the caller's.
        release: the release.
        limit: above this share of text that the encoder cannot read, words alone are matched.
        trace: gets the stages' times.
    """
    texts = [
        (Source.SEMANTIC_TEXT, text, text),
        (Source.SEMANTIC_HISTORY, history.text, history.titles),
    ]
    wholes = await _read([entry for entry in texts if entry[1]], release, trace)
    return [part for whole in wholes for part in await _divided(whole, history, release, limit, trace)]


async def _read(texts: Sequence[tuple[Source, str, str]], release: ServingRelease, trace: Trace) -> list[Utterance]:
    tokenized = await release.encoder.tokenize([text for _, text, _ in texts], trace, TextRole.QUERY)
    return [await _with_language(Utterance(*e, tokens), release) for e, tokens in zip(texts, tokenized, strict=True)]


async def _with_language(utterance: Utterance, release: ServingRelease) -> Utterance:
    """Compares the language of the words with the encoder's; the verbs of a told history are the template's."""
    language = release.languages.unsupported(utterance.words)
    if language is None:
        return utterance
    lexical = release.sources.get(Source.LEXICAL.value)
    if not isinstance(lexical, LexicalSource):
        return replace(utterance, language=language, matched=False)
    parsed = await asyncio.to_thread(lexical.index.parse, utterance.words)
    return replace(utterance, language=language, matched=bool(parsed.terms))


async def _divided(
    whole: Utterance, history: History, release: ServingRelease, limit: float, trace: Trace
) -> list[Utterance]:
    """Returns a history in words that the encoder does not read as two: its parts that it reads, and the others."""
    if whole.source is not Source.SEMANTIC_HISTORY or len(history.parts) < 2 or whole.readable(limit):
        return [whole]
    parts = await _read([(whole.source, part.text, part.words) for part in history.parts], release, trace)
    read = [part for part in parts if part.readable(limit)]
    if not read:
        return [whole]
    unread = [part for part in parts if part not in read]
    found = []
    for some in filter(None, (read, unread)):
        text = " ".join(part.text for part in some)
        (tokens,) = await release.encoder.tokenize([text], trace, TextRole.QUERY)
        words = "\n".join(dict.fromkeys(part.words for part in some))
        language = next((part.language for part in some if part.language is not None), None)
        found.append(Utterance(whole.source, text, words, tokens, language, matched=some is unread))
    return found


def unknown_share(utterances: list[Utterance]) -> float:
    """Returns the share of all texts' own tokens that the vocabulary does not know, 0 to 1."""
    own = sum(utterance.tokenized.own_count for utterance in utterances)
    return sum(utterance.tokenized.unknown_count for utterance in utterances) / own if own else 0.0


def unread_degradations(
    utterances: list[Utterance], readable: list[Utterance], tags: tuple[str, ...]
) -> tuple[Degradation, ...]:
    """Says which text the encoder does not read, and by what it was matched.

    Args:
        utterances: all texts.
        readable: those of them that the encoder reads.
        tags: of its languages.
    """
    unread = [utterance for utterance in utterances if utterance not in readable]
    illegible = [utterance.tokenized.unreadable_share for utterance in unread if utterance.language is None]
    foreign = next((utterance for utterance in utterances if utterance.language is not None), None)
    of_history = any(one.source is other.source for one in unread for other in readable)
    what = "a part of the history" if of_history else "the text"
    if illegible:
        detail = (
            f"the encoder cannot read {max(illegible):.0%} of {what} (unknown tokens, or a script it knows no words "
            "of); it was matched by shared words or characters, not by meaning"
        )
    elif foreign is not None:
        instead = "by meaning all the same, since no item has a word of it" if foreign in readable else _BY_WORDS
        detail = (
            f"{what} looks {language_name(foreign.language or '')}; the encoder reads {language_names(tags)}; "
            f"it was matched {instead}"
        )
    else:
        return ()
    return (Degradation(DegradationReason.ENCODER_LANGUAGE_UNSUPPORTED, detail),)


_BY_WORDS = "by shared words, not by meaning"
