"""Roles of a catalogue's attributes, read off their names, types and values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.query.folding import folded
from core.query.words import QueryWords
from domain.catalogue_values import NumberRange
from domain.item import AttributeType

FIRST_YEAR, LAST_YEAR = 1850, 2100
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ORDINAL = ("price", "rating", "duration", "weight", "size", "popularity")


@dataclass(frozen=True)
class NumberAttribute:
    """Number or timestamp attribute.

    Attributes:
        name: its name.
        role: of `price`, `year`, `rating`, `duration`, `weight`, `size`, `popularity`, `moment`; "" for none.
        extent: its values.
        is_time: whether it is a timestamp.
        phrase: its name in words, folded.
    """

    name: str
    role: str
    extent: NumberRange
    is_time: bool
    phrase: str


@dataclass(frozen=True)
class NumberAttributes:
    """Number attributes of a catalogue: by name, by role with the best first, and names by the unit they end in."""

    by_name: Mapping[str, NumberAttribute]
    by_role: Mapping[str, tuple[NumberAttribute, ...]]
    by_unit: Mapping[str, str]

    def first(self, role: str) -> NumberAttribute | None:
        """Returns the attribute that speaks for a role; for `year`, a timestamp where no number does."""
        found = self.by_role.get(role, ()) or (self.by_role.get("moment", ()) if role == "year" else ())
        return found[0] if found else None

    @classmethod
    def of(
        cls,
        types: Mapping[str, AttributeType],
        ranges: Mapping[str, NumberRange],
        words: QueryWords,
    ) -> "NumberAttributes":
        """Reads the roles off names, and years off values too."""
        found = []
        for name, extent in ranges.items():
            kind = types.get(name)
            if kind not in (AttributeType.NUMBER, AttributeType.TIMESTAMP):
                continue
            phrase = name_phrase(name)
            role = _role(phrase, extent, words, is_time=kind is AttributeType.TIMESTAMP)
            found.append(NumberAttribute(name, role, extent, kind is AttributeType.TIMESTAMP, phrase))
        roles: dict[str, list[NumberAttribute]] = {}
        # The plainest name speaks for its role: "price" before "shipping_price_eur".
        for attribute in sorted(found, key=lambda entry: (len(entry.phrase.split()), entry.name)):
            roles.setdefault(attribute.role, []).append(attribute)
        moments = roles.get("moment", [])
        moments.sort(key=lambda entry: _moment_place(entry.phrase, words))
        roles.pop("", None)
        units = {parts[-1]: entry.name for entry in found if len(parts := entry.phrase.split()) > 1}
        by_role = {role: tuple(entries) for role, entries in roles.items()}
        return cls({entry.name: entry for entry in found}, by_role, units)


def name_phrase(name: str) -> str:
    """Returns an attribute's name in folded words: "releaseYear" and "release_year" are "release year"."""
    return folded(_CAMEL.sub(" ", name))


def holds_word(phrase: str, words: frozenset[str]) -> bool:
    """Returns whether one of the folded words or phrases stands in a folded phrase."""
    padded = f" {phrase} "
    return any(f" {word} " in padded for word in words)


def _role(phrase: str, extent: NumberRange, words: QueryWords, *, is_time: bool) -> str:
    roles = words.number_roles
    if is_time:
        return "moment"
    if holds_word(phrase, words.sets["technical"]):
        return ""
    if (extent.integral and _holds_years(extent)) and (
        holds_word(phrase, roles["year"]) or not any(holds_word(phrase, roles[role]) for role in _ORDINAL)
    ):
        return "year"
    return next((role for role in _ORDINAL if holds_word(phrase, roles[role])), "")


def _holds_years(extent: NumberRange) -> bool:
    return extent.minimum >= FIRST_YEAR and extent.maximum <= LAST_YEAR


def _moment_place(phrase: str, words: QueryWords) -> int:
    """Orders timestamps: a release or publication before any other date, and unnamed ones last."""
    release = frozenset(
        {"released", "release", "published", "publish", "issued", "premiere", "上 映", "发 布", "出 版"}
    )
    if holds_word(phrase, release):
        return 0
    return 1 if holds_word(phrase, words.number_roles["moment"]) else 2
