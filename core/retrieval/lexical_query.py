"""A text as it is matched by words: its terms, with slips mended and a last word that is only begun completed."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from tantivy import Query

from core.retrieval.lexical_index import TITLE, VALUES, WHOLE_TITLE, WHOLE_VALUE, Hits, WordIndex
from core.retrieval.spelling import Vocabulary
from core.retrieval.term_statistics import CatalogueStatistics
from core.text.analysis import Analyzed, analyze

# What comes after that is not matched, and time grows with it.
_MOST_CHARACTERS = 1_024
_MOST_TERMS = 32
_MOST_MENDED = 4
_MOST_COMPLETED = 8
_LEAST_PREFIX = 3
_COMPLETIONS = 3
# Letters of a word that digits may touch; those of a shorter one are part of a code.
_LEAST_BESIDE_DIGITS = 5


@dataclass(frozen=True)
class LexicalQuery:
    """A text as it is matched.

    Attributes:
        text: as it was given.
        corrected_text: with the slips mended; empty where there were none.
        words: in their order, as they are searched.
        terms: words and extra terms that the catalogue has, each once.
    """

    text: str
    corrected_text: str
    words: tuple[str, ...]
    terms: tuple[str, ...]
    # What was found for it, by the number of hits and by the place of a feature.
    _hits: dict[int, Hits] = field(default_factory=dict, repr=False, compare=False)
    _named: dict[int, np.ndarray] = field(default_factory=dict, repr=False, compare=False)


class QueryReader:
    """Reader of texts against a catalogue's words. Any thread may ask."""

    def __init__(self, index: WordIndex, vocabulary: Vocabulary, statistics: CatalogueStatistics) -> None:
        self._index = index
        self._vocabulary = vocabulary
        self._statistics = statistics

    def read(self, text: str, *, correct: bool) -> LexicalQuery:
        """Analyses a text, as far as its first 1,024 characters.

        Args:
            text: as a caller wrote it; no character is an operator.
            correct: whether slips of words that the catalogue does not have are mended.
        """
        analyzed = analyze(text[:_MOST_CHARACTERS])
        corrected = self._corrected(text, analyzed) if correct else ""
        if corrected:
            analyzed = analyze(corrected[:_MOST_CHARACTERS])
        words = analyzed.words[:_MOST_TERMS]
        # "war games" is also "wargames".
        joined = [first + second for first, second in itertools.pairwise(words) if first.isalnum() and second.isalnum()]
        every = (*analyzed.terms[:_MOST_TERMS], *joined, *self._completions(words))
        frequency = self._statistics.frequency
        known = dict.fromkeys(term for term in every if frequency(term))
        return LexicalQuery(text, corrected, words, tuple(known))

    def _completions(self, words: Sequence[str]) -> list[str]:
        """Returns words that begin as the last one does, where a title has them with all others and not the last."""
        if not 1 < len(words) <= _MOST_COMPLETED or len(words[-1]) < _LEAST_PREFIX:
            return []
        if not self._statistics.in_all(TITLE, words[:-1]):
            return []
        others = [self._index.term(TITLE, word) for word in words[:-1]]
        # Most texts are answered by the first look; a word that no title has needs none.
        whole = self._statistics.in_all(TITLE, words[-1:])
        if (whole and self._in_title([*others, self._index.term(TITLE, words[-1])])) or not self._in_title(others):
            return []
        longer = self._vocabulary.beginning_with(words[-1])
        if not longer:
            return []
        if not self._in_title([*others, self._index.some([self._index.term(TITLE, word) for word in longer])]):
            return []
        found = [word for word in longer if self._in_title([*others, self._index.term(TITLE, word)])]
        return found[:_COMPLETIONS]

    def _in_title(self, terms: Sequence[Query]) -> bool:
        """Returns whether a title has all of some terms."""
        return self._index.has(self._index.every(terms))

    def _corrected(self, text: str, analyzed: Analyzed) -> str:
        """Returns the text with its slips mended; empty where there are none."""
        words = dict.fromkeys(analyzed.words[:_MOST_TERMS])
        unknown = [word for word in words if not self._statistics.frequency(word) and word.isascii()]
        if not unknown or self._is_whole(analyzed.words):
            return ""
        instead: dict[str, str] = {}
        others = [word for word in words if self._statistics.frequency(word)]
        for word in unknown:
            meant = self._meant(word, others)
            if meant:
                instead[word] = meant
            if len(instead) == _MOST_MENDED:
                break
        if not instead:
            return ""
        pattern = re.compile("|".join(_as_word(word) for word in instead), re.IGNORECASE)
        corrected = pattern.sub(lambda match: instead[match.group().casefold()], text)
        return corrected if corrected != text else ""

    def _is_whole(self, words: Sequence[str]) -> bool:
        """Returns whether words are a whole title or value."""
        fields = (WHOLE_TITLE, WHOLE_VALUE)
        return any(self._index.frequency(name, whole) for name in fields for whole in wholes(words))

    def _meant(self, word: str, others: Sequence[str]) -> str:
        """Returns the word that one is a slip of: one that stands with the text's other words, else the likeliest.

        Args:
            word: that the catalogue does not have.
            others: the text's words that it has.

        Returns:
            An empty text where the word is not a slip.
        """
        alternatives = self._vocabulary.alternatives(word)
        if others:
            for alternative in alternatives:
                if self._stand_together((alternative, *others)):
                    return alternative
        likely = [alternative for alternative in alternatives if self._vocabulary.is_likely(word, alternative)]
        if len(likely) < 2 or not others:
            return likely[0] if likely else ""
        scores = [self._score_beside(alternative, others) for alternative in likely]
        return likely[int(np.argmax(scores))]

    def _stand_together(self, words: Sequence[str]) -> bool:
        """Returns whether all words are in one title, or in the values of one item."""
        index = self._index
        return any(
            self._statistics.in_all(name, words) and index.has(index.every([index.term(name, word) for word in words]))
            for name in (TITLE, VALUES)
        )

    def _score_beside(self, alternative: str, others: Sequence[str]) -> float:
        """Returns how well the best title that has an alternative and another word matches them; 0 for none."""
        index = self._index
        pairs = [index.term(TITLE, alternative), index.some([index.term(TITLE, word) for word in others])]
        hits = index.search(index.every(pairs), 1)
        return float(hits.scores[0]) if len(hits.rows) else 0.0


def wholes(words: Sequence[str]) -> tuple[str, ...]:
    """Returns the terms that a text is as a whole title or value: "war games" is "wargames" too."""
    whole = " ".join(words)
    if len(words) > 1 and all(word.isascii() and word.isalpha() for word in words):
        return whole, "".join(words)
    return (whole,)


def _as_word(word: str) -> str:
    """Returns the pattern for a word of letters; digits may touch a long one, a short one is then part of a code."""
    letter = r"[^\W\d_]" if len(word) >= _LEAST_BESIDE_DIGITS else r"[^\W_]"
    return f"(?<!{letter}){word}(?!{letter})"
