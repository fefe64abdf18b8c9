"""A second implementation of the catalogue seam: a dictionary of items and brute force."""

import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from core.retrieval.source import SourceScores
from core.scaling import Population, ScoreScaler
from domain.condition import Condition, meets
from domain.item import AttributeType, Item
from domain.timestamp import Timestamp
from server.catalogue.conditions import check_conditions


class DictCatalogue:
    """Items by id with their vectors, None where nothing is known; rows are places in the dictionary."""

    def __init__(self, entries: Mapping[str, tuple[Item, np.ndarray | None]], attributes: Mapping[str, AttributeType]):
        self._entries = dict(entries)
        self._ids = list(entries)
        self.attribute_types = attributes
        known = [vector for _, vector in entries.values() if vector is not None]
        self.mean = np.mean([np.zeros(len(known[0])) if v is None else v for _, v in entries.values()], axis=0)

    is_remote = False

    @property
    def item_count(self) -> int:
        return len(self._ids)

    def rows_of(self, item_ids: Iterable[str]) -> dict[str, int]:
        return {item_id: self._ids.index(item_id) for item_id in item_ids if item_id in self._entries}

    def ids_of(self, rows: Sequence[int]) -> list[str]:
        return [self._ids[row] for row in rows]

    def items_of(self, rows: Sequence[int]) -> list[Item]:
        return [self._entries[self._ids[row]][0] for row in rows]

    def vectors_of(self, rows: Sequence[int]) -> np.ndarray:
        width = len(self.mean)
        vectors = [self._entries[self._ids[row]][1] for row in rows]
        stacked = [np.zeros(width, np.float32) if vector is None else vector for vector in vectors]
        return np.asarray(stacked, np.float32).reshape(len(rows), width)

    def search(self, query: np.ndarray, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scored = [
            (-float(vector @ query), row)
            for row, (_, vector) in enumerate(self._entries.values())
            if vector is not None and not blocked[row]
        ]
        best = sorted(scored)[:count]
        return np.array([row for _, row in best], np.int64), np.array([-score for score, _ in best], np.float32)

    @property
    def numbers(self) -> Mapping[str, np.ndarray]:
        return {
            name: np.array([_number(item.attributes.get(name)) for item, _ in self._entries.values()])
            for name, kind in self.attribute_types.items()
            if kind in (AttributeType.NUMBER, AttributeType.TIMESTAMP)
        }

    def blocked_by(self, conditions: Sequence[Condition]) -> np.ndarray:
        check_conditions(conditions, self.attribute_types)
        now_s = time.time()
        return np.array(
            [
                not item.available
                or not all(meets(condition, item.attributes) for condition in conditions)
                or _number(item.attributes.get("available_from")) > now_s
                or _number(item.attributes.get("available_until")) <= now_s
                for item, _ in self._entries.values()
            ]
        )

    def scores(self, query: np.ndarray, rows: np.ndarray, population: Population) -> SourceScores:
        """As the content vectors of the semantic sources."""
        all_scores = [-np.inf if v is None else float(v @ query) for _, v in self._entries.values()]
        known = [all_scores[row] for row in population.rows if np.isfinite(all_scores[row])]
        mean, spread = float(np.mean(known)), float(np.std(known))
        return SourceScores(
            np.array([all_scores[row] for row in rows], np.float32), ScoreScaler(mean, spread, mean - 3 * spread)
        )


def _number(value):
    """A number, or an instant in seconds; NaN, which passes no comparison, for none."""
    if value is None:
        return np.nan
    return float(value.seconds if isinstance(value, Timestamp) else value)
