"""Lexicon of the aspect rules, from the files beside this module, and the search for its phrases in a text."""

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).resolve().parent
_LANGUAGES = ("en", "zh")

MONEY = "§"
_MONEY = re.compile(
    r"[$£€¥]\s?\d+(?:[.,]\d+)*|\d+(?:[.,]\d+)*\s?(?:dollars?|bucks|pounds?|quid|euros?|usd|rmb|yuan|块钱|元钱|块|元|[$£€¥])"
)
_CONTRACTIONS = (
    (re.compile(r"[’‘`´]"), "'"),
    (re.compile(r"\b(?:can'?t|cannot)\b"), "can not"),
    (re.compile(r"\bwon'?t\b"), "will not"),
    (re.compile(r"\b(do|does|did|is|was|are|were|has|have|had|would|could|should)n'?t\b"), r"\1 not"),
    (re.compile(r"'(?:s|re|ve|ll|d|m)\b"), ""),
    (re.compile(r"(?<=[a-z])-(?=[a-z])"), " "),
)
_TOKEN = re.compile(r"[\u3400-\u9fff]|[^\W\d_\u3400-\u9fff]+|\d+(?:[.,]\d+)*|\n|\S")


class Boundary(IntEnum):
    """Separator of two statements, weakest first."""

    NONE = 0
    JOIN = 1
    CLAUSE = 2
    CONTRAST = 3
    SENTENCE = 4


_PUNCTUATION = {
    **dict.fromkeys(".!。！\n…", Boundary.SENTENCE),
    **dict.fromkeys(",，;；:：?？—–-~()（）|/", Boundary.CLAUSE),
    "、": Boundary.JOIN,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """Meanings of a phrase; some have several.

    Attributes:
        target: the aspect it names.
        presence: polarity where the named thing is merely there; 0 says nothing.
        opinion: polarity for whatever it stands with.
        overall: whether that opinion is about the thing as a whole unless a target is in the same clause.
        own: polarity by aspect that the phrase names itself.
        depending: polarity by aspect, where a target of that aspect is near.
        negation: factor, below 0, for what follows.
        intensity: factor for what follows.
        excess: says that there is more of what follows than is wanted.
        boundary: whether it parts statements.
        alternative: "or": a negation before it goes on after it.
        determiner: begins a new subject.
    """

    target: str | None = None
    presence: float = 0.0
    opinion: float | None = None
    overall: bool = False
    own: Mapping[str, float] = field(default_factory=dict)
    depending: Mapping[str, float] = field(default_factory=dict)
    negation: float | None = None
    intensity: float | None = None
    excess: bool = False
    boundary: Boundary = Boundary.NONE
    alternative: bool = False
    determiner: bool = False

    @property
    def judges(self) -> bool:
        """Returns whether it can be an opinion."""
        return self.opinion is not None or bool(self.own) or bool(self.depending)


@dataclass(frozen=True, slots=True)
class PhraseMatch:
    """Phrase of the lexicon in a text: tokens `start` up to `end`."""

    entry: Entry
    start: int
    end: int


class Lexicon:
    """Trie of phrases over tokens: words of spaced scripts, single Chinese characters. Read-only."""

    def __init__(self, entries: Mapping[tuple[str, ...], Entry], simplified: Mapping[int, str]) -> None:
        """Takes the phrases and the map from traditional characters' code points to simplified ones."""
        self._simplified = dict(simplified)
        self._root: dict[str, _Node] = {}
        for phrase, entry in entries.items():
            node, level = None, self._root
            for token in phrase:
                node = level.setdefault(token, _Node())
                level = node.next
            if node is not None:
                node.entry = entry

    @classmethod
    def load(cls, languages: Sequence[str] = _LANGUAGES) -> "Lexicon":
        """Reads the lexicon files; all languages are known at once, so mixed texts are no special case."""
        meanings: dict[tuple[str, ...], dict[str, object]] = {}
        simplified: dict[int, str] = {}
        for mark, boundary in _PUNCTUATION.items():
            meanings[(mark,)] = {"boundary": boundary}
        for language in languages:
            tables = tomllib.loads((_FOLDER / f"lexicon_{language}.toml").read_text(encoding="utf-8"))
            pairs = tables.get("traditional", {}).get("pairs", "")
            simplified.update((ord(pairs[i]), pairs[i + 1]) for i in range(0, len(pairs) - 1, 2))
            for phrase, name, value in _meanings(tables):
                meaning = meanings.setdefault(tuple(tokens(phrase)), {})
                if isinstance(value, dict):
                    known = meaning.setdefault(name, {})
                    for aspect, polarity in value.items():
                        known.setdefault(aspect, polarity)  # type: ignore[attr-defined]
                else:
                    meaning.setdefault(name, value)
            for adjective in tables["marks"].get("compared", ()):
                for form in _degrees(adjective):
                    meanings.setdefault((form,), meanings[(adjective,)])
        entries = {phrase: Entry(**meaning) for phrase, meaning in meanings.items()}  # type: ignore[arg-type]
        return cls(entries, simplified)

    def cut(self, text: str) -> tuple[list[str], list[PhraseMatch]]:
        """Cuts a text into tokens and finds phrases in it, the longest first at each place, without overlaps."""
        words = tokens(text.translate(self._simplified))
        matches = []
        place = 0
        while place < len(words):
            entry, end = self._longest(words, place)
            if entry is not None:
                matches.append(PhraseMatch(entry, place, end))
            place = end
        return words, matches

    def _longest(self, words: Sequence[str], place: int) -> tuple[Entry | None, int]:
        entry, end, level = None, place + 1, self._root
        for ahead in range(place, len(words)):
            node = level.get(words[ahead])
            if node is None:
                break
            if node.entry is not None:
                entry, end = node.entry, ahead + 1
            level = node.next
        return entry, end


class _Node:
    """Node of the trie."""

    __slots__ = ("entry", "next")

    def __init__(self) -> None:
        self.entry: Entry | None = None
        self.next: dict[str, _Node] = {}


@cache
def default_lexicon() -> Lexicon:
    """Returns the lexicon of all languages, read once."""
    return Lexicon.load()


def tokens(text: str) -> list[str]:
    """Cuts a text into words (lower case, contractions spelt out), single Chinese characters, numbers and marks.

    An amount of money is one token, "§".
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    text = _MONEY.sub(f" {MONEY} ", text)
    for pattern, spelt_out in _CONTRACTIONS:
        text = pattern.sub(spelt_out, text)
    return _TOKEN.findall(text)


def _meanings(tables: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
    """Yields (phrase, field of Entry, value)."""
    for aspect, phrases in tables["targets"].items():
        for phrase in phrases:
            yield phrase, "target", aspect
            yield from ((plural, "target", aspect) for plural in _plurals(phrase))
    for phrase, polarity in _polarities(tables["opinions"]):
        yield phrase, "opinion", polarity
    for phrase, polarity in _polarities(tables["overall"]):
        yield phrase, "opinion", polarity
        yield phrase, "overall", True
    for name, table in (("negation", "negations"), ("intensity", "intensifiers")):
        yield from ((phrase, name, factor) for phrase, factor in _polarities(tables[table]))
    yield from _by_aspect(tables)
    yield from _marks(tables["marks"])


def _by_aspect(tables: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
    for aspect, phrase, polarity in _nested(tables["presence"]):
        yield phrase, "target", aspect
        yield phrase, "presence", polarity
    for name, table in (("own", "opinions_of"), ("depending", "depending")):
        for aspect, phrase, polarity in _nested(tables[table]):
            yield phrase, name, {aspect: polarity}
    for aspect, verb, polarity in _nested(tables.get("verbs_of", {})):
        yield from ((form, "own", {aspect: polarity}) for form in _verb_forms(verb))


def _nested(tables: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterator[tuple[str, str, float]]:
    """Yields (aspect, phrase, polarity)."""
    for aspect, table in tables.items():
        yield from ((aspect, phrase, polarity) for phrase, polarity in _polarities(table))


def _marks(marks: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, object]]:
    for name in ("excess", "determiner", "alternative"):
        yield from ((phrase, name, True) for phrase in marks.get(name, ()))
    for name, boundary in (("contrast", Boundary.CONTRAST), ("clause", Boundary.CLAUSE), ("join", Boundary.JOIN)):
        yield from ((phrase, "boundary", boundary) for phrase in marks[name])
    yield from ((phrase, "presence", 0.0) for phrase in marks["empty"])


def _polarities(table: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, float]]:
    return ((phrase, float(polarity)) for polarity, phrases in table.items() for phrase in phrases)


def _plurals(phrase: str) -> Iterator[str]:
    """Yields an English noun's plural."""
    if not phrase.isascii() or not phrase[-1].isalpha() or phrase.endswith("s"):
        return
    if phrase.endswith("y") and phrase[-2] not in "aeiou":
        yield phrase[:-1] + "ies"
    else:
        yield phrase + ("es" if phrase.endswith(("x", "ch", "sh")) else "s")


def _degrees(adjective: str) -> tuple[str, str]:
    """Returns an English adjective's comparative and superlative."""
    if adjective.endswith("e"):
        stem = adjective[:-1]
    elif adjective.endswith("y"):
        stem = adjective[:-1] + "i"
    elif re.fullmatch(r"(.*[^aeiou])?[aeiou][^aeiouwxy]", adjective) and len(adjective) < 5:
        stem = adjective + adjective[-1]
    else:
        stem = adjective
    return stem + "er", stem + "est"


def _verb_forms(verb: str) -> Iterator[str]:
    """Yields an English verb's regular forms; of doubled and single consonants, both."""
    word, _, rest = verb.partition(" ")
    stem = word[:-1] if word.endswith("e") else word
    forms = [word, word + ("es" if word.endswith(("x", "ch", "sh", "s")) else "s"), stem + "ed", stem + "ing"]
    if len(word) > 2 and word[-1] not in "aeiouwy" and word[-2] in "aeiou":
        forms += [word + word[-1] + "ed", word + word[-1] + "ing"]
    return (f"{form} {rest}".strip() for form in forms)
