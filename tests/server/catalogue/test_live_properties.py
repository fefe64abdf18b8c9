"""A live catalogue against a dictionary and brute force, by random operations."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from core.retrieval.lexical_document import ItemTerms
from core.retrieval.lexical_match import LexicalIndex
from core.retrieval.live_lexical import LiveLexicalIndex
from core.row_order import RowOrder
from core.text.analysis import analyze
from domain.condition import AnyNumber, AnyOf, Condition, Exists, GeoRadius, Range, meets
from server.catalogue.change import digest_of
from server.catalogue.draft import Deletion, Edit, Outcome, Upsert
from server.catalogue.merge import MergeLimits
from server.catalogue.segment import LiveSegment
from server.catalogue.store import CatalogueStore
from tests.support.small_base import WIDTH, embedding, random_item, read_base, vector_of, write_base

CLIENTS = 16
OPERATIONS = int(os.environ.get("SHORTLIST_TEST_OPERATIONS", "1000"))
CONDITIONS = (
    Condition("price", Range(10, 30)),
    Condition("price", Range(None, 12), negate=True),
    Condition("price", AnyNumber(frozenset({3.0, 7.0}))),
    Condition("price", Exists()),
    Condition("lat", GeoRadius("lon", 20.0, 175.0, 6_000.0)),
    Condition("lat", GeoRadius("lon", -80.0, 0.0, 9_000.0), negate=True),
    Condition("kind", AnyOf(frozenset({"k1", "k3"}))),
    Condition("kind", AnyOf(frozenset({"K1"}), ignore_case=True), negate=True),
    Condition("kind", Exists(False)),
    Condition("tags", AnyOf(frozenset({"t0", "t1"}))),
)


class Model:
    """The dictionary: item, version and the text that the vector was made from, by id."""

    def __init__(self, items):
        self.items = {item.id: (item, 0, item.title) for item in items}
        self.versions = {}

    def apply(self, draft):  # noqa: PLR0911 -- one for each outcome
        item, version, text = self.items.get(draft.item_id, (None, self.versions.get(draft.item_id, 0), ""))
        if draft.version is not None and draft.version <= version:
            return Outcome.UNCHANGED
        after = version + 1 if draft.version is None else draft.version
        if isinstance(draft, Deletion):
            if item is None and draft.version is None:
                return Outcome.UNCHANGED
            self.items.pop(draft.item_id, None)
            self.versions[draft.item_id] = after
            return Outcome.APPLIED
        if isinstance(draft, Upsert):
            self.items[draft.item_id] = (draft.item, after, draft.item.title)
            return Outcome.APPLIED
        if item is None:
            return Outcome.REFUSED
        attributes = {k: v for k, v in item.attributes.items() if k not in draft.removed} | dict(draft.attributes)
        available = item.available if draft.available is None else draft.available
        edited = replace(item, attributes=attributes, available=available)
        if edited == item and draft.version is None:
            return Outcome.UNCHANGED
        self.items[draft.item_id] = (edited, after, text)
        return Outcome.APPLIED


def random_draft(rng, ids):
    item_id = ids[rng.integers(0, len(ids))]
    version = int(rng.integers(1, 40)) if rng.random() < 0.3 else None
    kind = rng.random()
    if kind < 0.2:
        return Deletion(item_id, version)
    if kind < 0.35:
        return Edit(item_id, version, available=bool(rng.random() < 0.5))
    if kind < 0.5:
        removed = ("kind",) if rng.random() < 0.3 else ()
        return Edit(item_id, version, attributes={"price": float(rng.integers(0, 50))}, removed=removed)
    item = random_item(rng, item_id)
    return Upsert(item, version, digest_of(item.title), vector_of(item.title), "encoder", ItemTerms.of(item))


def compare(catalogue, model, rng):
    """Compares everything that a request asks of a catalogue."""
    rows = catalogue.rows_of([*model.items, "never"])
    assert rows.keys() == model.items.keys()
    assert catalogue.item_count == len(rows)
    listed = list(catalogue.rows_from(0, changed_only=False))
    assert sorted(rows.values()) == listed
    places = list(rows.values())
    assert catalogue.ids_of(places) == list(rows)
    assert catalogue.items_of(places) == [model.items[item_id][0] for item_id in rows]
    vectors = np.stack([vector_of(model.items[item_id][2]) for item_id in rows])
    assert np.allclose(catalogue.vectors_of(places), vectors, atol=1e-6)
    conditions = [CONDITIONS[n] for n in rng.choice(len(CONDITIONS), rng.integers(0, 3), replace=False)]
    conditions = [one for one in conditions if one.attribute in catalogue.attribute_types]
    blocked = catalogue.blocked_by(conditions)
    allowed = {
        item_id
        for item_id, (item, _, _) in model.items.items()
        if item.available and all(meets(one, item.attributes) for one in conditions)
    }
    assert {catalogue.segment.id_of(row) for row in np.flatnonzero(~blocked)} == allowed
    query = vector_of(f"query {rng.integers(0, 1000)}")
    count = int(rng.integers(1, 12))
    found, scores = catalogue.search(query, count, blocked)
    exact = sorted((-float(vectors[n] @ query), row) for n, row in enumerate(places) if not blocked[row])[:count]
    assert np.allclose(scores, [-score for score, _ in exact], atol=1e-5)
    assert set(found.tolist()) <= {row for row in places if not blocked[row]}
    prices = [model.items[item_id][0].attributes.get("price", np.nan) for item_id in rows]
    assert np.array_equal(catalogue.numbers["price"][places], np.array(prices, float), equal_nan=True)


def compare_words(catalogue, base, model, rng):
    """Compares matching by words with a scan."""
    index = LiveLexicalIndex(base.lexical, catalogue.segment.words, catalogue.view.words, catalogue.order)
    text = f"beta{rng.integers(0, 5)} gamma{rng.integers(0, 20)}"
    query = index.parse(text, correct=False)
    blocked = catalogue.blocked_by(())
    found, _ = index.search(query, 1_000, blocked)
    words = set(analyze(text).terms)
    holding = {
        item_id
        for item_id, (item, _, _) in model.items.items()
        if item.available and words & set(ItemTerms.of(item).titles[0])
    }
    assert {catalogue.segment.id_of(row) for row in found} == holding
    every = set(analyze(text).words)
    whole = {i for i, (item, _, _) in model.items.items() if every <= set(ItemTerms.of(item).titles[0])}
    with_all = {catalogue.segment.id_of(row) for row in index.rows_with(text)}
    assert with_all == whole


def restarted(store, base):
    store.close()
    again = CatalogueStore(store.folder)
    segment = LiveSegment(base)
    for change in again.read().values():
        complete = change.item is None or change.terms
        segment.apply(change if complete else replace(change, terms=ItemTerms.of(change.item)))
    again.start(segment, np.zeros(WIDTH, np.float32), embedding())
    return again


@pytest.mark.parametrize("seed", [1, 2])
def test_random_operations_leave_what_a_dictionary_has(tmp_path, seed):
    rng = np.random.default_rng(seed)
    write_base(tmp_path / "base")
    base = read_base(tmp_path / "base")
    store = CatalogueStore(tmp_path / "catalogue")
    segment = LiveSegment(base)
    store.read()
    store.start(segment, np.zeros(WIDTH, np.float32), embedding())
    model = Model([base.items.item(row) for row in range(len(base.items))])
    ids = [*(f"b{n}" for n in range(12)), *(f"n{n}" for n in range(25))]
    done = 0
    while done < OPERATIONS // 2:
        drafts = [random_draft(rng, ids) for _ in range(int(rng.integers(1, 9)))]
        results = store.submit(drafts).result(30)
        assert [result.outcome for result in results] == [model.apply(draft) for draft in drafts]
        done += len(drafts)
        if rng.random() < 0.3:
            compare(store.current, model, rng)
            compare_words(store.current, base, model, rng)
        if rng.random() < 0.03:
            store.compact()
        if rng.random() < 0.03:
            store = restarted(store, base)
            compare(store.current, model, rng)
    assert not store.damages
    store.close()


class Client:
    """One of several callers, with ids and a dictionary of its own."""

    def __init__(self, number, store, base, seed):
        self.rng = np.random.default_rng([seed, number])
        self.store = store
        own = [base.items.item(row) for row in range(len(base.items)) if row % CLIENTS == number]
        self.model = Model(own)
        self.ids = [*(item.id for item in own), *(f"c{number}-{n}" for n in range(12))]

    def run(self, operations):
        done = 0
        while done < operations:
            drafts = [random_draft(self.rng, self.ids) for _ in range(int(self.rng.integers(1, 6)))]
            results = self.store.submit(drafts).result(60)
            assert [result.outcome for result in results] == [self.model.apply(draft) for draft in drafts]
            done += len(drafts)
            self.look()

    def look(self):
        """Compares a search in the view of this moment, which others change meanwhile, with brute force over it."""
        catalogue = self.store.current
        rows = list(catalogue.rows_from(0, changed_only=False))
        own = [row for row in rows if catalogue.segment.id_of(row) in self.model.items]
        assert len(own) == len(self.model.items)
        blocked = catalogue.blocked_by((CONDITIONS[self.rng.integers(0, 4)],))
        query = vector_of(f"query {self.rng.integers(0, 1000)}")
        _, scores = catalogue.search(query, 5, blocked)
        exact = np.sort((catalogue.vectors_of(rows) @ query)[~blocked[rows]])[::-1][:5]
        assert np.allclose(scores, exact, atol=1e-5)


def test_random_operations_of_sixteen_clients_beside_merges(tmp_path):
    write_base(tmp_path / "base", 200)
    base = read_base(tmp_path / "base")
    store = CatalogueStore(tmp_path / "catalogue", limits=MergeLimits(compared=40))
    store.read()
    store.start(LiveSegment(base), np.zeros(WIDTH, np.float32), embedding())
    clients = [Client(number, store, base, 7) for number in range(CLIENTS)]
    kinds, rounds = set(), 3
    with ThreadPoolExecutor(CLIENTS + 1) as threads:
        for _ in range(rounds):
            maintenance = threads.submit(lambda: (store.compact(), kinds.add(store.merge())))
            running = [threads.submit(one.run, OPERATIONS // CLIENTS // rounds) for one in clients]
            for one in (*running, maintenance):
                one.result()
            every = Model([])
            for client in clients:
                every.items |= client.model.items
            compare(store.current, every, clients[0].rng)
            compare_words(store.current, base, every, clients[0].rng)
    assert "rebuild" in kinds
    assert store.current.view.stored.merged.covers_base
    assert not store.damages
    store.close()


def test_scores_of_changed_items_are_those_of_a_rebuilt_index(tmp_path):
    """The segment's BM25 against tantivy's own over the same items."""
    write_base(tmp_path / "base", 60)
    base = read_base(tmp_path / "base")
    segment = LiveSegment(base)
    items = [base.items.item(row) for row in range(60)]
    from server.catalogue.change import Change

    for row in range(0, 60, 4):
        text = " ".join(f"beta{n % 5}" for n in range(row))
        items[row] = replace(items[row], text=text)
        segment.apply(Change(items[row].id, 1, items[row], terms=ItemTerms.of(items[row])))
    LexicalIndex.build(tmp_path / "again", items)
    rebuilt = LexicalIndex.load(tmp_path / "again")
    live = LiveLexicalIndex(base.lexical, segment.words, segment.view().words, RowOrder(60, segment.id_of))
    free = np.zeros(60, bool)
    for text in ("alpha4 beta4", "beta2", "alpha8", "beta1 beta3", "alpha12 beta2"):
        a = dict(zip(*(one.tolist() for one in live.search(live.parse(text), 60, free)), strict=True))
        b = dict(zip(*(one.tolist() for one in rebuilt.search(rebuilt.parse(text), 60, free)), strict=True))
        assert a.keys() == b.keys()
        assert [a[row] for row in b] == pytest.approx(list(b.values()), abs=0.2)
        rows = np.arange(60)
        features = live.features(live.parse(text), rows), rebuilt.features(rebuilt.parse(text), rows)
        assert np.allclose(features[0][:, 1:], features[1][:, 1:], atol=1e-6)
