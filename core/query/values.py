"""Phrases that name values of a catalogue's attributes, and which of them are safe to understand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from core.query.attributes import holds_word, name_phrase
from core.query.folding import tokenize, unspaced
from core.query.titles import KnownTitles
from core.query.words import QueryWords
from core.text.analysis import other_number
from domain.condition import AnyOf, Condition, Equals
from domain.item import AttributeType
from domain.pace import paced

VALUES_PER_ATTRIBUTE = 200_000
# Attributes with no more values are vocabularies: genres, categories, colours. A word of theirs is safe by itself.
_FEW_VALUES = 200
# A brand's single word is safe up to here.
_MANY_BRANDS = 2_000
# A keyword of a large vocabulary that fewer items carry is an accident.
_FEW_ITEMS = 3
_SAMPLE = 200
_LONGEST_WORDS = 6


@dataclass(frozen=True, slots=True)
class ValueUse:
    """Value of an attribute that a phrase names.

    Attributes:
        attribute: its name.
        value: as the catalogue writes it; True of a boolean attribute.
        count: items that have it.
        role: of the attribute: `maker`, `cast`, or "" for others.
        safe: whether the phrase alone names it; otherwise only after a cue.
        exact: whether the phrase is the value itself, not an inflection or a synonym.
    """

    attribute: str
    value: str | bool
    count: int
    role: str
    safe: bool
    exact: bool


@dataclass(frozen=True)
class _Profile:
    """Traits of one attribute that decide which of its values are safe."""

    name: str
    role: str
    is_brand: bool
    value_count: int
    capitalised: bool

    @property
    def is_vocabulary(self) -> bool:
        return self.value_count <= _FEW_VALUES

    @property
    def is_name(self) -> bool:
        return bool(self.role) or self.capitalised


@dataclass(frozen=True)
class ValueTable:
    """Phrases of all values: folded phrase to what it may name."""

    uses: Mapping[str, tuple[ValueUse, ...]]

    @classmethod
    def of(
        cls,
        types: Mapping[str, AttributeType],
        values: Mapping[str, Mapping[str, int]],
        words: QueryWords,
        titles: KnownTitles,
    ) -> "ValueTable":
        """Folds the values of every attribute that holds values at all: no ids, links, titles or texts."""
        found: dict[str, list[ValueUse]] = {}
        for name, kind in types.items():
            phrase = name_phrase(name)
            if holds_word(phrase, words.sets["technical"]):
                continue
            if kind is AttributeType.BOOLEAN:
                _add_boolean(found, name, phrase, words)
            elif counts := values.get(name):
                profile = _profile(name, phrase, counts, words)
                if profile is not None and not _are_titles(counts, titles):
                    _add_values(found, profile, counts, words)
        return cls({phrase: tuple(sorted(uses, key=_place)) for phrase, uses in paced(found.items())})


def conditions(uses: tuple[ValueUse, ...]) -> list[Condition]:
    """Returns one condition an attribute, in the order of the uses."""
    grouped: dict[str, set[str | bool]] = {}
    for use in uses:
        grouped.setdefault(use.attribute, set()).add(use.value)
    return [
        Condition(attribute, Equals(True) if True in values else AnyOf(frozenset(map(str, values))))
        for attribute, values in grouped.items()
    ]


def _place(use: ValueUse) -> tuple[bool, bool, bool, int, str, str]:
    return (not use.safe, not use.exact, use.value is not True, -use.count, use.attribute, str(use.value))


def _add_boolean(found: dict[str, list[ValueUse]], name: str, phrase: str, words: QueryWords) -> None:
    parts = phrase.split()
    if len(parts) > 1 and parts[0] in ("is", "has"):
        parts = parts[1:]
    safe = len(parts) > 1 or not (set(parts) & words.sets["everyday"])
    if parts:
        found.setdefault(" ".join(parts), []).append(ValueUse(name, True, 0, "", safe, True))


def _profile(name: str, phrase: str, counts: Mapping[str, int], words: QueryWords) -> _Profile | None:
    """Describes an attribute; None where its values are texts."""
    sample = list(islice(counts, _SAMPLE))
    if sum(len(value) for value in sample) / len(sample) > 40:
        return None
    role = next((role for role in ("cast", "maker") if holds_word(phrase, words.value_roles[role])), "")
    capitalised = sum(_is_name(value) for value in sample) >= 0.8 * len(sample)
    return _Profile(name, role, holds_word(phrase, words.value_roles["brand"]), len(counts), capitalised)


def _is_name(value: str) -> bool:
    parts = value.split()
    return bool(parts) and parts[0][:1].isupper() and parts[-1][:1].isupper()


def _are_titles(counts: Mapping[str, int], titles: KnownTitles) -> bool:
    if len(counts) <= _FEW_VALUES:
        return False
    sample = list(islice(counts, _SAMPLE))
    return sum(" ".join(tokenize(value).words) in titles for value in sample) > 0.5 * len(sample)


def _add_values(
    found: dict[str, list[ValueUse]],
    profile: _Profile,
    counts: Mapping[str, int],
    words: QueryWords,
) -> None:
    for value, count in paced(islice(counts.items(), VALUES_PER_ATTRIBUTE)):
        parts = tokenize(value).words
        if not 0 < len(parts) <= _LONGEST_WORDS and not (parts and unspaced(parts[0])):
            continue
        safe = _is_safe(parts, count, profile, words)
        use = ValueUse(profile.name, value, count, profile.role, safe, True)
        found.setdefault(" ".join(parts), []).append(use)
        if not (safe and profile.is_vocabulary):
            continue
        for phrase in _variants(value, parts, words, plural=not profile.role):
            if phrase in words.sets["everyday"]:  # "good" does not name what is for sale as "goods"
                continue
            found.setdefault(phrase, []).append(ValueUse(profile.name, value, count, profile.role, True, False))


def _is_safe(parts: list[str], count: int, profile: _Profile, words: QueryWords) -> bool:
    everyday, fillers = words.sets["everyday"], words.sets["fillers"]
    if all(part.isdigit() for part in parts):
        return False
    if unspaced(parts[0]):
        return len(parts) >= 2 and " ".join(parts) not in everyday and (profile.is_vocabulary or len(parts) >= 3)
    content = [part for part in parts if part not in fillers]
    if len(parts) == 1:
        barred = everyday if profile.is_vocabulary and not profile.is_brand else everyday | words.sets["common"]
        return bool(content) and parts[0] not in barred and len(parts[0]) >= 3 and _is_safe_word(profile)
    if profile.is_vocabulary or profile.is_name:
        return bool(content)
    return len(content) >= 2 and count >= _FEW_ITEMS


def _is_safe_word(profile: _Profile) -> bool:
    if profile.is_brand:
        return profile.value_count <= _MANY_BRANDS
    return profile.is_vocabulary and not profile.role


def _variants(value: str, parts: list[str], words: QueryWords, *, plural: bool) -> Iterator[str]:
    """Yields other phrases for a value: joined at its hyphens, in the other number, its synonyms."""
    phrase = " ".join(parts)
    yield from words.synonyms.get(phrase, ())
    forms = [phrase]
    if "-" in value and len(parts) > 1 and not unspaced(parts[0]):
        forms.append("".join(parts))
        yield forms[-1]
    last = parts[-1]
    if plural and last.isalpha() and last.isascii() and len(last) > 3:
        for form in forms:
            stem = form.removesuffix(last)
            yield stem + other_number(last)
