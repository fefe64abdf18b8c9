"""An item as it is matched by words: its fields, and the terms of each."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.text.analysis import Analyzed, analyze, fold
from domain.item import Item

TEXT = "text"
# An attribute of such a name is another title.
TITLE_NAME = re.compile(r"(^|_)titles?(_|$)")
# A string attribute of at most so many characters is a value, such as a name; a longer one is text.
_VALUE_CHARACTERS = 60
# An address, or the path of a file on a server.
_LINK = re.compile(r"(?:[a-z][a-z0-9+.-]*://|www\.)|/\S*\.\w{2,5}$", re.IGNORECASE)
# An attribute of such a name points to a thing in another system: its numbers are not words about the item. An ISBN is
# printed on the item and looked for.
_REFERENCE_NAME = re.compile(r"(?:^|[\W_])(?:ids?|uuids?|guids?|ur[il]s?|links?)(?:[\W_]|$)")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LEAST_INITIALS = 3
# From so many letters on, initials are a name of the title.
_NAMING_INITIALS = 4
_SUBTITLE = re.compile(r"\s*[:(]|\s[-\u2013\u2014]\s")
_ARTICLE = re.compile(r"^(?:the|a|an)\s+", re.IGNORECASE)
_ARTICLES = frozenset({"the", "a", "an"})
# A year in brackets says when, not what: "2001" does not name "Shrek (2001)".
_YEAR = re.compile(r"\s*[(\[\uff08](?:1[89]|20)\d\d(?:\s*[-\u2013]\s*(?:(?:1[89]|20)\d\d)?)?[)\]\uff09]")
_TITLE_END = re.compile(r"[:(]")
_BRACKETS = re.compile(r"\(([^()]+)\)")


@dataclass(frozen=True)
class ItemWords:
    """An item's fields.

    Attributes:
        titles: title and attributes that are titles.
        values: whole values by attribute name.
        texts: longer strings by attribute name, the item's text among them.
    """

    titles: tuple[str, ...]
    values: tuple[tuple[str, str], ...]
    texts: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, item: Item) -> "ItemWords":
        """Sorts what an item says in words into fields; links and ids of other systems say nothing."""
        titles, values, texts = [item.title], [], [(TEXT, item.text)]
        for name, value in item.attributes.items():
            if is_reference(name):
                continue
            entries = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
            for entry in entries:
                if _LINK.match(entry) or not entry.strip():
                    continue
                if TITLE_NAME.search(name):
                    titles.append(entry)
                elif len(entry) <= _VALUE_CHARACTERS:
                    values.append((name, entry))
                else:
                    texts.append((name, entry))
        return cls(tuple(title for title in titles if title.strip()), tuple(values), tuple(texts))


@dataclass(frozen=True)
class Spelling:
    """Another way to write a title or a value, such as pinyin.

    Attributes:
        wholes: all of it, in each way in which it may be spaced.
        terms: words of it that are found by themselves.
    """

    wholes: tuple[str, ...]
    terms: tuple[str, ...]


Spell = Callable[[str], Spelling]


@dataclass(frozen=True)
class ItemTerms:
    """An item's terms by field; each string is analysed once.

    Attributes:
        titles: words of each title, without years in brackets.
        values: words of each whole value.
        texts: words of each text.
        extra: terms beside the words, each once.
        whole_titles: what the item is called, as one term each.
        spelt_values: other spellings of whole values, as one term each.
        own_title: words of its title, without a year in brackets.
    """

    titles: tuple[tuple[str, ...], ...]
    values: tuple[tuple[str, ...], ...]
    texts: tuple[tuple[str, ...], ...]
    extra: tuple[str, ...]
    whole_titles: tuple[str, ...]
    spelt_values: tuple[str, ...]
    own_title: tuple[str, ...]

    @classmethod
    def of(cls, item: Item, spell: Spell | None = None) -> "ItemTerms":
        """Analyses an item; `spell` adds another spelling of its titles and values."""
        fields, analyzed = ItemWords.of(item), _Analyses()
        extra: dict[str, None] = {}
        called: list[str] = []
        for title in fields.titles:
            extra.update(dict.fromkeys(analyzed[without_year(title)].extra))
            extra.update(dict.fromkeys(_bracketed_years(title)))
            short = initials(title, lambda part: analyzed[part].words)
            extra.update(dict.fromkeys(short))
            called.extend(name for name in short if len(name) >= _NAMING_INITIALS)
        for _, string in (*fields.values, *fields.texts):
            extra.update(dict.fromkeys(analyzed[string].extra))
        called.extend(analyzed.key(name) for title in fields.titles for name in (title, *names(title)))
        spelt_values: list[str] = []
        if spell is not None:
            for string, found in (
                *((title, called) for title in fields.titles),
                *((value, spelt_values) for _, value in fields.values),
            ):
                spelt = spell(string)
                found.extend(analyzed.key(whole) for whole in spelt.wholes)
                extra.update(dict.fromkeys(term for entry in spelt.terms for term in analyzed[entry].words))
        if any(character.isalpha() for character in item.id):  # a number names a film before it names a row
            called.append(analyzed.key(item.id))
            written = fold(item.id).strip()
            if written.isalnum():
                extra[written] = None
        return cls(
            titles=tuple(analyzed[without_year(title)].words for title in fields.titles),
            values=tuple(analyzed[value].words for _, value in fields.values),
            texts=tuple(analyzed[text].words for _, text in fields.texts),
            extra=tuple(extra),
            whole_titles=tuple(dict.fromkeys(called)),
            spelt_values=tuple(dict.fromkeys(spelt_values)),
            own_title=analyzed[without_year(item.title)].words,
        )

    def words(self) -> Iterator[str]:
        """Yields the words of all fields."""
        for field in (self.titles, self.values, self.texts):
            for words in field:
                yield from words


class _Analyses(dict[str, Analyzed]):
    """Analysed strings of one item."""

    def __missing__(self, text: str) -> Analyzed:
        found = self[text] = analyze(text)
        return found

    def key(self, text: str) -> str:
        """Returns what two titles, or two values, have in common that are the same to a reader."""
        return " ".join(self[text].words)


def is_reference(name: str) -> bool:
    """Returns whether an attribute of this name holds links, or ids of another system: "tmdb_id", "imdbId", "url"."""
    return bool(_REFERENCE_NAME.search(_CAMEL.sub("_", name).casefold()))


def without_year(title: str) -> str:
    """Returns a title without years in brackets; a title that is nothing else stays as it is."""
    return _YEAR.sub("", title).strip() or title


def _bracketed_years(title: str) -> list[str]:
    """Returns the years that `without_year` leaves out."""
    return [] if without_year(title) == title.strip() else re.findall(r"\d{4}", " ".join(_YEAR.findall(title)))


def names(title: str) -> tuple[str, ...]:
    """Returns by what else a title is known: without its year, its subtitle and its article, and what brackets hold."""
    title = without_year(title)
    short = _SUBTITLE.split(title)[0].strip()
    found = [title, short]
    found.extend(_ARTICLE.sub("", name) for name in (title, short))
    found.extend(_BRACKETS.findall(title))
    return tuple(name for name in found if name)


def initials(
    title: str, words_of: Callable[[str], Sequence[str]] = lambda text: analyze(text).words
) -> tuple[str, ...]:
    """Returns the initials by which a title of several words is known, with and without its article: "lotr".

    Args:
        title: as written.
        words_of: cuts a text into words.
    """
    found, title = [], without_year(title)
    for part in (title, _TITLE_END.split(title)[0]):
        words = words_of(part)
        for kept in (words, words[1:] if words and words[0] in _ARTICLES else words):
            if len(kept) >= _LEAST_INITIALS and all(word.isascii() and word.isalnum() for word in kept):
                found.append("".join(word[0] for word in kept))
    return tuple(dict.fromkeys(found))
