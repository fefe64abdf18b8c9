"""Choice of the attributes that an item's text tells: one and the same for training, build and serving."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from domain.item import AttributeValue, Item
from domain.text import COMMON_TEXT_ATTRIBUTES

# Attributes of this many words on average are text that somebody wrote about the item.
LEAST_WORDS = 5.0
_LEAST_SHARE = 0.02
_MOST_FREE_TEXTS = 4
# A Chinese, Japanese or Thai word has about two characters, and no space after it.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_LINK = re.compile(r"^(?:[a-z][a-z0-9+.-]*://|www\.|/\S+$)", re.IGNORECASE)


@dataclass
class _Filled:
    count: int = 0
    words: int = 0


class TextColumns:
    """Collects, item by item, which attributes hold text; takes a few numbers for each attribute."""

    def __init__(self) -> None:
        self._filled: dict[str, _Filled] = {}
        self._item_count = 0
        self.text_count = 0
        self.title_only_count = 0

    def see(self, item: Item) -> None:
        """Takes an item into account."""
        self._item_count += 1
        if item.text.strip():
            self.text_count += 1
        for name, value in item.attributes.items():
            filled = self._filled.get(name) or self._filled.setdefault(name, _Filled())
            filled.count += 1
            if isinstance(value, str | tuple):
                filled.words += word_count(value)

    def chosen(self) -> tuple[str, ...]:
        """Returns the attributes to tell: the common ones that occur, then free texts, the longest first."""
        common = tuple(name for name in COMMON_TEXT_ATTRIBUTES if name in self._filled)
        return (*common, *self.free_texts())

    def free_texts(self) -> tuple[str, ...]:
        """Returns the attributes that are texts of several words on average, the longest first."""
        means = {
            name: filled.words / filled.count
            for name, filled in self._filled.items()
            if name not in COMMON_TEXT_ATTRIBUTES and filled.count >= _LEAST_SHARE * self._item_count
        }
        long = sorted(
            (name for name, mean in means.items() if mean >= LEAST_WORDS), key=lambda name: (-means[name], name)
        )
        return tuple(long[:_MOST_FREE_TEXTS])

    def words_of(self, name: str) -> float:
        """Returns the mean number of words of an attribute's filled values."""
        filled = self._filled.get(name, _Filled())
        return filled.words / filled.count if filled.count else 0.0


def word_count(value: AttributeValue) -> int:
    """Returns how many words of letters a text, or a list of texts, has; links have none."""
    if isinstance(value, tuple):
        # A list of many short values is a list of tags; each entry counts as its own text.
        return max((word_count(entry) for entry in value), default=0)
    if not isinstance(value, str) or _LINK.match(value):
        return 0
    unspaced = len(_UNSPACED.findall(value)) if not value.isascii() else 0
    if unspaced:
        return unspaced // 2 + len(_LETTERS.findall(_UNSPACED.sub(" ", value)))
    return len(_LETTERS.findall(value))


def text_attributes(items: Iterable[Item]) -> tuple[str, ...]:
    """Returns the attributes that the texts of these items tell."""
    columns = TextColumns()
    for item in items:
        columns.see(item)
    return columns.chosen()


def describe(columns: TextColumns, attributes: Iterable[str], types: Mapping[str, str]) -> str:
    """Returns the parts of the items' texts in words: "title + category + plot (31 words) + text"."""
    free = set(columns.free_texts())
    parts = [
        f"{name} ({columns.words_of(name):.0f} words)" if name in free else name for name in attributes if name in types
    ]
    return " + ".join(("title", *parts, *(["text"] if columns.text_count else [])))
