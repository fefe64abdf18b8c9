"""Codes and units of the items' attributes for the ranker, found by rules that know no data set."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from domain.item import Item

CATEGORY_LIMIT = 12
NUMBER_LIMIT = 4
_PRICE = "price"
_BRAND = "brand"


@dataclass(frozen=True)
class CodedItems:
    """Attributes of m items; None where the catalogue has none of a kind.

    Attributes:
        categories: int32[m, CATEGORY_LIMIT], codes, -1 for none.
        brands: int32[m], codes, -1 for none.
        log_price: float32[m], NaN where there is none.
        numbers: float32[m, number of numbers], in units of their own spread, NaN where absent.
    """

    categories: np.ndarray | None
    brands: np.ndarray | None
    log_price: np.ndarray | None
    numbers: np.ndarray | None


@dataclass(frozen=True)
class NumberUnit:
    """Unit of a number: its middle and spread over the catalogue."""

    name: str
    middle: float
    spread: float

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Returns the values in units of their spread, at most 10 from the middle, so that no outlier rules."""
        scaled: np.ndarray = np.clip((values - self.middle) / self.spread, -10, 10)
        return scaled


@dataclass(frozen=True)
class ItemCoder:
    """Codes of categories and brands, and units of numbers, of one catalogue.

    Attributes:
        category_codes: by attribute and value.
        category_weights: float32[number of codes], rarer categories weigh more; None without categories.
        brand_codes: by name.
        price: the attribute that is the price; None without one.
        units: of other numbers.
    """

    category_codes: Mapping[tuple[str, str], int]
    category_weights: np.ndarray | None
    brand_codes: Mapping[str, int]
    price: str | None
    units: tuple[NumberUnit, ...]

    @classmethod
    def of_items(cls, items: Sequence[Item]) -> "ItemCoder":
        """Reads the codes and units off a catalogue; the rules are those of `ItemFacts.of_items`."""
        codes, weights = _categories(items)
        brands = {name for item in items if (name := _brand(item))}
        names = sorted({name for item in items for name, value in item.attributes.items() if _is_number(value)})
        others = [name for name in names if _PRICE not in name.lower()][:NUMBER_LIMIT]
        return cls(
            category_codes=codes,
            category_weights=weights,
            brand_codes={name: code for code, name in enumerate(sorted(brands))},
            price=next((name for name in names if _PRICE in name.lower()), None),
            units=tuple(_unit(name, _column(name, items)) for name in others),
        )

    def coded(self, items: Sequence[Item]) -> CodedItems:
        """Returns the attributes of items of this catalogue, or of others."""
        units = [unit.apply(_column(unit.name, items)) for unit in self.units]
        return CodedItems(
            categories=None if self.category_weights is None else self._category_rows(items, self.category_weights),
            brands=np.array([self.brand_codes.get(_brand(item), -1) for item in items], np.int32)
            if self.brand_codes
            else None,
            log_price=None if self.price is None else _log(_column(self.price, items)),
            numbers=np.stack(units, axis=1).astype(np.float32) if units else None,
        )

    def _category_rows(self, items: Sequence[Item], weights: np.ndarray) -> np.ndarray:
        rows = np.full((len(items), CATEGORY_LIMIT), -1, np.int32)
        codes = self.category_codes
        for row, item in enumerate(items):
            own = {codes[name, value] for name, value, _ in _pairs(item) if (name, value) in codes}
            # The commonest first: they are the ones that other items share.
            first = sorted(own, key=lambda code: (weights[code], code))[:CATEGORY_LIMIT]
            rows[row, : len(first)] = first
        return rows


def _categories(items: Sequence[Item]) -> tuple[Mapping[tuple[str, str], int], np.ndarray | None]:
    """Returns the codes, and the weight of each, log(n / items that have it)."""
    values = [_pairs(item) for item in items]
    by_name: dict[str, set[str]] = {}
    for found in values:
        for name, value, _ in found:
            by_name.setdefault(name, set()).add(value)
    few = {name for name, distinct in by_name.items() if len(distinct) <= max(2, len(items) // 10)}
    carried = Counter((name, value) for found in values for name, value, listed in found if listed or name in few)
    shared = sorted(pair for pair, count in carried.items() if 1 < count < len(items))
    if not shared:
        return {}, None
    weights = np.array([np.log(len(items) / carried[pair]) for pair in shared], np.float32)
    return {pair: code for code, pair in enumerate(shared)}, weights


def _pairs(item: Item) -> list[tuple[str, str, bool]]:
    """Returns (attribute, value, whether it is of a list) of the item's words, its brand left out."""
    pairs = []
    for name, value in item.attributes.items():
        if isinstance(value, tuple):
            pairs += [(name, entry, True) for entry in value]
        elif isinstance(value, str) and name.lower() != _BRAND:
            pairs.append((name, value, False))
    return pairs


def _brand(item: Item) -> str:
    found = (v for k, v in item.attributes.items() if k.lower() == _BRAND and isinstance(v, str))
    return next(found, "")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _column(name: str, items: Sequence[Item]) -> np.ndarray:
    """Returns float64[m], a number attribute, NaN where an item has none."""
    values = [item.attributes.get(name) for item in items]
    return np.array([value if _is_number(value) else np.nan for value in values], np.float64)


def _log(prices: np.ndarray) -> np.ndarray:
    """Returns float32 log prices; what is not above 0 is not a price."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(prices > 0, np.log(prices), np.nan).astype(np.float32)


def _unit(name: str, values: np.ndarray) -> NumberUnit:
    middle = float(np.nanmedian(values))
    spread = float(np.nanmean(np.abs(values - middle)))
    return NumberUnit(name, middle, spread or 1.0)
