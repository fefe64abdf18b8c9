"""The catalogue of a release with what changed since, at one moment."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from core.kept_masks import OfLastMask, joined
from core.retrieval.source import SourceScores
from core.row_order import RowOrder
from core.scaling import Population
from core.vectors import ROUNDING, products, top_rows
from domain.condition import Condition
from domain.item import AttributeType, Item
from server.catalogue.availability import UnavailableItems
from server.catalogue.conditions import check_conditions
from server.catalogue.segment import LiveSegment, SegmentView, StoredItem

_NUMERIC = (AttributeType.NUMBER, AttributeType.TIMESTAMP)


@dataclass(frozen=True)
class LiveCatalogue:
    """Items by row at one moment. A row stands for the same item as long as its release is loaded.

    Attributes:
        segment: what changed.
        view: the moment.
        mean: float32[d], mean vector of the release's items.
        now_s: returns the time, in seconds since 1970.
    """

    segment: LiveSegment
    view: SegmentView
    mean: np.ndarray
    now_s: Callable[[], float] = field(default=time.time)

    @property
    def attribute_types(self) -> Mapping[str, AttributeType]:
        """See `Catalogue.attribute_types`."""
        return self.view.types

    @cached_property
    def order(self) -> RowOrder:
        """Order of rows with equal scores: by item id."""
        return RowOrder(len(self.segment.base.items), self.segment.id_of)

    @cached_property
    def numbers(self) -> Mapping[str, np.ndarray]:
        """See `Catalogue.numbers`; each attribute is put together when it is asked for."""
        return _Numbers(self)

    def rows_of(self, item_ids: Iterable[str]) -> dict[str, int]:
        """See `Catalogue.rows_of`."""
        rows = {item_id: row for item_id in item_ids if (row := self.segment.row_of(item_id)) is not None}
        return {item_id: row for item_id, row in rows.items() if self._exists(row)}

    def ids_of(self, rows: Sequence[int]) -> list[str]:
        """See `Catalogue.ids_of`."""
        return [self.segment.id_of(row) for row in rows]

    def items_of(self, rows: Sequence[int]) -> list[Item]:
        """See `Catalogue.items_of`; of a deleted item only the id is left."""
        return [self.state_of(row).item or Item(self.segment.id_of(row), "", "") for row in rows]

    def state_of(self, row: int) -> StoredItem:
        """Returns an item with its version."""
        entry = int(self.view.items.entries_of(np.asarray([row]))[0])
        return self.segment.stored(entry) if entry >= 0 else StoredItem(self.segment.base.items.item(row), 0)

    @property
    def is_remote(self) -> bool:
        """See `Catalogue.is_remote`."""
        return False

    @cached_property
    def item_count(self) -> int:
        """Items that exist."""
        return len(self.segment.base.items) - self.view.items.changed_count + len(self.entries)

    def rows_from(self, first: int, *, changed_only: bool) -> Iterator[int]:
        """Yields the rows of items that exist, in their order, from a row on."""
        if changed_only:
            changed = np.sort(self.view.items.rows_of_entries(self.entries))
            yield from changed[np.searchsorted(changed, first) :].tolist()
            return
        for row in range(first, self.view.row_count):
            if self._exists(row):
                yield row

    def vectors_of(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """See `Catalogue.vectors_of`."""
        places = np.asarray(rows, dtype=np.int64)
        entries = self.view.vectors.entries_of(places)
        content, known = self.segment.base.content, entries < 0
        if known.all():
            vectors: np.ndarray = np.take(content.vectors, places, axis=0)
            vectors[content.silent[places]] = 0
            return vectors
        vectors = np.empty((len(places), content.vectors.shape[1]), np.float32)
        vectors[known] = np.where(content.silent[places[known], None], 0, content.vectors[places[known]])
        vectors[~known] = self.view.stored.take(entries[~known])
        return vectors

    def search(self, query: np.ndarray, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Catalogue.search`; the graph finds what it knows, what changed is compared one by one.

        Args:
            query: float32[d].
            count: how many.
            blocked: bool[n]; rows beyond its end are blocked too.
        """
        moment, stored = self.view.vectors, self.view.stored
        found = []
        if stored.merged is None or not stored.merged.covers_base:
            found.append(self.segment.base.content.search(query, count, self._unmoved.of(blocked)))
        if stored.merged is not None:
            found.append(stored.merged.search(query, count, blocked, moment, self.order))
        entries = self._compared_entries
        rows = moment.rows_of_entries(entries)
        allowed = rows < len(blocked)
        allowed[allowed] = ~blocked[rows[allowed]]
        if allowed.any():
            found.append(stored.search_tail(query, count, entries[allowed], rows[allowed], moment.end, self.order))
        if len(found) == 1:
            return found[0]
        every, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        scores = self._with_equals(query, every, scores)
        return top_rows(scores, every, count, self.order)

    def scores(self, query: np.ndarray, rows: np.ndarray, population: Population) -> SourceScores:
        """Returns inner products of rows as `VectorStore.scores`; moments are those of the release's items."""
        content = self.segment.base.content
        scaler = population.moments(content.vectors, content.silent).scaler(query)
        vectors = self.vectors_of(rows)
        scores = np.where(vectors.any(axis=1), products(vectors, query), -np.inf)
        return SourceScores(scores.astype(np.float32), scaler)

    def blocked_by(self, conditions: Sequence[Condition]) -> np.ndarray:
        """See `Catalogue.blocked_by`; also items outside the time in which they are available."""
        check_conditions(conditions, self.view.types)
        blocked = self._unavailable.at(self.now_s())
        for condition in conditions:
            blocked = blocked | self._failing(condition)
        return blocked

    @cached_property
    def _unavailable(self) -> UnavailableItems:
        return UnavailableItems(self.segment.unavailable.at(self.view.items), self.view.types, self.numbers)

    @cached_property
    def _unmoved(self) -> OfLastMask[np.ndarray]:
        """Rows of the release that are blocked, or whose vectors changed."""
        count = len(self.segment.base.items)
        moment = self.view.vectors

        def barred(blocked: np.ndarray) -> np.ndarray:
            if not moment.changed_count:
                return blocked[:count]
            return joined(blocked[:count], self.segment.moved.at(moment)[:count])

        return OfLastMask(barred)

    def first_seen_s(self, of_release: np.ndarray) -> np.ndarray:
        """Returns float64[rows], when each item appeared, seconds since 1970; NaN where that is unknown.

        Args:
            of_release: float64[n], of the release's items; an item that a change added before the release had it
                appeared with the change.
        """
        seen = np.full(self.view.row_count, np.nan)
        seen[: len(of_release)] = of_release
        times = self.segment.first_seen_s.array[self.entries]
        known = ~np.isnan(times)
        seen[self.view.items.rows_of_entries(self.entries)[known]] = times[known]
        return seen

    @cached_property
    def unreadable(self) -> np.ndarray:
        """bool[n], items whose text the encoder cannot read."""
        silent = np.zeros(self.view.row_count, bool)
        base = self.segment.base.content.silent
        silent[: len(base)] = base & ~self.segment.moved.at(self.view.vectors)[: len(base)]
        entries = self.view.vectors.every_alive()
        silent[self.view.vectors.rows_of_entries(entries)] = self.segment.silent.array[entries]
        return silent

    @cached_property
    def _compared_entries(self) -> np.ndarray:
        """int64[m], the vectors that count, say something, and were not merged."""
        moment = self.view.vectors
        entries = moment.alive(np.arange(min(self.view.stored.start, moment.end), moment.end))
        found: np.ndarray = entries[~self.segment.silent.array[entries]]
        return found

    @cached_property
    def entries(self) -> np.ndarray:
        """int64[m], the entries of changed items that exist."""
        return self.view.items.every_alive()

    def _with_equals(self, query: np.ndarray, rows: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Returns float32[m], scores of which those of equal vectors are equal, wherever these were found."""
        best = np.argsort(-scores)
        close = np.flatnonzero(scores[best[:-1]] - scores[best[1:]] <= ROUNDING)
        if not len(close):
            return scores
        places = best[np.union1d(close, close + 1)]
        equal = scores.copy()
        equal[places] = products(self.vectors_of(rows[places]), query)
        return equal

    def _failing(self, condition: Condition) -> np.ndarray:
        """Returns bool[n], rows that fail a condition."""
        base = self.segment.base.items.met(condition)
        failing = np.ones(self.view.row_count, bool)
        failing[: len(base)] = base if condition.negate else ~base
        entries = self.entries
        met = self.segment.columns.met(condition, self.view.items.end)
        failing[self.view.items.rows_of_entries(entries)] = ~met[entries]
        return failing

    def _exists(self, row: int) -> bool:
        if row >= self.view.row_count:
            return False
        entry = int(self.view.items.entries_of(np.asarray([row]))[0])
        return entry < 0 or self.segment.stored(entry).item is not None


class _Numbers(Mapping[str, np.ndarray]):
    """Numbers of all items by attribute."""

    def __init__(self, catalogue: LiveCatalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        found = self._known.get(name)
        if found is None:
            if self._catalogue.view.types.get(name) not in _NUMERIC:
                raise KeyError(name)
            found = self._known[name] = self._put_together(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return (name for name, kind in self._catalogue.view.types.items() if kind in _NUMERIC)

    def __len__(self) -> int:
        return sum(kind in _NUMERIC for kind in self._catalogue.view.types.values())

    def _put_together(self, name: str) -> np.ndarray:
        catalogue, view = self._catalogue, self._catalogue.view.items
        numbers = np.full(view.row_count, np.nan)
        base = catalogue.segment.base.items.numbers.get(name)
        if base is not None:
            if not view.end and len(base) == len(numbers):
                return base
            numbers[: len(base)] = base
        changed = view.versions.rows.array[: view.end]
        numbers[changed] = np.nan
        entries = catalogue.entries
        numbers[view.rows_of_entries(entries)] = catalogue.segment.columns.numbers(name, entries)
        return numbers
