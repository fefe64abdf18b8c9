"""Interpreter of a request's text: conditions, orders and exclusions, from a catalogue's own values and types."""

from collections.abc import Iterator
from dataclasses import dataclass

from core.query.attributes import NumberAttributes, name_phrase
from core.query.folding import tokenize, unspaced
from core.query.negation import NegationReader
from core.query.numbers import NumberReader
from core.query.reading import PhraseMatcher, Reading, ValueMatch
from core.query.superlatives import attribute_cues, superlatives
from core.query.titles import KnownTitles
from core.query.values import ValueTable, ValueUse, conditions
from core.query.words import Cue, CueKind, QueryWords, query_words
from domain.catalogue_values import CatalogueValues
from domain.condition import Condition
from domain.interpretation import Interpretation, NumberOrder, Wish
from domain.item import AttributeType

_EDGES = " \t\r\n,;:.!?-–—()[]\"'“”‘’，。；：！？、（）"
_STRONG_ROLES = ("maker", "cast")


@dataclass
class _Draft:
    """Findings in one text so far, with the words they stand at."""

    wishes: list[tuple[int, Wish]]
    orders: list[tuple[int, NumberOrder]]
    terms: list[str]


class QueryInterpreter:
    """Interpreter over one catalogue. Read-only after construction: any thread may interpret."""

    def __init__(
        self,
        words: QueryWords,
        matcher: PhraseMatcher,
        numbers: NumberAttributes,
        titles: KnownTitles,
    ) -> None:
        self._words = words
        self._matcher = matcher
        self._numbers = numbers
        self._titles = titles

    @classmethod
    def of_values(cls, values: CatalogueValues) -> "QueryInterpreter":
        """Builds the interpreter of a catalogue from what its attributes hold."""
        words = query_words()
        titles = KnownTitles(values.titles)
        numbers = NumberAttributes.of(values.types, values.ranges, words)
        table = ValueTable.of(values.types, values.counts, words, titles)
        cues = dict(_string_cues(values, words))
        cues |= attribute_cues(numbers, words)
        cues |= {
            phrase: cue for phrase, cue in words.cues.items() if phrase not in cues or cue.kind is not CueKind.GENERIC
        }
        return cls(words, PhraseMatcher(cues, table.uses), numbers, titles)

    def interpret(self, text: str) -> Interpretation:
        """Reads a text; time is linear in its length. Never raises."""
        tokens = tokenize(text)
        phrase = " ".join(tokens.words)
        if not tokens.words or phrase in self._titles or "".join(tokens.words) in self._titles:
            return Interpretation(search_text=text)
        reading = self._matcher.read(tokens, self._words)
        if not reading.cues and not reading.values and not any(word[0].isdigit() for word in tokens.words):
            return Interpretation(search_text=text)
        self._keep_titles(reading, phrase)
        draft = _Draft([], [], [])
        self._read_numbers_and_negations(reading, draft)
        for order in superlatives(reading, self._numbers):
            written = tokens.phrase(order.start, order.end)
            draft.orders.append((order.start, NumberOrder(order.attribute, order.descending, written)))
        for match, start, end in _named_values(reading):
            first, *others = conditions(match.uses)
            draft.wishes.append((start, Wish(first, tokens.phrase(start, end), tuple(others))))
        return _interpretation(draft, reading)

    def _read_numbers_and_negations(self, reading: Reading, draft: _Draft) -> None:
        tokens = reading.tokens
        numbers = list(NumberReader(reading, self._numbers, self._titles).wishes())
        negated: set[int] = set()
        for found in NegationReader(reading, numbers).negations():
            written = tokens.phrase(found.start, found.end)
            draft.wishes.extend((found.start, Wish(condition, written)) for condition in found.conditions)
            draft.terms.extend(found.terms)
            negated.update(range(found.start, found.end))
        draft.wishes.extend(
            (wish.start, Wish(wish.condition, tokens.phrase(wish.start, wish.end)))
            for wish in numbers
            if wish.start not in negated
        )

    def _keep_titles(self, reading: Reading, phrase: str) -> None:
        """Takes titles out of the reading, but for those that say nothing more than values and cues do."""
        words = reading.tokens.words
        spans = self._titles.within(words)
        if len(words) > 1 and self._titles.begin_with(phrase):
            spans.append((0, len(words)))
        for start, end in spans:
            inside = [match for at in range(start, end) for match in reading.values.get(at, ()) if match.safe]
            known = {at for match in inside if match.end <= end for at in range(match.start, match.end)}
            known.update(at for at in range(start, end) if words[at] in self._words.sets["fillers"])
            for at in range(start, end):
                if at in reading.cues:
                    known.update(range(at, reading.cues[at][0]))
            around = any(
                match.start < start and match.end >= end for at in range(start) for match in reading.values.get(at, ())
            )
            if not around and not known.issuperset(range(start, end)):
                reading.take(start, end, remove=False)


def _string_cues(values: CatalogueValues, words: QueryWords) -> Iterator[tuple[str, Cue]]:
    """Yields the names of the attributes that hold strings: "genre horror", "brand: Orvik"."""
    for name, kind in values.types.items():
        if kind in (AttributeType.STRING, AttributeType.STRING_LIST):
            phrase = name_phrase(name)
            for form in (phrase, phrase.removesuffix("s"), phrase + "s"):
                if len(form) > 2 and form not in words.sets["fillers"]:
                    yield form, Cue(CueKind.ATTRIBUTE, name)


def _named_values(reading: Reading) -> Iterator[tuple[ValueMatch, int, int]]:
    """Yields values that the text names, with the words of each phrase, from left to right; the longest at a place."""
    place, length = 0, len(reading.tokens)
    while place < length:
        found = _named_value(reading, place) if not reading.taken[place] else None
        if found is None:
            place += 1
            continue
        match, start, end = found
        reading.take(start, match.start, remove=True)
        reading.take(match.start, match.end, remove=False)
        reading.take(match.end, end, remove=True)
        yield found
        place = end


def _named_value(reading: Reading, place: int) -> tuple[ValueMatch, int, int] | None:
    cue = reading.cue_before(place, CueKind.ROLE, CueKind.ATTRIBUTE)
    strong = cue is not None and (cue[1].kind is CueKind.ATTRIBUTE or cue[1].name in _STRONG_ROLES)
    match = reading.value_at(place, safe_only=not strong)
    if match is None:
        return None
    uses, start = match.safe_uses, match.start
    if cue is not None and reading.is_free(cue[0], place):
        meant = _meant(match, cue[1], reading)
        uses, start = (meant, cue[0]) if meant else (uses, start)
    return (ValueMatch(match.start, match.end, uses), start, match.end) if uses else None


def _meant(match: ValueMatch, cue: Cue, reading: Reading) -> tuple[ValueUse, ...]:
    """Returns the uses that answer to the cue before a value: of its attribute or role, else of any person or brand."""
    if cue.kind is CueKind.ATTRIBUTE:
        return tuple(use for use in match.uses if use.attribute == cue.name)
    if reading.is_in("fillers", match.start) and match.end - match.start == 1:
        return ()
    role = "cast" if cue.name == "with" else cue.name
    exact = tuple(use for use in match.uses if use.role == role and (use.safe or cue.name != "with"))
    return exact or tuple(use for use in match.uses if use.role and use.safe)


def _interpretation(draft: _Draft, reading: Reading) -> Interpretation:
    wishes: dict[Condition, Wish] = {}
    for _, wish in sorted(draft.wishes, key=lambda found: found[0]):
        wishes.setdefault(wish.condition, wish)
    orders: dict[tuple[str, bool], NumberOrder] = {}
    for _, order in draft.orders:
        orders.setdefault((order.attribute, order.descending), order)
    terms = tuple(dict.fromkeys(draft.terms))
    if not wishes and not orders and not terms:
        return Interpretation(search_text=reading.tokens.text)
    return Interpretation(tuple(wishes.values()), tuple(orders.values()), terms, _search_text(reading))


def _search_text(reading: Reading) -> str:
    """Returns what is left of the text, as written; empty where only words without substance are."""
    tokens, removed = reading.tokens, reading.removed
    if not any(removed):
        return tokens.text
    kept = [place for place in range(len(tokens)) if not (removed[place] or _leans(reading, place))]
    generic = {
        at for start, (end, cue) in reading.cues.items() if cue.kind is CueKind.GENERIC for at in range(start, end)
    }
    if all(place in generic or reading.is_in("fillers", place) or reading.is_in("generics", place) for place in kept):
        return ""
    pieces: list[str] = []
    start = kept[0]
    for place, following in zip(kept, [*kept[1:], -1], strict=True):
        if following != place + 1:
            pieces.append(tokens.text[tokens.starts[start] : tokens.ends[place]].strip(_EDGES))
            start = following
    return _joined(pieces)


def _leans(reading: Reading, place: int) -> bool:
    """Returns whether a word only leads to or from one that is left out: the "of" of "comedy of the nineties"."""
    removed = reading.removed
    leads = place + 1 < len(removed) and removed[place + 1] and reading.is_in("leading", place)
    return bool(leads or (place and removed[place - 1] and reading.is_in("trailing", place)))


def _joined(pieces: list[str]) -> str:
    """Joins pieces, without a space between characters of scripts that have none."""
    text = pieces[0]
    for piece in pieces[1:]:
        text += piece if unspaced(text[-1:]) and unspaced(piece[:1]) else f" {piece}"
    return text
