"""Cues and values that stand in one text, and the words that are already accounted for."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ahocorasick_rs import AhoCorasick

from core.query.folding import Tokens
from core.query.values import ValueUse
from core.query.words import Cue, CueKind, QueryWords

_NO_USES: tuple[ValueUse, ...] = ()


@dataclass(frozen=True)
class ValueMatch:
    """Words `start` to `end` that name a value."""

    start: int
    end: int
    uses: tuple[ValueUse, ...]

    @property
    def safe(self) -> bool:
        """True where the words alone name it."""
        return self.uses[0].safe

    @property
    def safe_uses(self) -> tuple[ValueUse, ...]:
        """Uses that need no cue."""
        return tuple(use for use in self.uses if use.safe)


@dataclass
class Reading:
    """State of the reading of one text.

    Attributes:
        tokens: its words.
        words: the words of all languages.
        cues: by first word, the longest; none overlaps another.
        cue_ends: the cue that ends before a word, with its start.
        values: by first word, longest first.
        uses_of: what another phrase would name.
        taken: whether a word belongs to something understood, or must not be understood.
        removed: whether a word is left out of the text to search with.
    """

    tokens: Tokens
    words: QueryWords
    cues: dict[int, tuple[int, Cue]]
    values: dict[int, list[ValueMatch]]
    uses_of: Callable[[str], tuple[ValueUse, ...]]
    cue_ends: dict[int, tuple[int, Cue]] = field(init=False)
    taken: bytearray = field(init=False)
    removed: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self.cue_ends = {end: (start, cue) for start, (end, cue) in self.cues.items()}
        self.taken = bytearray(len(self.tokens))
        self.removed = bytearray(len(self.tokens))

    def cue(self, place: int, *kinds: CueKind) -> tuple[int, Cue] | None:
        """Returns end and meaning of the cue that begins with a word, if it is of one of the kinds."""
        found = self.cues.get(place)
        return found if found is not None and found[1].kind in kinds else None

    def cue_before(self, place: int, *kinds: CueKind) -> tuple[int, Cue] | None:
        """Returns start and meaning of the cue that ends before a word, if it is of one of the kinds."""
        found = self.cue_ends.get(place)
        return found if found is not None and found[1].kind in kinds else None

    def generic_end(self, place: int) -> int:
        """Returns the end of the words at a place that only say what a catalogue holds; the place itself for none."""
        while (found := self.cue(place, CueKind.GENERIC)) is not None:
            place = found[0]
        return place

    def is_in(self, name: str, place: int) -> bool:
        """Returns whether a word is in one of the lists of words."""
        return place < len(self.tokens) and self.tokens.words[place] in self.words.sets[name]

    def is_free(self, start: int, end: int) -> bool:
        """Returns whether no word of a span is taken."""
        return not any(self.taken[start:end])

    def take(self, start: int, end: int, *, remove: bool) -> None:
        """Takes words out of the further reading, and out of the text to search with."""
        self.taken[start:end] = b"\1" * (end - start)
        if remove:
            self.removed[start:end] = b"\1" * (end - start)

    def value_at(self, place: int, *, safe_only: bool) -> ValueMatch | None:
        """Returns the longest value that begins with a word and is not taken."""
        for match in self.values.get(place, ()):
            if (match.safe or not safe_only) and self.is_free(match.start, match.end):
                return match
        return None

    def ends_phrase(self, place: int) -> bool:
        """Returns whether what stands before a word may end there: no further noun follows."""
        return (
            self.tokens.breaks(place)
            or self.is_in("fillers", place)
            or place in self.cues
            or self.value_at(place, safe_only=True) is not None
        )


class PhraseMatcher:
    """All cues and values as one automaton. Read-only: any thread may match."""

    def __init__(self, cues: Mapping[str, Cue], uses: Mapping[str, tuple[ValueUse, ...]]) -> None:
        """Takes what phrases mean, by folded phrase."""
        phrases = list(dict.fromkeys((*cues, *uses)))
        self._uses = uses
        self._meanings = [(cues.get(phrase), uses.get(phrase, _NO_USES)) for phrase in phrases]
        self._automaton = AhoCorasick([f" {phrase} " for phrase in phrases])

    def read(self, tokens: Tokens, words: QueryWords) -> Reading:
        """Finds every cue and value of a text; time is linear in its length and what is found."""
        places = _places(tokens.words)
        cues: list[tuple[int, int, Cue]] = []
        values: list[ValueMatch] = []
        for number, start, end in self._automaton.find_matches_as_indexes(tokens.joined, overlapping=True):
            cue, uses = self._meanings[number]
            first, last = places[start], places[end - 1]
            if cue is not None:
                cues.append((first, last, cue))
            if uses:
                values.append(ValueMatch(first, last, uses))
        values.sort(key=lambda match: (match.start, match.start - match.end))
        return Reading(tokens, words, _apart(cues, values), _by_start(values), self._uses_of)

    def _uses_of(self, phrase: str) -> tuple[ValueUse, ...]:
        return self._uses.get(phrase, _NO_USES)


def _places(words: list[str]) -> dict[int, int]:
    """Returns the word that follows each space of the joined words."""
    places, offset = {}, 0
    for number, word in enumerate(words):
        places[offset] = number
        offset += len(word) + 1
    places[offset] = len(words)
    return places


def _apart(cues: list[tuple[int, int, Cue]], values: Iterable[ValueMatch]) -> dict[int, tuple[int, Cue]]:
    """Returns the cues from left to right, the longest at each place, without those inside a longer name."""
    cues.sort(key=lambda found: (found[0], found[0] - found[1]))
    named = [match for match in values if match.safe and match.end - match.start > 1]
    apart: dict[int, tuple[int, Cue]] = {}
    end, name = 0, 0
    for first, last, cue in cues:
        while name < len(named) and named[name].end < last:
            name += 1
        inside = name < len(named) and named[name].start <= first and named[name].end - named[name].start > last - first
        if first >= end and not inside:
            apart[first] = (last, cue)
            end = last
    return apart


def _by_start(values: Iterable[ValueMatch]) -> dict[int, list[ValueMatch]]:
    found: dict[int, list[ValueMatch]] = {}
    for match in values:
        found.setdefault(match.start, []).append(match)
    return found
