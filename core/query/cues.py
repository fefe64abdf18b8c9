"""The words that say what is meant, from `cues.toml`."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

from core.query.tokens import Token, pattern


@dataclass(frozen=True)
class Cues:
    """Cue words by what they do.

    Attributes:
        english: lists of phrases, as tuples of words, the longest first.
        chinese: lists of phrases, as tuples of characters, the longest first.
        decades: first year by name.
        orders: role of an attribute and whether the largest comes first, by phrase.
        roles: pattern of attribute names by role.
    """

    english: Mapping[str, tuple[tuple[str, ...], ...]]
    chinese: Mapping[str, tuple[tuple[str, ...], ...]]
    decades: Mapping[str, int]
    orders: Mapping[tuple[str, ...], tuple[str, bool]]
    roles: Mapping[str, re.Pattern[str]]

    @cached_property
    def fillers(self) -> frozenset[tuple[str, ...]]:
        """Phrases left over at the ends of a text."""
        return frozenset((*self.english["fillers"], *self.chinese["fillers"]))

    @cached_property
    def nouns(self) -> frozenset[tuple[str, ...]]:
        """Words for any item."""
        return frozenset(self.english["nouns"])


@dataclass(frozen=True)
class Phrases:
    """Phrases by their first word, the longest first."""

    by_first: Mapping[str, tuple[tuple[str, ...], ...]]

    @classmethod
    def of(cls, *lists: Iterable[tuple[str, ...]]) -> "Phrases":
        """Takes lists of phrases."""
        by_first: dict[str, list[tuple[str, ...]]] = {}
        for phrase in {phrase for entries in lists for phrase in entries if phrase}:
            by_first.setdefault(phrase[0], []).append(phrase)
        return cls({word: tuple(sorted(found, key=lambda p: (-len(p), p))) for word, found in by_first.items()})

    def at(self, words: Sequence[Token], place: int) -> tuple[str, ...] | None:
        """Returns the longest phrase that begins at a place; None where there is none."""
        if place >= len(words):
            return None
        for phrase in self.by_first.get(words[place].text, ()):
            size = len(phrase)
            if size == 1 or tuple(word.text for word in words[place : place + size]) == phrase:
                return phrase
        return None


@cache
def load_cues() -> Cues:
    """Reads the file of the package."""
    raw = tomllib.loads(resources.files("core.query").joinpath("cues.toml").read_text(encoding="utf-8"))

    def phrases(entries: list[str]) -> tuple[tuple[str, ...], ...]:
        split = {tuple(pattern(entry).split()) for entry in entries}
        return tuple(sorted(split, key=lambda words: (-len(words), words)))

    english = {name: phrases(entries) for name, entries in raw["en"].items() if isinstance(entries, list)}
    chinese = {name: phrases(entries) for name, entries in raw["zh"].items() if isinstance(entries, list)}
    return Cues(
        english,
        chinese,
        raw["en"]["decades"],
        {
            tuple(pattern(name).split()): (role, way == "descending")
            for language in ("en", "zh")
            for name, (role, way) in raw[language]["orders"].items()
        },
        {name: re.compile(pattern) for name, pattern in raw["attributes"].items()},
    )
