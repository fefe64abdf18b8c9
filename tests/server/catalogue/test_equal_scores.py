"""Items with equal scores stand in the order of their ids, whenever they were added, at any length of a list."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from core.retrieval.lexical_document import ItemTerms
from core.retrieval.live_lexical import LiveLexicalIndex
from core.row_order import RowOrder
from domain.event import Event, EventKind
from domain.item import Item
from server.catalogue.change import digest_of
from server.catalogue.draft import Deletion, Upsert
from server.catalogue.merge import MergeLimits
from server.catalogue.segment import LiveSegment
from server.catalogue.store import CatalogueStore
from tests.support.live import live_shop, product
from tests.support.small_base import WIDTH, embedding, read_base, vector_of, write_base
from tests.support.trained import COUNT

HISTORY = (Event("item-03", EventKind.BUY, 1_700_000_000.0), Event("item-20", EventKind.LIKE, 1_700_100_000.0))
LATER = sorted(f"{letter}-{n}" for letter in "ajz" for n in range(9))


@pytest.fixture
async def shop(served, tmp_path):
    """A live catalogue over a release without a ranker, which scores an item by its place in other lists too."""
    async with live_shop(replace(served.release, ranker=None), tmp_path / "catalogue") as shop:
        yield shop


async def check(shop, ids, **query):
    """Compares lists of every length with the longest one, in which equal scores stand by id."""
    longest = await shop.ask(k=COUNT + len(ids), **query)
    ranked = [(-item.score, item.id) for item in longest.items]
    assert ranked == sorted(ranked)
    found = [item.id for item in longest.items]
    assert [item_id for item_id in found if item_id in ids] == sorted(ids)
    for k in (1, 2, 7, 20):
        assert await shop.found(k=k, **query) == found[:k]


@pytest.mark.parametrize("query", [{"text": "word85 word86"}, {"text": "word85"}, {"events": HISTORY}], ids=str)
async def test_items_that_were_added_in_another_order_stand_by_id(shop, query):
    for item_id in reversed(LATER):
        await shop.upsert(product(item_id, "word85 word86", category="word1", price=5))
    await check(shop, LATER, **query)


async def test_items_like_one_of_the_release_stand_around_it(shop):
    (model,) = (await shop.ask(text="word5 word35", k=1)).items
    (item,) = shop.store.current.items_of([shop.store.current.rows_of([model.id])[model.id]])
    assert item.id == "item-05"
    for item_id in reversed(LATER):
        await shop.upsert(replace(item, id=item_id))
    await check(shop, LATER, events=HISTORY)
    await check(shop, LATER, text="word5 word35")


async def test_items_that_the_encoder_cannot_read_stand_by_id_at_the_end(shop):
    unreadable = [f"{letter}-unreadable" for letter in "cba"]
    for item_id in unreadable:
        await shop.upsert(product(item_id, "★★★"))
    found = await shop.found(text="word5 word35", k=COUNT + 3)
    ends = [item_id for item_id in found if item_id in unreadable]
    assert ends == sorted(unreadable)


async def test_a_list_for_nobody_ends_by_id(shop):
    for item_id in reversed(LATER):
        await shop.upsert(product(item_id, "word85 word86"))
    found = await shop.found(k=COUNT + len(LATER))
    assert [item_id for item_id in found if item_id in LATER] == LATER


def upsert(store, item_id, title):
    item = Item(item_id, title, "", True)
    store.submit([Upsert(item, None, digest_of(title), vector_of(title), "encoder", ItemTerms.of(item))]).result(30)


@pytest.mark.parametrize("kind", ["", "add", "rebuild"])
def test_vectors_that_are_equal_stand_by_id_before_and_after_a_merge(tmp_path, kind):
    write_base(tmp_path / "base", 60)
    base = read_base(tmp_path / "base")
    title = base.items.item(3).title
    limits = {"": MergeLimits(), "add": MergeLimits(5, stale_share=1.0), "rebuild": MergeLimits(5, stale_share=0.01)}
    store = CatalogueStore(tmp_path / "catalogue", limits=limits[kind])
    store.read()
    store.start(LiveSegment(base), np.zeros(WIDTH, np.float32), embedding())
    for item_id in reversed(LATER):
        upsert(store, item_id, title)
    for number in range(10, 20):
        upsert(store, f"b{number}", f"other {number}")
    assert store.merge() == kind
    for item_id in ("a-9", "b3!", "zz"):
        upsert(store, item_id, title)
    store.submit([Deletion(LATER[4])]).result(30)
    expected = sorted({*LATER, "b3", "a-9", "b3!", "zz"} - {LATER[4]})
    catalogue = store.current
    blocked = catalogue.blocked_by(())
    for number in range(5):
        query = vector_of(title) + 0.05 * vector_of(f"query {number}")
        for count in range(1, len(expected) + 1):
            rows, _ = catalogue.search(query, count, blocked)
            assert catalogue.ids_of(rows) == expected[:count]
    store.close()


@contextmanager
def words_of(folder, count, added):
    """A live catalogue of so many items of a release and those added, and the index of their words."""
    write_base(folder / "base", count)
    base = read_base(folder / "base")
    store = CatalogueStore(folder / "catalogue")
    store.read()
    store.start(LiveSegment(base), np.zeros(WIDTH, np.float32), embedding())
    for item_id, title in added:
        upsert(store, item_id, title)
    catalogue = store.current
    yield catalogue, LiveLexicalIndex(base.lexical, catalogue.segment.words, catalogue.view.words, catalogue.order)
    store.close()


def test_words_that_fit_as_well_stand_by_id(tmp_path):
    with words_of(tmp_path, 60, [(item_id, "delta epsilon") for item_id in reversed(LATER)]) as (catalogue, index):
        for count in range(1, len(LATER) + 1):
            rows, _ = index.search(index.parse("epsilon"), count, catalogue.blocked_by(()))
            assert catalogue.ids_of(rows) == LATER[:count]


def test_an_item_with_fewer_words_does_not_hide_those_behind_blocked_ones(tmp_path):
    filling = " ".join(f"filling{n}" for n in range(60))
    with words_of(tmp_path, 2_000, [(f"c{number}", f"beta1 {filling}") for number in range(30)]) as (catalogue, index):
        free = np.zeros(catalogue.view.row_count, bool)
        best, scores = index.search(index.parse("beta1"), 380, free)
        first = free.copy()
        # As many as are asked for at first.
        first[best[:300]] = True
        rows, found = index.search(index.parse("beta1"), 10, first)
        assert rows.tolist() == best[300:310].tolist() and found.tolist() == scores[300:310].tolist()


def test_places_are_ordered_as_their_rows():
    ids = ["b", "d", "f", "e", "a", "c"]
    order = RowOrder(3, ids.__getitem__)
    assert order.by_id(np.arange(6)).tolist() == [4, 0, 5, 1, 3, 2]
    rows = np.array([5, 2, 0, 4])
    places = order.of_places(rows).by_id(np.arange(4))
    assert [ids[rows[place]] for place in places] == ["a", "b", "c", "f"]
