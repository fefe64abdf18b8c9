"""Facts about items for the ranker: row-aligned arrays, built alike in training and in the gateway."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.next_item import NextItemSource
from core.retrieval.popular import PopularSource
from core.retrieval.source import TableSource
from domain.item import Item

CATEGORY_LIMIT = 12
NUMBER_LIMIT = 4
_PRICE = "price"
_BRAND = "brand"


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
        categories, weights = _categories(items)
        numbers = _numbers(items)
        price = next((values for name, values in numbers.items() if _PRICE in name.lower()), None)
        others = [_spread(values) for name, values in numbers.items() if _PRICE not in name.lower()][:NUMBER_LIMIT]
        return cls(
            count=len(items),
            categories=categories,
            category_weights=weights,
            brands=_brands(items),
            log_price=None if price is None else _log(price),
            numbers=np.stack(others, axis=1).astype(np.float32) if others else None,
        )


def _categories(items: Sequence[Item]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Returns codes int32[n, CATEGORY_LIMIT] and the weight of each code, log(n / items that have it)."""
    values = [[pair for pair in _pairs(item)] for item in items]
    by_name: dict[str, set[str]] = {}
    for found in values:
        for name, value, _ in found:
            by_name.setdefault(name, set()).add(value)
    few = {name for name, distinct in by_name.items() if len(distinct) <= max(2, len(items) // 10)}
    carried = Counter((name, value) for found in values for name, value, listed in found if listed or name in few)
    shared = sorted(pair for pair, count in carried.items() if 1 < count < len(items))
    if not shared:
        return None, None
    codes = {pair: code for code, pair in enumerate(shared)}
    weights = np.array([np.log(len(items) / carried[pair]) for pair in shared], np.float32)
    rows = np.full((len(items), CATEGORY_LIMIT), -1, np.int32)
    for row, found in enumerate(values):
        # The commonest first: they are the ones that other items share.
        own = sorted({codes[n, v] for n, v, _ in found if (n, v) in codes}, key=lambda code: (weights[code], code))
        own = own[:CATEGORY_LIMIT]
        rows[row, : len(own)] = own
    return rows, weights


def _pairs(item: Item) -> list[tuple[str, str, bool]]:
    """Returns (attribute, value, whether it is of a list) of the item's words, its brand left out."""
    pairs = []
    for name, value in item.attributes.items():
        if isinstance(value, tuple):
            pairs += [(name, entry, True) for entry in value]
        elif isinstance(value, str) and name.lower() != _BRAND:
            pairs.append((name, value, False))
    return pairs


def _brands(items: Sequence[Item]) -> np.ndarray | None:
    names = [
        next((v for k, v in item.attributes.items() if k.lower() == _BRAND and isinstance(v, str)), None)
        for item in items
    ]
    codes = {name: code for code, name in enumerate(sorted({name for name in names if name}))}
    return np.array([codes[name] if name else -1 for name in names], np.int32) if codes else None


def _numbers(items: Sequence[Item]) -> dict[str, np.ndarray]:
    """Returns float64[n] by attribute, NaN where an item has none, attributes by name."""
    columns: dict[str, np.ndarray] = {}
    for row, item in enumerate(items):
        for name, value in item.attributes.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                columns.setdefault(name, np.full(len(items), np.nan))[row] = value
    return dict(sorted(columns.items()))


def _log(prices: np.ndarray) -> np.ndarray:
    """Returns float32 log prices; what is not above 0 is no price."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(prices > 0, np.log(prices), np.nan).astype(np.float32)


def _spread(values: np.ndarray) -> np.ndarray:
    """Returns the values in units of their spread, at most 10 from the middle, so that no outlier rules."""
    middle = np.nanmedian(values)
    spread = np.nanmean(np.abs(values - middle))
    scaled: np.ndarray = np.clip((values - middle) / (spread or 1.0), -10, 10)
    return scaled
