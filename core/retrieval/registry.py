"""The sources that training fits and a release carries, by name. A new one is added to `TABLE_SOURCES`."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.next_item import NextItemSource
from core.retrieval.popular import PopularSource
from core.retrieval.source import TableSource

TABLE_SOURCES: dict[str, type[TableSource]] = {
    source.name: source for source in (CollaborativeSource, NextItemSource, PopularSource)
}


@contextmanager
def registered(source: type[TableSource], name: str) -> Iterator[None]:
    """Adds a source for a while, under its name."""
    TABLE_SOURCES[name] = source
    try:
        yield
    finally:
        del TABLE_SOURCES[name]
