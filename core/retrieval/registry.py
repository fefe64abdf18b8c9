"""The sources that training fits and a release carries, by name. A new one is added to `TABLE_SOURCES`."""

from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.next_item import NextItemSource
from core.retrieval.popular import PopularSource
from core.retrieval.similar_users import SimilarUsersSource
from core.retrieval.source import TableSource

TABLE_SOURCES: dict[str, type[TableSource]] = {
    source.name: source for source in (CollaborativeSource, NextItemSource, SimilarUsersSource, PopularSource)
}
