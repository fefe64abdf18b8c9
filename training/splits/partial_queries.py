"""Partial descriptions of items: the queries of personalised search where nobody recorded any.

Somebody who looks for an item without its title says a little of it: two of its genres and the decade, a keyword or a
name, some words of its description. Which of these is drawn by seed, item and case alone, so that training and
evaluation make the same queries in any order and process.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from domain.item import AttributeValue, Item
from domain.text import COMMON_TEXT_ATTRIBUTES, language_of

_WORD = re.compile(r"[^\W_]+")
_CLAUSE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_YEARS = range(1800, 2101)
_FEWEST_SHARING = 2
_BROAD_SHARE = 0.02
_MOST_BROAD_SHARE = 0.5
_BROAD_VALUES = 2
_FEWEST_LETTERS = 4
_RARE_WORD_SHARE = 0.001
_COMMON_WORD_SHARE = 0.05
_FEWEST_COMMON = 3
_WORD_COUNTS = (3, 5)
_CLAUSE_LENGTHS = (4, 8)
_TITLE_WORDS = 2
_FEWEST_TITLE_LETTERS = 3


@dataclass(frozen=True)
class _Sayings:
    """Parts of an item that a query may be made of; titles are only for items that have nothing else.

    Attributes:
        broad: attribute values that many items have, such as genres.
        decade: "1990s"; empty where no attribute is a year.
        narrow: attribute values that a few items share, such as keywords and names.
        words: words of the text, in its order, neither common nor rare in the catalogue.
        clauses: runs of Chinese characters in a Chinese text.
        title: words of the title, in its order.
    """

    broad: tuple[str, ...]
    decade: str
    narrow: tuple[str, ...]
    words: tuple[str, ...]
    clauses: tuple[str, ...]
    title: tuple[str, ...]


@dataclass(frozen=True)
class PartialQueries:
    """Generator of partial descriptions over one catalogue.

    Attributes:
        items: the catalogue, by row.
        value_counts: by attribute value, the number of items that have it.
        word_counts: by word, the number of texts that hold it.
        year_attribute: name of the number attribute that is a year; empty where there is none.
    """

    items: Sequence[Item]
    value_counts: Counter[str] = field(repr=False)
    word_counts: Counter[str] = field(repr=False)
    year_attribute: str

    @classmethod
    def of(cls, items: Sequence[Item]) -> "PartialQueries":
        """Counts what the items of a catalogue share."""
        values: Counter[str] = Counter()
        words: Counter[str] = Counter()
        for item in items:
            values.update(set(_values(item)))
            words.update(set(_words(item.text)))
        return cls(items, values, words, _year_attribute(items))

    def query(self, row: int, seed: int, case: str = "") -> str:
        """Returns a partial description of an item.

        It never holds all the words of the title. The title is used at all only for an item without text and shared
        attributes: two of its words, or one of two.

        Args:
            row: of the item.
            seed: of the draw.
            case: tells several queries for one item apart, for example the user's id.

        Returns:
            The query; empty where the item says nothing but a title of one word.
        """
        item = self.items[row]
        rng = random.Random(f"{seed}\0{item.id}\0{case}")
        sayings = self._sayings(item)
        forms = [form for form in (_by_values, _by_name, _by_words, _by_clause) if form(sayings, rng)]
        return rng.choice(forms)(sayings, rng) if forms else _by_title(sayings, rng)

    def _sayings(self, item: Item) -> _Sayings:
        title = _words(item.title)
        known = set(title)
        values = [value for value in dict.fromkeys(_values(item)) if not set(_words(value)) <= known]
        count = len(self.items)
        shared = {value: self.value_counts[value] for value in values}
        least = max(_FEWEST_SHARING, _BROAD_SHARE * count)
        most = max(least, _MOST_BROAD_SHARE * count)
        chinese = language_of(item.text) == "zh"
        return _Sayings(
            broad=tuple(value for value, sharing in shared.items() if least <= sharing <= most),
            decade=self._decade(item),
            narrow=tuple(value for value, sharing in shared.items() if _FEWEST_SHARING <= sharing < least),
            words=() if chinese else self._telling_words(item, known),
            clauses=_clauses(item) if chinese else (),
            title=tuple(dict.fromkeys(title)),
        )

    def _telling_words(self, item: Item, known: set[str]) -> tuple[str, ...]:
        """Returns the words of the text that are not in the title and that neither all items nor this one alone has."""
        least = max(_FEWEST_SHARING, _RARE_WORD_SHARE * len(self.items))
        most = max(_FEWEST_COMMON, _COMMON_WORD_SHARE * len(self.items))
        return tuple(
            word
            for word in dict.fromkeys(_words(item.text))
            if len(word) >= _FEWEST_LETTERS and word not in known and least <= self.word_counts[word] <= most
        )

    def _decade(self, item: Item) -> str:
        year = item.attributes.get(self.year_attribute)
        return f"{int(year) // 10 * 10}s" if _is_year(year) and isinstance(year, int | float) else ""


def _by_values(sayings: _Sayings, rng: random.Random) -> str:
    """Returns two broad values, or one, with the decade; empty where that would be a single word."""
    parts = rng.sample(sayings.broad, min(_BROAD_VALUES, len(sayings.broad)))
    if parts and sayings.decade:
        parts.append(sayings.decade)
    return " ".join(parts) if len(parts) > 1 else ""


def _by_name(sayings: _Sayings, rng: random.Random) -> str:
    return rng.choice(sayings.narrow) if sayings.narrow else ""


def _by_words(sayings: _Sayings, rng: random.Random) -> str:
    """Returns three to five words of the text in its order; empty where it has fewer."""
    least, most = _WORD_COUNTS
    if len(sayings.words) < least:
        return ""
    places = rng.sample(range(len(sayings.words)), min(rng.randint(least, most), len(sayings.words)))
    return " ".join(sayings.words[place] for place in sorted(places))


def _by_clause(sayings: _Sayings, rng: random.Random) -> str:
    """Returns four to eight characters of a Chinese text that stand together."""
    if not sayings.clauses:
        return ""
    clause = rng.choice(sayings.clauses)
    length = min(rng.randint(*_CLAUSE_LENGTHS), len(clause))
    start = rng.randint(0, len(clause) - length)
    return clause[start : start + length]


def _by_title(sayings: _Sayings, rng: random.Random) -> str:
    """Returns two words of the title, longer ones where it has any, and never all of them."""
    words = [word for word in sayings.title if len(word) >= _FEWEST_TITLE_LETTERS] or list(sayings.title)
    count = min(_TITLE_WORDS, len(words), len(sayings.title) - 1)
    if count < 1:
        return ""
    return " ".join(words[place] for place in sorted(rng.sample(range(len(words)), count)))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _clauses(item: Item) -> tuple[str, ...]:
    """Returns the runs of Chinese characters long enough for a query, without those that hold or are the title."""
    title = item.title.strip()
    return tuple(
        clause
        for clause in _CLAUSE.findall(item.text)
        if len(clause) >= _CLAUSE_LENGTHS[0] and not (title and (title in clause or clause in title))
    )


def _values(item: Item) -> Iterator[str]:
    """Yields values of lists, and of texts that usually name a kind of item; other titles are no description."""
    for name, value in item.attributes.items():
        if "title" in name.casefold():
            continue
        if isinstance(value, tuple):
            yield from (entry.strip() for entry in value if entry.strip())
        elif isinstance(value, str) and name in COMMON_TEXT_ATTRIBUTES and value.strip():
            yield value.strip()


def _year_attribute(items: Sequence[Item]) -> str:
    """Returns the first number attribute all of whose values are years."""
    candidates: dict[str, bool] = {}
    for item in items:
        for name, value in item.attributes.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                candidates[name] = candidates.get(name, True) and _is_year(value)
    return next((name for name, years in candidates.items() if years), "")


def _is_year(value: AttributeValue | None) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value in _YEARS
