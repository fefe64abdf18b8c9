"""Every catalogue behind the seam answers as a dictionary with brute force does: the same suite for each of them."""

import json
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest

from core.retrieval.lexical_match import LexicalIndex
from core.retrieval.vector_store import VectorStore
from domain.condition import AnyNumber, AnyOf, Condition, Equals, Exists, GeoRadius, Range, TimeRange
from domain.errors import InvalidRequest
from domain.item import AttributeType, Item, item_to_json
from domain.timestamp import Timestamp, parse_timestamp
from server.catalogue.catalogue import Catalogue, ReleaseCatalogue
from server.catalogue.change import Change
from server.catalogue.item_table import ItemTable
from server.catalogue.live_catalogue import LiveCatalogue
from server.catalogue.merge import MergeLimits, Merger, with_merged
from server.catalogue.segment import BaseSegment, LiveSegment
from tests.support.dict_catalogue import DictCatalogue

COUNT, WIDTH = 60, 8
NOW_S = int(time.time())
TYPES = {
    "price": AttributeType.NUMBER,
    "kind": AttributeType.STRING_LIST,
    'odd "name\\': AttributeType.STRING,
    "vegan": AttributeType.BOOLEAN,
    "since": AttributeType.TIMESTAMP,
    "lat": AttributeType.NUMBER,
    "lon": AttributeType.NUMBER,
    "available_from": AttributeType.TIMESTAMP,
    "available_until": AttributeType.TIMESTAMP,
}


def made_items():
    """Items in the order of their ids, some of them without an attribute."""
    random = np.random.default_rng(5)
    items = []
    for row in range(COUNT):
        values = {
            "price": float(row) / 4,
            "kind": ("Jazz", "rock") if row % 2 else ('qu"o\\te', "straße", "🎷"),
            'odd "name\\': f"v{row % 3}",
            "vegan": row % 3 == 0,
            "since": parse_timestamp(f"2026-01-{row % 28 + 1:02}T00:00:00.5Z"),
            "lat": 48.0 + row / 10,
            "lon": 11.0,
        }
        kept = {name: value for name, value in values.items() if random.random() < 0.8}
        if row % 10 == 3:
            kept["available_from"] = Timestamp.of(NOW_S + (3_600 if row % 20 == 3 else -3_600), 0)
        if row % 10 == 4:
            kept["available_until"] = Timestamp.of(NOW_S + (3_600 if row % 20 == 4 else -3_600), 0)
        items.append(Item(f"item/{row:02} ü", f"title {row}", "text", row % 7 != 0, kept))
    return items


def made_vectors():
    """Unit vectors: some are zero, of what the encoder cannot read, and some are equal."""
    vectors = np.random.default_rng(6).normal(size=(COUNT, WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[5::8] = vectors[5]
    vectors[::9] = 0
    return vectors


def release_of(folder, items, vectors):
    folder.mkdir()
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps(item_to_json(item)) + "\n" for item in items))
    content = VectorStore(vectors, ~vectors.any(axis=1))
    return ReleaseCatalogue(ItemTable(path, TYPES), content, vectors.mean(axis=0))


def live_of(folder, items, vectors, *, merged):
    """A live catalogue whose release has other items; what is asked for came by changes, in another order."""
    even = [*range(0, COUNT, 2)]
    first = [replace(items[row], title="before", attributes={"price": 1e6}) for row in even]
    gone = Item("item/zz", "to be deleted", "", True, {"price": 1.0, "kind": ("Jazz",)})
    began = release_of(folder, [*first, gone], np.stack([*vectors[even], vectors[1]]))
    LexicalIndex.build(folder / "lexical", [*first, gone])
    segment = LiveSegment(BaseSegment(began.items, began.content, LexicalIndex.load(folder / "lexical")))
    segment.apply(Change("new and gone", 1, replace(gone, id="new and gone"), vector=vectors[2]))
    changed = np.random.default_rng(8).permutation(COUNT).tolist()
    for number, row in enumerate(changed):
        # An edit keeps the vector of the release.
        vector = None if row % 4 == 0 else vectors[row]
        segment.apply(Change(items[row].id, number + 2, items[row], vector=vector))
        if merged and number == COUNT // 2:
            moment = LiveCatalogue(segment, segment.view(), vectors.mean(axis=0))
            made = Merger(folder / "merged", MergeLimits()).merged(moment, "add")
            segment.vectors = with_merged(segment.vectors, made)
    for item_id in ("item/zz", "new and gone"):
        segment.apply(Change(item_id, 1_000, None))
    return LiveCatalogue(segment, segment.view(), vectors.mean(axis=0))


def milvus_of(folder, items, vectors):
    pymilvus = pytest.importorskip("pymilvus", reason="no pymilvus; the extra milvus brings it")
    pytest.importorskip("milvus_lite", reason="no milvus-lite; the extra milvus brings it")
    from server.milvus.catalogue import MilvusCatalogue, fill

    folder.mkdir()
    client = pymilvus.MilvusClient(str(folder / "shop.db"))
    fill(client, "shop", list(zip(items, vectors, strict=True)), COUNT, WIDTH)
    unavailable = np.asarray([not item.available for item in items])
    return MilvusCatalogue(client, "shop", [item.id for item in items], unavailable, vectors.mean(axis=0), TYPES)


KINDS = {
    "dictionary": lambda folder, items, vectors: dict_of(items, vectors),
    "release": release_of,
    "live": lambda *parts: live_of(*parts, merged=False),
    "live, merged": lambda *parts: live_of(*parts, merged=True),
    "milvus": milvus_of,
    # As a large catalogue is searched: neither what is blocked nor what is allowed is named.
    "milvus, few named": milvus_of,
}


def dict_of(items, vectors):
    entries = {item.id: (item, vector if vector.any() else None) for item, vector in zip(items, vectors, strict=True)}
    return DictCatalogue(entries, TYPES)


@dataclass(frozen=True)
class Pair:
    """A catalogue, and the dictionary that says what is right; rows mean other items in each."""

    catalogue: Catalogue
    oracle: DictCatalogue
    items: list

    def allowed(self, conditions):
        """The ids that conditions leave, by the catalogue and by the dictionary."""
        return self.ids(~self.catalogue.blocked_by(conditions)), set(
            self.oracle.ids_of(np.flatnonzero(~self.oracle.blocked_by(conditions)))
        )

    def ids(self, mask):
        return set(self.catalogue.ids_of(np.flatnonzero(mask).tolist()))

    def barred(self, ids):
        """The masks of some ids, and of what does not exist, by the catalogue and by the dictionary."""
        every = self.catalogue.blocked_by(())
        own = np.ones(len(every), bool)
        own[[row for item_id, row in self.catalogue.rows_of(self.oracle.ids_of(range(COUNT))).items()]] = False
        own[list(self.catalogue.rows_of(ids).values())] = True
        brute = np.zeros(COUNT, bool)
        brute[list(self.oracle.rows_of(ids).values())] = True
        return own, brute


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    items, vectors = made_items(), made_vectors()
    made = KINDS[request.param](tmp_path_factory.mktemp("catalogue") / "folder", items, vectors)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "milvus, few named":
            patch.setattr("server.milvus.catalogue._MOST_NAMED", 4)
        yield Pair(made, dict_of(items, vectors), items)
    if "milvus" in request.param:
        made.client.close()


TESTS = [
    ("price", Range(2.0, 5.0)),
    ("price", Range(None, 3.25)),
    ("price", Range(None, None)),
    ("price", AnyNumber(frozenset({1.0, 2.5, 99.0}))),
    ("kind", AnyOf(frozenset({"Jazz"}))),
    ("kind", AnyOf(frozenset({"jazz"}))),
    ("kind", AnyOf(frozenset({"JAZZ", "STRASSE"}), ignore_case=True)),
    ("kind", AnyOf(frozenset({'qu"o\\te'}))),
    ("kind", AnyOf(frozenset({"🎷"}))),
    ("kind", AnyOf(frozenset({'x") or row >= 0 or json_contains(attributes["s"]["kind"], "Jazz', "'", "\n\\"}))),
    ("kind", AnyOf(frozenset())),
    ('odd "name\\', AnyOf(frozenset({"v1", "v2"}))),
    ("vegan", Equals(True)),
    ("vegan", Equals(False)),
    ("since", TimeRange((parse_timestamp("2026-01-05T00:00:00.5Z").seconds, 500_000_000), None)),
    ("since", TimeRange(None, (parse_timestamp("2026-01-05T00:00:00.5Z").seconds, 499_999_999))),
    ("price", Exists()),
    ("kind", Exists(False)),
    ("lat", GeoRadius("lon", 49.0, 11.0, 80.0)),
]


@pytest.mark.parametrize(("attribute", "test"), TESTS)
@pytest.mark.parametrize("negate", [False, True])
def test_a_condition_leaves_what_meets_it(pair, attribute, test, negate):
    found, expected = pair.allowed([Condition(attribute, test, negate)])
    assert found == expected


def test_without_conditions_what_is_available_now_is_left(pair):
    found, expected = pair.allowed(())
    assert found == expected
    assert len(found) < sum(item.available for item in pair.items)


def test_several_conditions_are_all_met(pair):
    conditions = [Condition("price", Range(1.0, 12.0)), Condition("kind", AnyOf(frozenset({"rock"})), negate=True)]
    found, expected = pair.allowed(conditions)
    assert found == expected and len(found) > 3


def test_a_mask_of_conditions_is_the_callers_own(pair):
    conditions = [Condition("price", Exists())]
    pair.catalogue.blocked_by(conditions)[:] = True
    found, expected = pair.allowed(conditions)
    assert found == expected and found


@pytest.mark.parametrize(
    ("attribute", "test"), [("nowhere", Exists()), ("price", AnyOf(frozenset({"7"}))), ("kind", Range(1.0, None))]
)
def test_a_condition_that_does_not_fit_is_refused(pair, attribute, test):
    with pytest.raises(InvalidRequest, match=attribute):
        pair.catalogue.blocked_by([Condition(attribute, test)])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_search_is_brute_force(pair, share):
    random = np.random.default_rng(7)
    ids = [item.id for item in pair.items]
    for count in (1, 5, 20, 100):
        query = random.normal(size=WIDTH).astype(np.float32)
        own, brute = pair.barred([item_id for item_id in ids if random.random() < share])
        rows, scores = pair.catalogue.search(query, count, own)
        expected, expected_scores = pair.oracle.search(query, count, brute)
        assert pair.catalogue.ids_of(rows.tolist()) == pair.oracle.ids_of(expected)
        assert scores == pytest.approx(expected_scores, abs=1e-5)


def test_equal_vectors_stand_by_id_at_any_length(pair):
    query = made_vectors()[5]
    own, brute = pair.barred([])
    expected = pair.oracle.ids_of(pair.oracle.search(query, 12, brute)[0])
    for count in range(1, 13):
        assert pair.catalogue.ids_of(pair.catalogue.search(query, count, own)[0].tolist()) == expected[:count]


def test_a_search_after_a_filter_finds_what_exists(pair):
    for attribute, test in TESTS[:6]:
        condition = [Condition(attribute, test)]
        rows, _ = pair.catalogue.search(made_vectors()[1], COUNT, pair.catalogue.blocked_by(condition))
        found, _ = pair.oracle.search(made_vectors()[1], COUNT, pair.oracle.blocked_by(condition))
        assert pair.catalogue.ids_of(rows.tolist()) == pair.oracle.ids_of(found)


def test_items_vectors_ids_and_numbers(pair):
    ids = [pair.items[place].id for place in (3, 0, 9, COUNT - 1, 5)]
    assert pair.catalogue.item_count == COUNT
    found = pair.catalogue.rows_of([*ids, "nobody", "item/zz", "new and gone"])
    assert found.keys() == set(ids)
    rows = [found[item_id] for item_id in (*ids, ids[0])]
    places = list(pair.oracle.rows_of(ids).values())
    assert pair.catalogue.ids_of(rows) == [*ids, ids[0]]
    assert pair.catalogue.items_of(rows) == pair.oracle.items_of([*places, places[0]])
    assert np.allclose(pair.catalogue.vectors_of(rows), pair.oracle.vectors_of([*places, places[0]]))
    assert np.allclose(pair.catalogue.mean, pair.oracle.mean, atol=1e-6)
    assert dict(pair.catalogue.attribute_types) == TYPES
    assert set(pair.catalogue.numbers) == {name for name in pair.oracle.numbers}
    for name, numbers in pair.oracle.numbers.items():
        assert np.array_equal(pair.catalogue.numbers[name][rows[:-1]], numbers[places], equal_nan=True)
    with pytest.raises(KeyError):
        pair.catalogue.numbers["kind"]
