"""The recall sources of a release."""

import numpy as np

from core.ranking.blend import PRIOR
from core.retrieval.category_popular import CategoryPopularSource, ItemCategories, names_categories
from core.retrieval.fresh import FreshSource, dates_of
from core.retrieval.lexical import LexicalSource
from core.retrieval.popular import PopularSource
from core.retrieval.semantic import SemanticHistorySource, SemanticTextSource
from core.retrieval.source import RecallSource, RecallSources
from core.retrieval.user_tower import UserTowerSource
from core.retrieval.vector_store import VectorStore
from core.scaling import Population
from server.release.data import ReleaseData


def release_sources(data: ReleaseData, content: VectorStore) -> RecallSources:
    """Returns every source of a release, ready to be asked; blocking.

    Args:
        data: read from its files.
        content: its vectors and graph.
    """
    found: list[RecallSource] = [SemanticTextSource(content), LexicalSource(data.lexical)]
    found.append(SemanticHistorySource(content))
    stores = [content]
    if data.tower_vectors is not None:
        stores.append(VectorStore(data.tower_vectors, np.asarray(~data.tower_vectors.any(axis=1))))
        found.append(UserTowerSource(stores[-1]))
    popular = data.tables.get(PRIOR)
    chosen = popular.chosen if isinstance(popular, PopularSource) else np.ones(len(data.items), bool)
    population = Population.of(chosen)
    if data.blend.source_names():
        for store in stores:  # else the first request would compute them
            population.moments(store.vectors, store.silent)
    return RecallSources((*found, *data.tables.values(), *_by_attributes(data)), population)


def _by_attributes(data: ReleaseData) -> list[RecallSource]:
    """Returns the sources that go by what is new, and by categories."""
    found: list[RecallSource] = []
    popular = data.tables.get(PRIOR)
    log_prior = popular.log_prior if isinstance(popular, PopularSource) else None
    dates = dates_of(data.items.attribute_types, data.items.numbers, data.appeared_s)
    if dates is not None:
        found.append(FreshSource(dates, log_prior))
    columns = data.items.rows_by_value(names_categories)
    if isinstance(popular, PopularSource) and columns:
        found.append(CategoryPopularSource(popular, ItemCategories.of(columns)))
    return found
