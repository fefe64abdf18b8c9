"""Negations of a text: which values, numbers and words it does not want."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.query.folding import CLAUSE_WORDS, unspaced
from core.query.numbers import NumberWish
from core.query.reading import Reading, ValueMatch
from core.query.values import ValueUse, conditions
from core.query.words import CueKind
from core.text.analysis import other_number
from domain.condition import Condition

_STRONG, _MEDIUM, _WEAK = "strong", "medium", "weak"
_SKIPPED_AT_MOST = 5
_LONGEST_TERM = 2
_LONGEST_HAN_TERM = 4
_ENUMERATION = "、"
_VALUE_WORDS = 4


@dataclass(frozen=True)
class Negation:
    """Words `start` to `end` that state what is not wanted.

    Attributes:
        start: first word, the cue's.
        end: after the last word.
        conditions: negated already.
        terms: words that are not a value of an attribute, folded.
    """

    start: int
    end: int
    conditions: tuple[Condition, ...] = ()
    terms: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Reach:
    """Reach of a negation.

    Attributes:
        start: the cue's first word.
        place: where its target begins, with words without substance before it.
        strength: the cue's.
        joined: whether another target stands before this one.
    """

    start: int
    place: int
    strength: str
    joined: bool


class NegationReader:
    """Reader of the negations of one text."""

    def __init__(self, reading: Reading, numbers: Sequence[NumberWish]) -> None:
        self._reading = reading
        self._tokens = reading.tokens
        self._numbers = {wish.start: wish for wish in numbers}

    def negations(self) -> Iterator[Negation]:
        """Yields what is understood, from left to right; a value in reach of any other negation is silenced."""
        for start in sorted(self._reading.cues):
            end, cue = self._reading.cues[start]
            if cue.kind is CueKind.NEGATION and self._reading.is_free(start, end):
                if start and self._reading.is_in("narrators", start - 1):
                    self._silence(end)  # "they don't like"
                    continue
                found = self._negation(start, end, cue.name)
                if found is not None and found.end > start:
                    self._reading.take(found.start, found.end, remove=True)
                    yield found
                elif found is None:
                    self._silence(end)
            elif cue.kind is CueKind.NARRATIVE:
                self._silence(end)
            elif cue.kind is CueKind.FREE:
                yield from self._free_of(start, end)

    def _negation(self, start: int, end: int, strength: str) -> Negation | None:
        found: list[Condition] = []
        terms: list[str] = []
        place: int | None = end
        while place is not None:
            target = self._target(_Reach(start, place, strength, joined=bool(found or terms)))
            if target is None:
                break
            found.extend(target.conditions)
            terms.extend(target.terms)
            end = target.end
            place = self._joint(end)
        if not found and not terms:
            return None
        closing = self._reading.cue(end, CueKind.CLOSING)
        end = closing[0] if closing is not None else end
        if self._reading.is_in("additions", end):
            return Negation(start, start)  # what is excepted is wanted too
        return Negation(start, end, tuple(found), tuple(terms))

    def _target(self, reach: "_Reach") -> Negation | None:
        """Returns what is negated at a place; None where nothing is understood."""
        target, determined = self._skip(reach.place)
        wish = next((self._numbers[at] for at in range(reach.place, target + 1) if at in self._numbers), None)
        if wish is not None:
            negated = Condition(wish.condition.attribute, wish.condition.test, negate=True)
            return Negation(target, self._reading.generic_end(wish.end), (negated,))
        value = self._value(reach, target)
        if value is not None:
            uses = value.uses if reach.strength == _STRONG else (value.safe_uses or value.uses)
            role = self._role_before(target)
            uses = tuple(use for use in uses if use.role == role) or uses
            return Negation(target, self._reading.generic_end(value.end), _negated(uses))
        if reach.joined or determined:
            return None
        end = self._term_end(target, reach.strength)
        # "No Reservations" and nothing else is a name.
        alone = reach.start == 0 and end == len(self._tokens) and self._is_bare(reach.start)
        if end == target or alone or not self._excludes(reach):
            return None
        words = self._tokens.words[target:end]
        term = "".join(words) if unspaced(words[0]) else " ".join(words)
        return Negation(target, self._reading.generic_end(end), terms=(term,))

    def _role_before(self, place: int) -> str | None:
        """Returns the role that the word before a place asks for: "nothing by", "nothing with"."""
        cue = self._reading.words.cues.get(self._tokens.words[place - 1]) if place else None
        if cue is None or cue.kind is not CueKind.ROLE:
            return None
        return "cast" if cue.name == "with" else cue.name

    def _skip(self, place: int) -> tuple[int, bool]:
        """Passes words without substance; returns the target, and whether a determiner stands before it."""
        reading, determined = self._reading, False
        for _ in range(_SKIPPED_AT_MOST):
            if self._tokens.breaks(place) or place in self._numbers or reading.value_at(place, safe_only=True):
                break
            if (generic := reading.generic_end(place)) > place:
                # "I hate books" has no other target than the generic word, which is not a value.
                place = generic
            elif reading.is_in("fillers", place) and not reading.is_in("degrees", place):
                determined |= reading.is_in("determiners", place)
                place += 1
            elif (role := reading.cue(place, CueKind.ROLE)) is not None:
                place = role[0]
            else:
                break
        return place, determined

    def _value(self, reach: "_Reach", place: int) -> ValueMatch | None:
        if place >= len(self._tokens) or self._tokens.breaks(place):
            return None
        reading = self._reading
        match = reading.value_at(place, safe_only=False)
        if match is None and reach.strength != _WEAK:
            match = self._inflected(place)
        if match is None or match.safe:
            return match
        single = match.end - match.start == 1
        if single and (reading.is_in("fillers", place) or not reading.ends_phrase(match.end)):
            return None
        if reach.strength == _STRONG or (reach.strength == _MEDIUM and self._excludes(reach)):
            return match
        return None

    def _inflected(self, place: int) -> ValueMatch | None:
        """Finds a large vocabulary's word in its other number: "superheroes"."""
        word = self._tokens.words[place]
        if not word.isascii() or not word.isalpha() or len(word) < 4 or self._reading.taken[place]:
            return None
        for other in (other_number(word), word.removesuffix("es")):
            uses: tuple[ValueUse, ...] = self._reading.uses_of(other)
            if uses:
                return ValueMatch(place, place + 1, uses)
        return None

    def _term_end(self, place: int, strength: str) -> int:
        """Returns the end of the noun at a place that is not a value, the place itself for none."""
        reading, end = self._reading, place
        while end < len(self._tokens) and not (end > place and reading.ends_phrase(end)):
            barred = any(reading.is_in(name, end) for name in ("fillers", "degrees", "narrators"))
            if barred or end in reading.cues or reading.taken[end] or self._tokens.words[end][0].isdigit():
                return place
            end += 1
        # "Without expecting" tells of somebody.
        if end == place or self._tokens.breaks(place) or self._tokens.words[place].endswith("ing"):
            return place
        han = unspaced(self._tokens.words[place])
        longest = _LONGEST_HAN_TERM if han else 1 if strength == _WEAK else _LONGEST_TERM
        shortest = 2 if han else 1
        return end if shortest <= end - place <= longest else place

    def _excludes(self, reach: "_Reach") -> bool:
        """Returns whether a negation may exclude words that are not a value."""
        if reach.strength == _STRONG:
            return self._is_request(reach.start)
        at_start = self._tokens.clause_start(reach.start) == reach.start
        if reach.strength == _WEAK:
            return at_start
        # "No" is a word of other languages too: it needs a thing before it, "with", "please" or a new clause.
        before = reach.start - 1
        led = at_start or self._reading.is_in("fillers", before) or self._heads(reach.start)
        return self._is_request(reach.start) and (led or not self._is_bare(reach.start))

    def _is_bare(self, start: int) -> bool:
        return self._reading.is_in("particles", start)

    def _heads(self, place: int) -> bool:
        """Returns whether a general word, a kind of goods or a value ends before a place."""
        if place and not self._tokens.breaks(place) and self._reading.is_in("things", place - 1):
            return True
        if self._reading.cue_before(place, CueKind.GENERIC) is not None:
            return True
        starts = range(max(0, place - _VALUE_WORDS), place)
        return any(match.end == place and match.safe for at in starts for match in self._reading.values.get(at, ()))

    def _is_request(self, start: int) -> bool:
        """Returns whether the words before a negation ask for a thing and don't tell of somebody."""
        reading = self._reading
        if any(reading.is_in("narrators", at) for at in range(max(0, start - CLAUSE_WORDS), start)):
            return False
        clause = range(self._tokens.clause_start(start), start)
        return self._heads(start) or not any(reading.is_in("articles", at) for at in clause)

    def _joint(self, place: int) -> int | None:
        """Returns where the next target of one negation begins: "no horror or comedy"."""
        if place < len(self._tokens) and self._tokens.gap(place).strip() == _ENUMERATION:
            return place
        if self._reading.is_in("joins", place) and not self._tokens.breaks(place) and place + 1 < len(self._tokens):
            return place + 1
        return None

    def _silence(self, place: int) -> None:
        """Keeps a value in a negation's reach from being taken for a wish."""
        target, _ = self._skip(place)
        match = self._reading.value_at(target, safe_only=False)
        if match is not None:
            self._reading.take(match.start, match.end, remove=False)

    def _free_of(self, place: int, end: int) -> Iterator[Negation]:
        """Reads "caffeine-free"; "games free" says nothing either way."""
        starts = range(max(0, place - _VALUE_WORDS), place)
        match = next((m for at in starts for m in self._reading.values.get(at, ()) if m.end == place), None)
        if match is None or self._tokens.breaks(place) or not self._reading.is_free(match.start, end):
            return
        hyphen = self._tokens.gap(place) == "-"
        self._reading.take(match.start, match.end, remove=False)
        if hyphen:
            self._reading.take(match.start, end, remove=True)
            yield Negation(match.start, end, _negated(match.safe_uses or match.uses))


def _negated(uses: tuple[ValueUse, ...]) -> tuple[Condition, ...]:
    return tuple(Condition(entry.attribute, entry.test, negate=True) for entry in conditions(uses))
