"""Facts of items that changed, or came, after a release was built: read like its arrays."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from core.ranking.item_coder import CodedItems
from core.ranking.item_facts import ItemFacts
from core.retrieval.source import known_rows
from domain.item import Item


class _Rows:
    """Stand-in for an array that is read by rows alone."""

    def __init__(self, count: int, read: Callable[[np.ndarray], np.ndarray], width: int | None = None) -> None:
        self._count = count
        self._read = read
        self.shape = (count,) if width is None else (count, width)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, key: Any) -> np.ndarray:  # noqa: ANN401 -- rows, or rows and what numpy adds to them
        if isinstance(key, tuple):
            found: np.ndarray = self[key[0]][(slice(None), *key[1:])]
            return found
        return self._read(np.asarray(key, np.int64))


def live_facts(
    facts: ItemFacts,
    count: int,
    vectors_of: Callable[[Sequence[int]], np.ndarray],
    changed_items: Callable[[np.ndarray], tuple[np.ndarray, list[Item]]],
) -> ItemFacts:
    """Returns the facts of a catalogue that goes on from a release's.

    Args:
        facts: of the release's items.
        count: rows of the catalogue.
        vectors_of: returns float32[m, d] of rows.
        changed_items: returns which of int64[m] rows changed, bool[m], and the items of those.
    """

    def array(read: Callable[[np.ndarray], np.ndarray], width: int | None = None) -> np.ndarray:
        return cast(np.ndarray, _Rows(count, read, width))

    def trained(name: str, default: float) -> np.ndarray | None:
        values: np.ndarray | None = getattr(facts, name)
        if values is None:
            return None
        return array(lambda rows: known_rows(values, rows, default), values.shape[1] if values.ndim > 1 else None)

    def coded(name: str, default: float) -> np.ndarray | None:
        values: np.ndarray | None = getattr(facts, name)
        coder = facts.coder
        if values is None or coder is None:
            return trained(name, default)

        def read(rows: np.ndarray) -> np.ndarray:
            found = known_rows(values, rows, default)
            changed, items = changed_items(rows)
            if items:
                fresh: CodedItems = coder.coded(items)
                found[changed] = getattr(fresh, name)
            return found

        return array(read)

    least = 0.0 if facts.log_popularity is None else float(facts.log_popularity.min())
    return replace(
        facts,
        count=count,
        vectors=None
        if facts.vectors is None
        else array(lambda rows: vectors_of(rows.tolist()), int(facts.vectors.shape[1])),
        tower_vectors=trained("tower_vectors", 0.0),
        neighbour_rows=trained("neighbour_rows", -1),
        neighbour_weights=trained("neighbour_weights", 0.0),
        transition_rows=trained("transition_rows", -1),
        transition_weights=trained("transition_weights", 0.0),
        log_popularity=trained("log_popularity", least),
        aspects=trained("aspects", 0.0),
        categories=coded("categories", -1),
        brands=coded("brands", -1),
        log_price=coded("log_price", np.nan),
        numbers=coded("numbers", np.nan),
    )
