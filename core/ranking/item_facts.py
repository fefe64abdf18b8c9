"""Facts about items for the ranker: row-aligned arrays, built alike in training and in the gateway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.ranking.item_coder import ItemCoder
from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.next_item import NextItemSource
from core.retrieval.popular import PopularSource
from core.retrieval.source import TableSource
from domain.item import Item


@dataclass(frozen=True)
class ItemFacts:
    """Row-aligned facts about n items. What is None is unknown for all, and its features are neutral.

    Attributes:
        count: n.
        vectors: float32[n, d] content vectors, unit or zero.
        mean: float32[d], mean of the content vectors.
        tower_vectors: float32[n, e], what a user embedding is multiplied with.
        neighbour_rows: int32[n, K], neighbours by item, -1 for none.
        neighbour_weights: float32[n, K].
        transition_rows: int32[n, L], items that often come next, by item, -1 for none.
        transition_weights: float32[n, L].
        log_popularity: float32[n], log P(i).
        categories: int32[n, CATEGORY_LIMIT], codes, -1 for none.
        category_weights: float32[number of codes], rarer categories weigh more.
        brands: int32[n], codes, -1 for none.
        log_price: float32[n], NaN where there is none.
        numbers: float32[n, m], numeric attributes in units of their own spread over the catalogue, NaN where absent.
        aspects: float32[n, A], signed aspect scores, 0 for nothing said.
        coder: turns attributes of other items into the same codes and units.
    """

    count: int
    vectors: np.ndarray | None = None
    mean: np.ndarray | None = None
    tower_vectors: np.ndarray | None = None
    neighbour_rows: np.ndarray | None = None
    neighbour_weights: np.ndarray | None = None
    transition_rows: np.ndarray | None = None
    transition_weights: np.ndarray | None = None
    log_popularity: np.ndarray | None = None
    categories: np.ndarray | None = None
    category_weights: np.ndarray | None = None
    brands: np.ndarray | None = None
    log_price: np.ndarray | None = None
    numbers: np.ndarray | None = None
    aspects: np.ndarray | None = None
    coder: ItemCoder | None = None

    def with_tables(self, tables: Mapping[str, TableSource]) -> "ItemFacts":
        """Returns the facts with what the table sources hold, by source name."""
        facts = self
        for table in tables.values():
            if isinstance(table, CollaborativeSource):
                rows, weights = table.table.rows, table.table.weights
                facts = replace(facts, neighbour_rows=rows, neighbour_weights=weights)
            elif isinstance(table, NextItemSource):
                rows, weights = table.table.rows, table.table.weights
                facts = replace(facts, transition_rows=rows, transition_weights=weights)
            elif isinstance(table, PopularSource):
                facts = replace(facts, log_popularity=table.log_prior)
        return facts

    @classmethod
    def of_items(cls, items: Sequence[Item]) -> "ItemFacts":
        """Reads categories, brand, price and numbers from the items' attributes by rules that know no data set.

        Categories are values of string lists and of strings with fewer distinct values than a tenth of the items; the
        brand is the attribute of that name; the price is the first numeric attribute with "price" in its name; every
        other number that varies counts as it is. `dataclasses.replace` adds what was trained.
        """
        coder = ItemCoder.of_items(items)
        coded = coder.coded(items)
        return cls(
            count=len(items),
            categories=coded.categories,
            category_weights=coder.category_weights,
            brands=coded.brands,
            log_price=coded.log_price,
            numbers=coded.numbers,
            coder=coder,
        )
