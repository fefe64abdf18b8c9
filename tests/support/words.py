"""Indexes of words over a few items."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from core.retrieval.lexical_match import LexicalIndex
from domain.item import Item


def lexical_index(items: Iterable[Item]) -> LexicalIndex:
    """An index of items, built on the disk as a release has it."""
    with tempfile.TemporaryDirectory() as folder:
        LexicalIndex.build(Path(folder), items)
        return LexicalIndex.load(Path(folder))


def titled(*titles: str) -> list[Item]:
    """Items that have a title only, with ids of their own."""
    return [Item(f"id-{place}", title, "") for place, title in enumerate(titles)]
