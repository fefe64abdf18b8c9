"""New items, for a caller of whom nothing is known."""

import re
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from core.retrieval.source import SourceQuery, SourceScores
from core.scaling import Population
from domain.item import AttributeType
from domain.recommendation import Source

_SAYS_WHEN = re.compile(r"(^|_)(year|date|released|published|created|added)(_|$)")
_YEARS = (1850.0, 2200.0)


class FreshSource:
    """Items by how new they are."""

    name: ClassVar[str] = Source.FRESH.value

    def __init__(self, since: np.ndarray) -> None:
        """Takes float64[n], larger for newer items; NaN where it is unknown."""
        known = np.flatnonzero(~np.isnan(since))
        order = known[np.lexsort((known, -since[known]))]
        self._rows = order
        self._shares = np.full(len(since), -np.inf, np.float32)
        self._shares[order] = 1 - np.arange(len(order), dtype=np.float32) / max(len(order), 1)

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True where the query has nothing that another source goes by."""
        return query.is_empty and len(self._rows) > 0

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; scores fall from 1 for the newest to 0."""
        rows = self._rows[~blocked[self._rows]][:count]
        return rows, self._shares[rows]

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`."""
        return SourceScores.of_catalogue(self._shares, rows, population)


def since(types: Mapping[str, AttributeType], numbers: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Returns the numbers by which items are new or old; None where no attribute says when.

    Args:
        types: of the attributes.
        numbers: float64[n] by number or timestamp attribute, NaN where absent.
    """
    for name in sorted(numbers, key=lambda name: (types[name] is not AttributeType.TIMESTAMP, name)):
        values = numbers[name]
        known = values[~np.isnan(values)]
        if not len(known):
            continue
        if types[name] is AttributeType.TIMESTAMP:
            return values
        if _SAYS_WHEN.search(name.casefold()) and known.min() >= _YEARS[0] and known.max() <= _YEARS[1]:
            return values
    return None
