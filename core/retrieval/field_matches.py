"""The fields of an item that a text matched, for explanations: whole titles, whole values and words as written.

Only whole words count: a character or a pair of characters that search needs, but that is no word of the item, is never
shown. Articles, prepositions and the like count only where a text has no other words.
"""

import itertools
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import rjieba

from core.retrieval.lexical_document import ItemWords, initials, without_year
from core.retrieval.lexical_query import LexicalQuery
from core.text.analysis import fold, plurals, singular
from core.text.function_words import FUNCTION_WORDS
from core.text.writing import HAN, UNSPACED, WORD
from domain.item import Item
from domain.recommendation import FieldMatch

_WORD = re.compile(WORD)
_RUN = re.compile(f"[{UNSPACED}]+|[^{UNSPACED}]+")
_IS_HAN = re.compile(f"[{HAN}]")
_IS_UNSPACED = re.compile(f"[{UNSPACED}]")
# Between two words of one phrase.
_GAP = re.compile(r"[ \-–'’&:/]{0,3}")
_SPANS_SHOWN = 5
# Two words of two characters.
_LEAST_COMPOUND = 4
_TITLE, _VALUE, _TITLE_WORDS, _VALUE_WORDS, _TEXT_WORDS = range(5)
# A word of a field: where it begins and ends, and the form in which it is compared.
_Word = tuple[int, int, str]


@dataclass(frozen=True)
class SharedWords:
    """The words that a text and an item have in common.

    Attributes:
        terms: as the text was searched, in its order.
        fields: where the item has them, the strongest first.
        initials: a word that no field has and that is the initials of a title; empty for none.
    """

    terms: tuple[str, ...] = ()
    fields: tuple[FieldMatch, ...] = ()
    initials: str = ""


@dataclass(frozen=True, slots=True)
class _Match:
    """A field that matched, with the terms that it has; a lower kind is stronger."""

    kind: int
    terms: tuple[str, ...]
    field: FieldMatch


class FieldMatcher:
    """One text, to be compared with items."""

    def __init__(self, query: LexicalQuery) -> None:
        sequence = [singular(word) for word in query.words]
        whole = [term for term in query.terms if _is_whole(term, query.words)]
        if not FUNCTION_WORDS.issuperset(query.words):
            whole = [term for term in whole if term not in FUNCTION_WORDS]
        self._terms: dict[str, str] = {}
        for term in whole:
            self._terms.setdefault(singular(term), term)
        self._sequence = f" {' '.join(sequence)} "
        self._particles = FUNCTION_WORDS.intersection(sequence)
        self._latin = {variant for form in self._terms if form.isascii() for variant in (form, *plurals(form))}
        self._forms = {variant: form for form in (*sequence, *self._terms) for variant in (form, *plurals(form))}
        self._chinese = [form for form in self._terms if _IS_HAN.search(form)]
        symbols = [re.escape(form) for form in self._terms if not _WORD.search(form)]
        self._token = re.compile("|".join([_WORD.pattern, *symbols])) if symbols else _WORD

    def shared_with(self, item: Item) -> SharedWords:
        """Returns what a text and an item have in common.

        Every title and whole value that the text names, and words of a field where no stronger field has them.
        """
        if not self._terms:
            return SharedWords()
        words = ItemWords.of(item)
        found = [
            match
            for name, title in _titles(item, words.titles)
            if (match := self._match(name, title, _TITLE, _TITLE_WORDS)) is not None
        ]
        found += self._matches(words.values, _VALUE, _VALUE_WORDS)
        found.sort(key=lambda match: (match.kind, -len(match.terms)))
        held: set[str] = set()
        kept = [match for match in found if self._adds(match, held)]
        if len(held) < len(self._terms):
            kept += [match for match in self._matches(words.texts, None, _TEXT_WORDS) if self._adds(match, held)]
        return SharedWords(
            tuple(term for term in self._terms.values() if term in held),
            tuple(match.field for match in kept),
            self._initials(words.titles, held),
        )

    def _initials(self, titles: Sequence[str], held: Set[str]) -> str:
        """Returns the first word beside some others that is the initials of a title: "lotr"; empty for none."""
        others = [term for term in self._terms.values() if term not in held]
        short = {name for title in titles for name in initials(title)} if others else set()
        return next((term for term in others if term in short), "")

    @staticmethod
    def _adds(match: "_Match", held: set[str]) -> bool:
        """Returns whether a match says what stronger ones do not, and adds its terms to theirs."""
        adds = match.field.whole_value or not held.issuperset(match.terms)
        held.update(match.terms)
        return adds

    def _matches(self, fields: Sequence[tuple[str, str]], whole_kind: int | None, kind: int) -> list["_Match"]:
        return [
            match
            for name, text in fields
            if self._may_match(text) and (match := self._match(name, text, whole_kind, kind)) is not None
        ]

    def _may_match(self, text: str) -> bool:
        """Returns False where a text surely has none of the words; much faster than to look for them."""
        if text.isascii():
            return not self._latin.isdisjoint(_WORD.findall(text.lower()))
        return True

    def _match(self, name: str, text: str, whole_kind: int | None, kind: int) -> "_Match | None":
        """Returns the match of a field: as a whole, or of words in it; None where there is none."""
        words = self._words(text)
        own = [self._terms.get(form, "") for _, _, form in words]
        for place, ((_, _, first), (_, _, second)) in enumerate(itertools.pairwise(words)):
            joined = self._terms.get(self._forms.get(first + second, ""))
            if joined and not own[place] and not own[place + 1]:
                own[place] = own[place + 1] = joined
        terms = tuple(dict.fromkeys(filter(None, own)))
        if not terms:
            return None
        if whole_kind is not None and self._is_whole([form for _, _, form in words]):
            return _Match(whole_kind, terms, FieldMatch(name, text.strip(), whole_value=True))
        return _Match(kind, terms, FieldMatch(name, ", ".join(self._spans(text, words, own))))

    def _is_whole(self, forms: Sequence[str]) -> bool:
        """Returns whether all words of a field stand together in the text; "war games" is "wargames" too."""
        return f" {' '.join(forms)} " in self._sequence or "".join(forms) == self._sequence.replace(" ", "")

    def _spans(self, text: str, words: Sequence[_Word], own: Sequence[str]) -> list[str]:
        """Returns the words that matched, as written, neighbours together, the longest first."""
        spans: list[tuple[int, int]] = []
        place = 0
        while place < len(words):
            if not own[place]:
                place += 1
                continue
            last, ahead = place, place + 1
            while ahead < len(words) and _GAP.fullmatch(text, words[ahead - 1][1], words[ahead][0]):
                if own[ahead]:
                    last = ahead
                elif words[ahead][2] not in self._particles:
                    break
                ahead += 1
            spans.append((place, last))
            place = last + 1
        spans.sort(key=lambda span: span[0] - span[1])
        written = [text[words[first][0] : words[last][1]] for first, last in spans]
        distinct = {value.casefold(): value for value in reversed(written)}
        return list(reversed(distinct.values()))[:_SPANS_SHOWN]

    def _words(self, text: str) -> list[_Word]:
        forms = self._forms
        if text.isascii():
            matches = self._token.finditer(text.lower())
            return [(*match.span(), forms.get(match[0], match[0])) for match in matches]
        cut = bool(self._chinese) and any(word in fold(text) for word in self._chinese)
        found: list[_Word] = []
        for match in self._token.finditer(text):
            if not _IS_UNSPACED.search(match[0]):
                found.append(self._word(*match.span(), fold(match[0])))
                continue
            for run in _RUN.finditer(match[0]):
                found.extend(self._words_of_run(run[0], match.start() + run.start(), cut=cut))
        return found

    def _words_of_run(self, run: str, start: int, *, cut: bool) -> Iterator[_Word]:
        """Yields the words of a run of letters of one kind; `cut` separates Chinese words."""
        form = fold(run)
        # Simplified, a run has as many characters as before; else its words could not be shown as written.
        if not cut or not _IS_HAN.search(run) or len(form) != len(run):
            yield self._word(start, start + len(run), form)
            return
        for word in rjieba.cut(form):
            for part in (word,) if word in self._forms else _parts(word):
                yield start, start + len(part), part
                start += len(part)

    def _word(self, start: int, end: int, word: str) -> _Word:
        return start, end, self._forms.get(word, word)


def _parts(word: str) -> Sequence[str]:
    """Returns the words that a Chinese compound consists of; itself where a single character would be left."""
    if len(word) < _LEAST_COMPOUND:
        return (word,)
    known = set(rjieba.cut_for_search(word)) - {word}
    parts: list[str] = []
    place = 0
    while place < len(word):
        fitting = [part for part in known if len(part) > 1 and word.startswith(part, place)]
        if not fitting:
            return (word,)
        parts.append(max(fitting, key=len))
        place += len(parts[-1])
    return parts


def _is_whole(term: str, words: Sequence[str]) -> bool:
    """Returns whether a searched term is a word; in scripts without spaces, pairs and characters may be none."""
    if not _IS_UNSPACED.search(term):
        return True
    # A longer term is a word of its own; a single character only where it was not cut out of one.
    return all(_IS_HAN.match(character) for character in term) and (len(term) > 1 or term in words)


def _titles(item: Item, titles: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields the names of an item's title fields with their titles, without years in brackets, each title once."""
    yielded: set[str] = set()
    for title in titles:
        name = "title" if title == item.title else _name_of(item, title)
        called = without_year(title)
        if called not in yielded:
            yielded.add(called)
            yield name, called


def _name_of(item: Item, title: str) -> str:
    """Returns the attribute that holds a title."""
    return next(
        name
        for name, value in item.attributes.items()
        if value == title or (isinstance(value, tuple) and title in value)
    )
