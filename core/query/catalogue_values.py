"""What a catalogue's attributes can be asked for: values by their words, numbers by what they say."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from ahocorasick_rs import AhoCorasick, MatchKind

from core.query.cues import Cues
from core.query.tokens import pattern
from core.text.analysis import singular
from domain.item import AttributeType

_MOST_VALUES = 200_000
# An attribute of at most so many values says what kind of thing an item is, such as a genre.
_FEW_VALUES = 120
_LEAST_LETTERS = 3
_BETWEEN = "  "
_VALUE_CHARACTERS = 60
_YEARS = (1850, 2200)
_TITLE_NAME = re.compile(r"(^|_)titles?(_|$)")
_HAN = re.compile("[\u3400-\u9fff]")


@dataclass(frozen=True)
class NamedValue:
    """A value that a text can name.

    Attributes:
        attribute: its attribute.
        values: as the catalogue writes them; several that read alike.
        is_kind: whether the attribute has few values: it says what kind of thing an item is.
        is_name: whether it is written as a name, of several words.
    """

    attribute: str
    values: tuple[str, ...]
    is_kind: bool
    is_name: bool


@dataclass(frozen=True)
class NumberAttribute:
    """A number, or an instant, that a text can ask for.

    Attributes:
        name: of the attribute.
        minimum: its least value; an instant in seconds since 1970.
        maximum: its largest.
        is_time: whether it is an instant.
    """

    name: str
    minimum: float
    maximum: float
    is_time: bool = False


@dataclass(frozen=True)
class Mention:
    """A value in a text: places in the words' joined form, and what it names."""

    start: int
    end: int
    named: tuple[NamedValue, ...]


class CatalogueValues:
    """Values, numbers and truth values of a catalogue. Read-only: any thread may ask."""

    def __init__(
        self,
        strings: Mapping[str, Mapping[str, int]],
        numbers: Mapping[str, np.ndarray],
        types: Mapping[str, AttributeType],
        cues: Cues,
    ) -> None:
        """Takes a catalogue's attributes.

        Args:
            strings: how many items have each value, by string attribute.
            numbers: float64[n] by number or timestamp attribute, NaN where absent.
            types: of all attributes.
            cues: names of attributes by what they say.
        """
        named = _named(strings)
        self._patterns = list(named)
        self._named = list(named.values())
        self._automaton = AhoCorasick(self._patterns, matchkind=MatchKind.LeftmostLongest) if named else None
        self.booleans = {
            pattern(name.replace("_", " ")): name for name, kind in types.items() if kind is AttributeType.BOOLEAN
        }
        known = [(name, values[~np.isnan(values)]) for name, values in numbers.items()]
        attributes = [
            NumberAttribute(name, float(v.min()), float(v.max()), types[name] is AttributeType.TIMESTAMP)
            for name, v in known
            if len(v)
        ]
        self.numbers = {attribute.name: attribute for attribute in attributes}
        self._by_role = {role: _of_role(role, attributes, cues) for role in cues.roles}

    def role(self, name: str) -> NumberAttribute | None:
        """Returns the attribute that says "price", "when", "length" or "rating"; None where there is none."""
        return self._by_role.get(name)

    def spoken_attribute(self, word: str) -> NumberAttribute | None:
        """Returns the number attribute of a name, such as "rating"; None where there is none."""
        return next(
            (
                found
                for name, found in self.numbers.items()
                if pattern(name.replace("_", " ")) in (word, singular(word))
            ),
            None,
        )

    def mentions(self, words: list[str]) -> list[Mention]:
        """Returns the values in a text's words; places are words."""
        if self._automaton is None or not words:
            return []
        # Two blanks between words: each match takes one on either side.
        joined = f" {_BETWEEN.join(words)} "
        starts = list(accumulate((len(word) + len(_BETWEEN) for word in words[:-1]), initial=1))
        place_of = {start: place for place, start in enumerate(starts)}
        end_of = {start + len(word): place + 1 for place, (start, word) in enumerate(zip(starts, words, strict=True))}
        found = []
        for number, start, end in self._automaton.find_matches_as_indexes(joined):
            first, last = place_of.get(start + 1), end_of.get(end - 1)
            if first is not None and last is not None:
                found.append(Mention(first, last, self._named[number]))
        return found


def _named(strings: Mapping[str, Mapping[str, int]]) -> dict[str, tuple[NamedValue, ...]]:
    """Returns what each text of words names; the words stand between blanks."""
    grouped: dict[tuple[str, str], list[str]] = {}
    kinds = {name: len(values) <= _FEW_VALUES for name, values in strings.items()}
    for name, values in strings.items():
        if _TITLE_NAME.search(name) or len(values) > _MOST_VALUES:
            continue
        for value in values:
            words = pattern(value) if len(value) <= _VALUE_CHARACTERS and "://" not in value else ""
            if _is_safe(words):
                grouped.setdefault((words, name), []).append(value)
    named: dict[str, list[NamedValue]] = {}
    for (words, name), written in grouped.items():
        named.setdefault(words, []).append(
            NamedValue(name, tuple(sorted(written)), kinds[name], any(_is_name(value) for value in written))
        )
    forms: dict[str, tuple[NamedValue, ...]] = {}
    for words, entries in named.items():
        for form in _forms(words):
            forms.setdefault(f" {form.replace(' ', _BETWEEN)} ", tuple(entries))
    return forms


def _is_safe(words: str) -> bool:
    if _HAN.search(words):
        return len(words.replace(" ", "")) > 1
    return any(character.isalpha() for character in words) and len(words) >= _LEAST_LETTERS


def _is_name(value: str) -> bool:
    """Returns whether every word of a value begins with a capital."""
    words = value.split()
    return len(words) > 1 and all(word[0].isupper() or not word[0].isalpha() for word in words)


def _forms(words: str) -> Iterable[str]:
    """Yields a value's words, and with the last one in the plural or the singular."""
    yield words
    *first, last = words.split(" ")
    if last.isascii() and last.isalpha():
        plural = (
            last[:-1] + "ies" if last.endswith("y") else last + ("es" if last.endswith(("s", "x", "ch", "sh")) else "s")
        )
        for other in (plural, singular(last)):
            if other != last:
                yield " ".join((*first, other))


def _of_role(role: str, attributes: list[NumberAttribute], cues: Cues) -> NumberAttribute | None:
    named = [attribute for attribute in attributes if cues.roles[role].search(attribute.name.casefold())]
    if role != "when":
        return next(iter(named), None)
    times = [attribute for attribute in attributes if attribute.is_time]
    years = [a for a in named if not a.is_time and a.minimum >= _YEARS[0] and a.maximum <= _YEARS[1]]
    return next(iter((*years, *times)), None)
