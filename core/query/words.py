"""Words and phrases of requests, from the files beside this module."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from core.query.folding import folded

_FILES = ("words_en.toml", "words_zh.toml")


_SETS = (
    *("fillers", "generics", "plurals", "joins", "narrators", "determiners", "degrees", "everyday", "common", "ages"),
    *("technical", "additions", "particles", "between", "leading", "trailing", "articles", "things"),
)


class CueKind(StrEnum):
    """Kind of a cue: the work that a phrase does in a request."""

    COMPARE = "compare"
    TEMPORAL = "temporal"
    AFTER = "after"
    BETWEEN = "between"
    TO = "to"
    UNIT = "unit"
    DECADE = "decade"
    PART = "part"
    NEGATION = "negation"
    FREE = "free"
    IDIOM = "idiom"
    NARRATIVE = "narrative"
    CLOSING = "closing"
    SUPERLATIVE = "superlative"
    FOLLOW = "follow"
    ROLE = "role"
    ATTRIBUTE = "attribute"
    GENERIC = "generic"


@dataclass(frozen=True, slots=True)
class Cue:
    """Meaning of a phrase.

    Attributes:
        kind: the work it does.
        name: which of its kind: a bound (`below`, `at_most`, `above`, `at_least`, `equal`), a unit, a decade, a
            strength, a direction, a role or an attribute.
        role: role of the number that it speaks of; empty where it leaves that open.
        anywhere: of a superlative, whether it holds whatever follows.
    """

    kind: CueKind
    name: str = ""
    role: str = ""
    anywhere: bool = False


@dataclass(frozen=True)
class QueryWords:
    """All words of all languages.

    Attributes:
        cues: by folded phrase; the first meaning of a phrase counts.
        sets: folded words by the name of their list, `_SETS`.
        number_roles: words of an attribute's name by role: price, year, rating and others.
        value_roles: the same for attributes of strings: maker, cast, brand.
        superlative_forms: folded templates with "{}" for an attribute's name, by direction.
        synonyms: other phrases for a folded value.
    """

    cues: Mapping[str, Cue]
    sets: Mapping[str, frozenset[str]]
    number_roles: Mapping[str, frozenset[str]]
    value_roles: Mapping[str, frozenset[str]]
    superlative_forms: Mapping[str, tuple[str, ...]]
    synonyms: Mapping[str, tuple[str, ...]]


@cache
def query_words() -> QueryWords:
    """Reads the files."""
    loaded = [tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8")) for name in _FILES]
    cues: dict[str, Cue] = {}
    for words in loaded:
        for phrases, cue in _cues(words):
            for phrase in _phrases(phrases):
                cues.setdefault(phrase, cue)
    return QueryWords(
        cues=cues,
        sets={name: _merged([words[name] for words in loaded]) for name in _SETS},
        number_roles=_by_role([words["numbers"]["roles"] for words in loaded]),
        value_roles=_by_role([words["cue_roles"] for words in loaded]),
        superlative_forms={
            direction: tuple(
                form.strip() for words in loaded for form in words["superlative_forms"][direction].split(",")
            )
            for direction in ("ascending", "descending")
        },
        synonyms=_synonyms([group for words in loaded for group in words["names"]["groups"]]),
    )


def _cues(words: Mapping[str, Any]) -> Iterator[tuple[str, Cue]]:
    """Yields lists of phrases with their meaning, the stronger meaning of a phrase first."""
    numbers, negation = words["numbers"], words["negation"]
    for key, phrases in words["superlatives"].items():
        role, direction, *anywhere = key.split(":")
        yield phrases, Cue(CueKind.SUPERLATIVE, direction, role, bool(anywhere))
    yield from ((phrases, Cue(CueKind.COMPARE, name)) for name, phrases in numbers["compare"].items())
    for key, phrases in numbers["compare_by"].items():
        role, name = key.split(":")
        yield phrases, Cue(CueKind.COMPARE, name, role)
    yield from ((phrases, Cue(CueKind.TEMPORAL, name, "year")) for name, phrases in numbers["temporal"].items())
    for key, phrases in numbers["after"].items():
        *role, name = key.split(":")
        yield phrases, Cue(CueKind.AFTER, name, "".join(role))
    yield numbers["between"]["between"], Cue(CueKind.BETWEEN)
    yield numbers["between"]["to"], Cue(CueKind.TO)
    yield from ((phrases.replace(" ", ","), Cue(CueKind.UNIT, name)) for name, phrases in numbers["units"].items())
    yield from ((phrases, Cue(CueKind.DECADE, name)) for name, phrases in numbers["decades"].items())
    yield from ((phrases, Cue(CueKind.PART, name)) for name, phrases in numbers.get("parts", {}).items())
    yield from ((negation[name], Cue(CueKind.NEGATION, name)) for name in ("strong", "medium", "weak"))
    yield negation["idioms"], Cue(CueKind.IDIOM)
    yield negation["narrative"], Cue(CueKind.NARRATIVE)
    yield negation["after"], Cue(CueKind.FREE)
    yield negation.get("closing", ""), Cue(CueKind.CLOSING)
    yield words["superlative_forms"]["follow"], Cue(CueKind.FOLLOW)
    yield from ((phrases, Cue(CueKind.ROLE, name)) for name, phrases in words["cues"].items())
    yield words["generics"].replace(" ", ",").replace("\n", ","), Cue(CueKind.GENERIC)


def _phrases(text: str) -> list[str]:
    return [phrase for entry in text.split(",") if (phrase := folded(entry))]


def _merged(texts: list[str]) -> frozenset[str]:
    return frozenset(folded(word) for text in texts for word in text.split()) - {""}


def _by_role(tables: list[Mapping[str, str]]) -> dict[str, frozenset[str]]:
    roles = dict.fromkeys(role for table in tables for role in table)
    return {role: _merged([table[role] for table in tables if role in table]) for role in roles}


def _synonyms(groups: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for group in groups:
        phrases = _phrases(group)
        for phrase in phrases:
            found.setdefault(phrase, {}).update(dict.fromkeys(other for other in phrases if other != phrase))
    return {phrase: tuple(others) for phrase, others in found.items()}
