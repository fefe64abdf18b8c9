"""Reads a text: which of its words are wishes, and which are left to search. Deterministic."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from core.query.catalogue_values import CatalogueValues, Mention
from core.query.cues import Cues, Phrases, load_cues
from core.query.numbers import NumberReader
from core.query.tokens import Token, tokens
from domain.condition import AnyOf, Condition, Equals
from domain.interpretation import Interpretation, NumberOrder, Wish
from domain.item import AttributeType

# A text beyond so many tokens is a description, not a list of wishes.
_MOST_TOKENS = 60
# "does not know" denies a verb.
_AUXILIARY = frozenset(
    ("does", "do", "did", "is", "are", "was", "were", "be", "been", "can", "could", "will", "would", "should", "has")
) | frozenset(("have", "had", "must", "may", "might"))
_ARTICLES = frozenset(("a", "an", "any", "the"))
# After these a word is unwanted even where it is no attribute's value.
_STRONG = frozenset(
    (("without",), ("except",), ("except", "for"), ("excluding",), ("i", "hate"), ("hate",), ("i", "dislike"))
)
_DISLIKE = frozenset(("like", "hate", "dislike"))
_CONJUNCTIONS = frozenset(("and", "or", "nor", "、", "和", "或"))


class QueryInterpreter:
    """Reader of wishes by one catalogue's values and types. Read-only: any thread may ask."""

    def __init__(self, values: CatalogueValues, is_title: Callable[[str], bool], cues: Cues | None = None) -> None:
        self._values = values
        self._is_title = is_title
        self._cues = cues or load_cues()
        self._numbers = NumberReader(values, self._cues)
        english, chinese = self._cues.english, self._cues.chinese
        self._negations = Phrases.of(english["negations"], chinese["negations"])
        self._orders = Phrases.of(self._cues.orders)
        self._no_negation = frozenset(phrase[0] for phrase in english["no_negation_before"])
        self._nouns = frozenset(phrase[0] for phrase in english["nouns"])
        self._after_head = self._nouns | {phrase[0] for phrase in english["after_head"]}
        self._truths = Phrases.of(tuple(spoken.split()) for spoken in values.booleans)

    @classmethod
    def of_values(
        cls,
        types: Mapping[str, AttributeType],
        strings: Mapping[str, Mapping[str, int]],
        numbers: Mapping[str, np.ndarray],
        is_title: Callable[[str], bool],
    ) -> "QueryInterpreter":
        """Makes an interpreter.

        Args:
            types: of the attributes.
            strings: how many items have each value, by string attribute.
            numbers: float64[n] by number or timestamp attribute, NaN where absent.
            is_title: whether a text is what an item is called: then it is no wish.
        """
        cues = load_cues()
        return cls(CatalogueValues(strings, numbers, types, cues), is_title, cues)

    def interpret(self, text: str) -> Interpretation:
        """Returns what a text names; nothing where it is a title."""
        words = tokens(text, _MOST_TOKENS + 1)
        if not words or len(words) > _MOST_TOKENS or self._is_title(text):
            return Interpretation(search_text=text)
        reading = _Reading(text, words)
        mentions = self._values.mentions([word.text for word in words])
        self._read_orders(reading)
        self._read_negations(reading, mentions)
        for limit in self._numbers.read(words, reading.taken):
            reading.wish(limit.start, limit.end, limit.condition, take=True)
        self._read_truths(reading)
        self._read_values(reading, mentions)
        return reading.result(self._cues)

    def _read_orders(self, reading: "_Reading") -> None:
        for place in range(len(reading.words)):
            phrase = self._orders.at(reading.words, place)
            if phrase is None:
                continue
            role, descending = self._cues.orders[phrase]
            attribute = self._values.role(role)
            if attribute is not None:
                reading.order(place, place + len(phrase), attribute.name, descending=descending)

    def _read_negations(self, reading: "_Reading", mentions: Sequence[Mention]) -> None:
        place = 0
        while place < len(reading.words):
            phrase = self._negation_at(reading.words, place)
            if phrase is None or reading.taken[place]:
                place += 1
                continue
            end = self._negated(reading, mentions, place, phrase)
            place = max(end, place + 1)

    def _negation_at(self, words: Sequence[Token], place: int) -> tuple[str, ...] | None:
        phrase = self._negations.at(words, place)
        if phrase is None:
            return None
        after = place + len(phrase)
        if after < len(words) and words[after].text in self._no_negation:
            return None
        before = words[place - 1].text if place else ""
        return None if before in _AUXILIARY and not _DISLIKE & set(phrase) else phrase

    def _negated(self, reading: "_Reading", mentions: Sequence[Mention], place: int, phrase: tuple[str, ...]) -> int:
        """Notes what a negation is about; returns the token after it, or its own place if it is about nothing."""
        words = reading.words
        after, end = place + len(phrase), place
        while after < len(words):
            if words[after].text in _ARTICLES:
                after += 1
                continue
            mention = next((found for found in mentions if found.start == after), None)
            truth = self._truth_at(words, after)
            if mention is not None:
                for named in mention.named:
                    condition = Condition(named.attribute, AnyOf(frozenset(named.values)), negate=True)
                    reading.wish(place, mention.end, condition, take=True)
                end = self._after_noun(words, mention.end)
            elif truth is not None:
                name, end = truth
                reading.wish(place, end, Condition(name, Equals(True), negate=True), take=True)
            elif end == place and (phrase in _STRONG or words[after].is_chinese or self._begins(words, place, phrase)):
                end = self._excluded(reading, place, after)
                break
            else:
                break
            reading.take(place, end)
            if end < len(words) and words[end].text in _CONJUNCTIONS:
                after = end + 1
            else:
                break
        return end

    @staticmethod
    def _begins(words: Sequence[Token], place: int, phrase: tuple[str, ...]) -> bool:
        """Returns whether "no" begins a clause: "with no name" only tells of something."""
        return phrase[-1] == "no" and (place == 0 or words[place - 1].is_punctuation or len(phrase) > 1)

    def _excluded(self, reading: "_Reading", place: int, after: int) -> int:
        """Notes a negated word that is no value; returns the token after it."""
        words = reading.words
        end = after
        if words[after].is_chinese:
            while end < len(words) and words[end].is_chinese and end - after < 4 and words[end].text != "的":
                end += 1
        elif words[after].text.isalpha() and len(words[after].text) > 2:
            end = after + 1
        if end == after:
            return place
        reading.exclude(words[after].start, words[end - 1].end)
        end = self._after_noun(words, end)
        reading.take(place, end)
        return end

    def _after_noun(self, words: Sequence[Token], place: int) -> int:
        return place + 1 if place < len(words) and words[place].text in self._nouns else place

    def _truth_at(self, words: Sequence[Token], place: int) -> tuple[str, int] | None:
        phrase = self._truths.at(words, place)
        return None if phrase is None else (self._values.booleans[" ".join(phrase)], place + len(phrase))

    def _read_truths(self, reading: "_Reading") -> None:
        for place in range(len(reading.words)):
            truth = None if reading.taken[place] else self._truth_at(reading.words, place)
            if truth is not None and len(reading.words) > truth[1] - place:
                reading.wish(place, truth[1], Condition(truth[0], Equals(True)), take=False)

    def _read_values(self, reading: "_Reading", mentions: Sequence[Mention]) -> None:
        for mention in mentions:
            if any(reading.taken[mention.start : mention.end]):
                continue
            cue = self._cue_before(reading.words, mention.start)
            is_head = self._is_head(reading, mention)
            named = [
                one
                for one in mention.named
                if one.is_name or (one.is_kind and is_head) or (cue and " " in one.values[0])
            ]
            # One thing may be said by several attributes ("Clint Eastwood" directs and plays): any of them will do, so
            # the one that most items have speaks.
            if named:
                best = named[0]
                reading.wish(
                    mention.start, mention.end, Condition(best.attribute, AnyOf(frozenset(best.values))), take=False
                )

    def _cue_before(self, words: Sequence[Token], place: int) -> bool:
        return any(
            tuple(word.text for word in words[max(place - len(cue), 0) : place]) == cue
            for cue in self._cues.english["value_cues"]
        )

    def _is_head(self, reading: "_Reading", mention: Mention) -> bool:
        """Returns whether a value is what is asked for, and does not describe another word ("war games")."""
        if mention.end == len(reading.words) or reading.taken[mention.end]:
            return True
        following = reading.words[mention.end]
        if following.is_punctuation or following.is_chinese:
            return True
        return following.text in self._after_head


class _Reading:
    """What was understood of a text so far."""

    def __init__(self, text: str, words: Sequence[Token]) -> None:
        self.text = text
        self.words = words
        self.taken = [False] * len(words)
        self._wishes: list[tuple[int, Wish]] = []
        self._orders: list[tuple[int, NumberOrder]] = []
        self._excluded: list[str] = []

    def take(self, start: int, end: int) -> None:
        """Takes tokens out of what is searched."""
        self.taken[start:end] = [True] * (end - start)

    def wish(self, start: int, end: int, condition: Condition, *, take: bool) -> None:
        """Notes a condition."""
        wish = Wish(condition, self._phrase(start, end))
        if all(known.condition != condition for _, known in self._wishes):
            self._wishes.append((start, wish))
        if take:
            self.take(start, end)

    def order(self, start: int, end: int, attribute: str, *, descending: bool) -> None:
        """Notes an order."""
        if not any(self.taken[start:end]):
            self._orders.append((start, NumberOrder(attribute, descending, self._phrase(start, end))))
            self.take(start, end)

    def exclude(self, start: int, end: int) -> None:
        """Notes a word that items should not have, by its place in the text."""
        self._excluded.append(self.text[start:end])

    def result(self, cues: Cues) -> Interpretation:
        """Returns all that was understood."""
        if not (self._wishes or self._orders or self._excluded):
            return Interpretation(search_text=self.text)
        return Interpretation(
            tuple(wish for _, wish in sorted(self._wishes, key=lambda entry: entry[0])),
            tuple(order for _, order in sorted(self._orders, key=lambda entry: entry[0])),
            tuple(self._excluded),
            self._rest(cues) if any(self.taken) else self.text,
        )

    def _phrase(self, start: int, end: int) -> str:
        return self.text[self.words[start].start : self.words[end - 1].end]

    def _rest(self, cues: Cues) -> str:
        """Returns the text without what was taken, and without what is left hanging at its ends."""
        kept = [word for word, taken in zip(self.words, self.taken, strict=True) if not taken]
        trimmed = True
        while trimmed and kept:
            trimmed = False
            for end in (False, True):
                while kept and kept[-1 if end else 0].is_punctuation:
                    kept.pop(-1 if end else 0)
                for size in (3, 2, 1):
                    part = tuple(word.text for word in (kept[-size:] if end else kept[:size]))
                    if part and part in cues.fillers:
                        kept = kept[:-size] if end else kept[size:]
                        trimmed = True
        if all((word.text,) in cues.nouns for word in kept):
            return ""
        return _joined(self.text, kept)


def _joined(text: str, kept: Sequence[Token]) -> str:
    """Returns tokens as the text has them, with what stood between neighbours."""
    parts: list[str] = []
    for place, word in enumerate(kept):
        if place:
            between = text[kept[place - 1].end : word.start]
            parts.append(between if not between.strip() or len(between) == 1 else " ")
        parts.append(text[word.start : word.end])
    return "".join(parts).strip()
