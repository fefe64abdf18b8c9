"""Superlatives over a number: cheapest, newest, highest rated, 最便宜."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.query.attributes import NumberAttributes
from core.query.folding import folded
from core.query.reading import Reading
from core.query.words import Cue, CueKind, QueryWords


@dataclass(frozen=True)
class Superlative:
    """Words `start` to `end` that ask for an order."""

    start: int
    end: int
    attribute: str
    descending: bool


def attribute_cues(attributes: NumberAttributes, words: QueryWords) -> Mapping[str, Cue]:
    """Returns the cues that number attributes add: their names, their units, "highest" before their names."""
    cues: dict[str, Cue] = {}
    for attribute in attributes.by_name.values():
        phrases = [attribute.phrase]
        parts = attribute.phrase.split()
        # Of weight_kg, both "weight" and "kg" name it; of a role, the role's own words do.
        if len(parts) > 1 and attribute.role not in ("year", "moment"):
            phrases += [parts[-1], " ".join(parts[:-1])]
        plain = attribute.role not in ("", "year", "moment")
        if plain and attributes.first(attribute.role) is attribute:
            phrases += sorted(words.number_roles[attribute.role])
        for phrase in phrases:
            if len(phrase) > 1 and phrase not in words.sets["fillers"]:
                cues.setdefault(phrase, Cue(CueKind.ATTRIBUTE, attribute.name))
        for direction, forms in words.superlative_forms.items():
            cue = Cue(CueKind.SUPERLATIVE, direction, f"={attribute.name}", anywhere=True)
            cues |= {folded(form.replace("{}", name)): cue for form in forms for name in phrases[:1] + phrases[2:3]}
    return cues


def superlatives(reading: Reading, attributes: NumberAttributes) -> Iterator[Superlative]:
    """Yields what is understood, from left to right.

    "The oldest man in the village" asks for no order: of the words that describe anything, only those count that begin
    the text or stand before a category, a general word or nothing.
    """
    for start in sorted(reading.cues):
        end, cue = reading.cues[start]
        if cue.kind is not CueKind.SUPERLATIVE or not reading.is_free(start, end):
            continue
        role = cue.role
        attribute = attributes.by_name.get(role[1:]) if role.startswith("=") else attributes.first(role)
        follows = reading.cue(end, CueKind.FOLLOW)
        if attribute is None or not (cue.anywhere or follows or start == 0 or _describes(reading, end)):
            continue
        end = follows[0] if follows is not None else end
        reading.take(start, end, remove=True)
        yield Superlative(start, end, attribute.name, cue.name == "descending")


def _describes(reading: Reading, end: int) -> bool:
    return (
        reading.tokens.breaks(end)
        or reading.generic_end(end) > end
        or reading.value_at(end, safe_only=True) is not None
    )
