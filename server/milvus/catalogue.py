"""The catalogue seam on Milvus: vectors, attributes and details of a release's items in one collection."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import grpc
import numpy as np
import structlog
from pymilvus import DataType, MilvusClient, MilvusException

from core.retrieval.source import SourceScores
from core.scaling import Moments, Population
from core.vectors import ROUNDING, top_rows
from domain.condition import Condition, GeoRadius, Range
from domain.errors import StorageError, StoreUnavailable
from domain.item import AttributeType, AttributeValue, Item, item_from_json, item_to_json
from server.catalogue.availability import out_of_time
from server.catalogue.columns import rows_within
from server.catalogue.conditions import check_conditions
from server.catalogue.exact import exact_nearest
from server.milvus.expressions import ATTRIBUTES, expression, packed

# Milvus answers a query and a search with no more rows than this.
_MOST_ROWS = 16_384
_INSERT_ROWS = 500
# So many rows are named in an expression; more are left out of what comes back.
_MOST_NAMED = 1_000
# Milvus holds no larger value of a JSON field.
_MOST_JSON_BYTES = 65_536
_POPULATION_ROWS = 10_000
# A request waits no longer for one answer: a thread that searches waits with it.
_TIMEOUT_S = 5.0
_NUMERIC = (AttributeType.NUMBER, AttributeType.TIMESTAMP)


@dataclass(frozen=True)
class MilvusCatalogue:
    """The items of a release, in a collection that does not change. Any thread may ask.

    The ids, and whether an item is available, stay in memory; everything else is asked of Milvus.

    Attributes:
        client: of the Milvus.
        collection: its name.
        ids: by row.
        unavailable: bool[n].
        mean: float32[d], mean vector of the items.
        attribute_types: the release's.
    """

    client: MilvusClient
    collection: str
    ids: Sequence[str]
    unavailable: np.ndarray
    mean: np.ndarray
    attribute_types: Mapping[str, AttributeType]
    _moments: dict[int, tuple[Population, Moments]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_remote(self) -> bool:
        """See `Catalogue.is_remote`."""
        return True

    @property
    def item_count(self) -> int:
        """See `Catalogue.item_count`."""
        return len(self.ids)

    @cached_property
    def numbers(self) -> Mapping[str, np.ndarray]:
        """See `Catalogue.numbers`; each attribute is read when it is first asked for."""
        return _Numbers(self)

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        return {item_id: row for row, item_id in enumerate(self.ids)}

    def rows_of(self, item_ids: Iterable[str]) -> dict[str, int]:
        """See `Catalogue.rows_of`."""
        return {item_id: row for item_id in item_ids if (row := self._rows.get(item_id)) is not None}

    def ids_of(self, rows: Sequence[int]) -> list[str]:
        """See `Catalogue.ids_of`."""
        return [self.ids[row] for row in rows]

    def items_of(self, rows: Sequence[int]) -> list[Item]:
        """See `Catalogue.items_of`."""
        times = frozenset(name for name, kind in self.attribute_types.items() if kind is AttributeType.TIMESTAMP)
        found = self._by_row(rows, "item")
        return [item_from_json(found[row]["item"], times) for row in rows]

    def vectors_of(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """See `Catalogue.vectors_of`."""
        asked = [int(row) for row in rows]
        vectors = np.zeros((len(asked), len(self.mean)), np.float32)
        found = self._by_row(asked, "vector", "silent")
        for place, row in enumerate(asked):
            if not found[row]["silent"]:
                vectors[place] = found[row]["vector"]
        return vectors

    def search(self, query: np.ndarray, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Catalogue.search`; whatever exists is found.

        Few blocked or few allowed rows are named to Milvus; else more are asked for, and the blocked ones left out.
        """
        barred = np.flatnonzero(blocked)
        allowed = len(self.ids) - len(barred)
        if not allowed or count < 1:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if allowed <= _MOST_NAMED:
            return exact_nearest(self, query, count, np.flatnonzero(~blocked), _MOST_NAMED)
        named = f"silent == false and row not in {barred.tolist()}" if len(barred) <= _MOST_NAMED else "silent == false"
        wanted = min(count, allowed)
        fetched = wanted + 1 if len(barred) <= _MOST_NAMED else wanted * len(self.ids) // allowed + _MOST_NAMED
        while fetched <= _MOST_ROWS:
            rows, scores = self._nearest(query, min(fetched, len(self.ids)), named)
            kept = ~blocked[rows]
            best, found = top_rows(scores[kept], rows[kept], wanted)
            # Of items that score as the last one Milvus gives any.
            if len(rows) < fetched or (len(best) == wanted and scores[-1] < found[-1] - ROUNDING):
                return best, found
            fetched *= 4
        return exact_nearest(self, query, count, np.flatnonzero(~blocked), _MOST_NAMED)

    def scores(self, query: np.ndarray, rows: np.ndarray, population: Population) -> SourceScores:
        """Returns inner products of rows as `VectorStore.scores`; moments are those of a part of the population."""
        vectors = self.vectors_of(rows)
        scores = np.where(vectors.any(axis=1), vectors @ query, -np.inf)
        return SourceScores(scores.astype(np.float32), self._moments_of(population).scaler(query))

    def blocked_by(self, conditions: Sequence[Condition]) -> np.ndarray:
        """See `Catalogue.blocked_by`."""
        check_conditions(conditions, self.attribute_types)
        blocked: np.ndarray = self.unavailable.copy()
        for condition in conditions:
            met = self._met(condition)
            blocked |= met if condition.negate else ~met
        return out_of_time(blocked, self.attribute_types, self.numbers, time.time())

    def numbers_of(self, attribute: str) -> np.ndarray:
        """Returns float64[n], an attribute's numbers, or seconds since 1970; NaN where an item has none."""
        kind = "n" if self.attribute_types[attribute] is AttributeType.NUMBER else "t"
        numbers = np.full(len(self.ids), np.nan)
        for found in self._windows(expression(attribute, _HAS), (ATTRIBUTES,)):
            for one in found:
                numbers[one["row"]] = one[ATTRIBUTES][kind][attribute]
        return numbers

    def _met(self, condition: Condition) -> np.ndarray:
        """Returns bool[n], rows that pass a condition's test, which is not negated."""
        test = condition.test
        met = np.zeros(len(self.ids), bool)
        if isinstance(test, GeoRadius):
            places = self.numbers[condition.attribute], self.numbers[test.longitude_attribute]
            met[rows_within(test, *places)] = True
            return met
        for found in self._windows(expression(condition.attribute, test), ()):
            met[[one["row"] for one in found]] = True
        return met

    def _moments_of(self, population: Population) -> Moments:
        known = self._moments.get(id(population))
        if known is None or known[0] is not population:
            step = -(-len(population.rows) // _POPULATION_ROWS) or 1
            vectors = self.vectors_of(population.rows[::step].tolist())
            known = self._moments[id(population)] = (population, Moments.of(vectors[vectors.any(axis=1)]))
        return known[1]

    def _nearest(self, query: np.ndarray, count: int, wanted: str) -> tuple[np.ndarray, np.ndarray]:
        found = self._asked(self.client.search, [query.tolist()], limit=count, filter=wanted)[0]
        rows = np.asarray([one["row"] for one in found], np.int64)
        scores = np.asarray([one["distance"] for one in found], np.float32)
        return top_rows(scores, rows, count)

    def _by_row(self, rows: Sequence[int], *fields: str) -> dict[int, dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        distinct = sorted({int(row) for row in rows})
        for start in range(0, len(distinct), _MOST_NAMED):
            named = f"row in {distinct[start : start + _MOST_NAMED]}"
            for one in self._asked(self.client.query, filter=named, output_fields=["row", *fields]):
                found[one["row"]] = one
        return found

    def _windows(self, wanted: str, fields: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
        """Yields the rows that meet an expression, as many at a time as Milvus gives."""
        for start in range(0, len(self.ids), _MOST_ROWS):
            within = f"row >= {start} and row < {start + _MOST_ROWS} and ({wanted})"
            yield list(self._asked(self.client.query, filter=within, output_fields=["row", *fields], limit=_MOST_ROWS))

    def _asked(self, ask: Callable[..., Any], *what: object, **how: object) -> Any:  # noqa: ANN401 -- rows as dictionaries
        """Asks the collection.

        Raises:
            StoreUnavailable: Milvus does not answer in time, or refuses.
        """
        try:
            return ask(self.collection, *what, timeout=_TIMEOUT_S, **how)
        except (MilvusException, grpc.RpcError) as error:
            # Its text has the values that a caller asked for.
            structlog.get_logger("milvus").warning("Milvus did not answer", code=str(getattr(error, "code", "")))
            raise StoreUnavailable("the catalogue's Milvus does not answer; try again, or another replica") from error


class _Numbers(Mapping[str, np.ndarray]):
    """Numbers of all items by attribute, each read once."""

    def __init__(self, catalogue: MilvusCatalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if self._catalogue.attribute_types.get(name) not in _NUMERIC:
            raise KeyError(name)
        if name not in self._known:
            self._known[name] = self._catalogue.numbers_of(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, kind in self._catalogue.attribute_types.items() if kind in _NUMERIC)

    def __len__(self) -> int:
        return sum(kind in _NUMERIC for kind in self._catalogue.attribute_types.values())


_HAS = Range(None, None)


def fill(
    client: MilvusClient, collection: str, items: Iterable[tuple[Item, np.ndarray]], count: int, dimension: int
) -> None:
    """Makes a collection of a release's items; one that is there and whole is left as it is; blocking.

    Args:
        client: of the Milvus.
        collection: its name.
        items: by row, each with its vector float32[d], zeros where the encoder cannot read it.
        count: of the items.
        dimension: d.

    Raises:
        StorageError: Milvus refuses, or an item is larger than Milvus holds.
    """
    try:
        if client.has_collection(collection):
            if int(client.get_collection_stats(collection)["row_count"]) == count:
                client.load_collection(collection)
                return
            client.drop_collection(collection)
        _create(client, collection, dimension)
        turn: list[dict[str, object]] = []
        for row, (item, vector) in enumerate(items):
            turn.append(_row(row, item, vector))
            if len(turn) == _INSERT_ROWS or row == count - 1:
                client.insert(collection, turn)
                turn = []
        client.flush(collection)
        client.load_collection(collection)
    except MilvusException as error:
        raise StorageError(f"Milvus refuses the catalogue: {error.message}") from error


def _create(client: MilvusClient, collection: str, dimension: int) -> None:
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("silent", DataType.BOOL)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    schema.add_field(ATTRIBUTES, DataType.JSON)
    schema.add_field("item", DataType.JSON)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
    client.create_collection(collection, schema=schema, index_params=indexes)


def _row(row: int, item: Item, vector: np.ndarray) -> dict[str, object]:
    plain: Mapping[str, AttributeValue] = item.attributes
    columns = item_to_json(item)
    size = len(str(columns).encode("utf-8", "surrogatepass"))
    if size > _MOST_JSON_BYTES:
        raise StorageError(f'item "{item.id[:64]}" is {size:,} bytes; Milvus holds items of up to {_MOST_JSON_BYTES:,}')
    return {
        "row": row,
        "silent": not vector.any(),
        "vector": vector.tolist(),
        ATTRIBUTES: packed(plain),
        "item": columns,
    }
