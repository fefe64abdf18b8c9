"""Items that have something which a text excludes ("without caffeine") and that is not a value of an attribute."""

import re

import numpy as np

from core.retrieval.lexical import LexicalSource
from domain.item import Item
from domain.recommendation import Source
from server.stages.release import ServingRelease

# Items whose text is read again, to see whether it says that they do not have it.
_MOST_READ = 200
# "free of caffeine", "caffeine-free", "no caffeine", "decaffeinated" is another word and matches nothing.
_BEFORE = r"(?:no|not|without|zero|non|never|free (?:of|from)|0 ?%)[\s-]+(?:\w+[\s-]+){0,2}"
_AFTER = r"[\s-]*free\b"
_CHINESE_BEFORE = r"(?:\u4e0d\u542b|\u65e0|\u6ca1\u6709|\u96f6|\u4e0d\u5e26)"


def mentions(term: str, release: ServingRelease) -> np.ndarray:
    """Returns int64[m], the rows that have a term and do not deny it."""
    lexical = release.sources.get(Source.LEXICAL.value)
    if not isinstance(lexical, LexicalSource):
        return np.empty(0, np.int64)
    rows = lexical.index.rows_with(term)
    if not len(rows) or len(rows) > _MOST_READ:
        return rows
    pattern = _denial(term)
    items = release.catalogue.items_of(rows.tolist())
    kept = [not pattern.search(_text(item)) for item in items]
    found: np.ndarray = rows[np.asarray(kept, bool)]
    return found


def _denial(term: str) -> re.Pattern[str]:
    word = re.escape(term)
    return re.compile(rf"\b{_BEFORE}{word}|{word}{_AFTER}|{_CHINESE_BEFORE}{word}", re.IGNORECASE)


def _text(item: Item) -> str:
    values = [value for value in item.attributes.values() if isinstance(value, str | tuple)]
    return "\n".join([item.title, item.text, *(v if isinstance(v, str) else "\n".join(v) for v in values)])
