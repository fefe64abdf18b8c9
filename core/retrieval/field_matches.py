"""The fields of an item that a text matched, for explanations: whole values, titles and words as they are written."""

import re
from collections.abc import Iterator, Sequence

from core.retrieval.lexical_index import ItemWords
from core.retrieval.lexical_match import LexicalQuery
from core.text.analysis import analyze, key
from domain.item import Item
from domain.recommendation import FieldMatch


def field_matches(query: LexicalQuery, items: Sequence[Item]) -> list[tuple[FieldMatch, ...]]:
    """Returns for each item the fields that a text matched, the strongest first."""
    return [tuple(_matches(query, item)) for item in items]


def shared_terms(query: LexicalQuery, item: Item) -> tuple[str, ...]:
    """Returns the terms of a text that an item has, in their order; no part of a longer one that it has too."""
    words = ItemWords.of(item)
    parts = (*words.titles, *(value for _, value in words.values), *(text for _, text in words.texts))
    own = {term for part in parts for term in analyze(part).terms}
    found = [term for term in query.terms if term in own]
    return tuple(term for term in found if not any(term != other and term in other for other in found))


def _matches(query: LexicalQuery, item: Item) -> Iterator[FieldMatch]:
    words = ItemWords.of(item)
    asked, terms = f" {' '.join(query.words)} ", set(query.terms)
    for name, value in words.values:
        if f" {key(value)} " in asked:
            yield FieldMatch(name, value, whole_value=True)
    parts = [*(("title", title) for title in words.titles), *words.values, *words.texts]
    for name, value in parts:
        if any(name == other and f" {key(entry)} " in asked for other, entry in words.values if entry == value):
            continue
        shared = [written for written in _written_words(value) if terms & set(analyze(written).terms)]
        if shared:
            yield FieldMatch(name, " ".join(dict.fromkeys(shared)))


def _written_words(text: str) -> list[str]:
    """Returns the words of a text as they are written; Chinese ones as they are cut."""
    found: list[str] = []
    for part in re.findall(r"[^\W_]+(?:[-'’.&][^\W_]+)*|[^\w\s]", text):
        cut = analyze(part).words
        found.extend(cut if len(cut) > 1 and not part.isascii() else [part])
    return found
