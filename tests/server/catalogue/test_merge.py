import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

import numpy as np
import pytest

from core.retrieval.lexical_document import ItemTerms
from domain.errors import StorageError
from domain.item import Item
from server.catalogue import merge
from server.catalogue.change import digest_of
from server.catalogue.draft import Deletion, Upsert
from server.catalogue.merge import MergeLimits
from server.catalogue.segment import LiveSegment
from server.catalogue.store import CatalogueStore
from tests.support.small_base import WIDTH, embedding, read_base, vector_of, write_base


@pytest.fixture
def base(tmp_path):
    write_base(tmp_path / "base", 60)
    return read_base(tmp_path / "base")


def opened(tmp_path, base, **limits):
    store = CatalogueStore(tmp_path / "catalogue", limits=MergeLimits(**{"compared": 20, **limits}))
    segment = LiveSegment(base)
    for change in store.read().values():
        complete = change.item is None or change.terms
        segment.apply(change if complete else replace(change, terms=ItemTerms.of(change.item)))
    store.start(segment, np.zeros(WIDTH, np.float32), embedding())
    return store


def upsert(store, *ids, word=""):
    items = [Item(item_id, f"{item_id} {word}", "", True) for item_id in ids]
    drafts = [
        Upsert(one, None, digest_of(one.title), vector_of(one.title), "encoder", ItemTerms.of(one)) for one in items
    ]
    store.submit(drafts).result(30)


def fail_at(point):
    """Has a merge fail at a point as a full disk has it fail."""

    def at(name):
        if name == point:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return at


def check(catalogue):
    """Compares searches with brute force over the same view."""
    rows = list(catalogue.rows_from(0, changed_only=False))
    blocked = catalogue.blocked_by(())
    vectors = catalogue.vectors_of(rows)
    expected = [vector_of(catalogue.items_of([row])[0].title) for row in rows]
    assert np.allclose(vectors, expected, atol=1e-6)
    for number in range(15):
        query = vector_of(f"query {number}")
        for count in (1, 10, 500):
            found, scores = catalogue.search(query, count, blocked)
            exact = np.sort((vectors @ query)[~blocked[rows]])[::-1][:count]
            assert np.allclose(scores, exact, atol=1e-5)
            assert not blocked[found].any()


def test_changes_move_into_a_graph_and_out_of_memory(tmp_path, base):
    store = opened(tmp_path, base)
    upsert(store, *(f"n{n}" for n in range(15)))
    assert store.merge() == ""
    upsert(store, *(f"m{n}" for n in range(10)))
    before = store.current
    assert store.merge() == "add"
    figures = store.figures()
    assert (figures.unmerged_vectors, figures.merged_vectors, figures.segments) == (0, 25, 2)
    assert len(store.current.segment.vectors.tail) == 0
    check(store.current)
    upsert(store, *(f"k{n}" for n in range(25)))
    store.submit([Deletion("m3"), Deletion("k3")]).result(30)
    check(store.current)
    check(before)  # a request that began before
    assert store.merge() == "add"
    assert store.figures().merged_vectors == 49
    check(store.current)
    # Most places are stale by now.
    upsert(store, *(f"n{n}" for n in range(15)), *(f"k{n}" for n in range(10)), word="again")
    check(store.current)
    assert store.merge() == "anew"
    assert store.figures().merged_vectors == 49  # 15 n, 9 m, 25 k
    check(store.current)
    assert len(list((tmp_path / "catalogue/merged").glob("*/graph-*.usearch"))) == 1
    store.close()
    check(before)


@pytest.mark.parametrize("kept_s", [0.0, 60.0])
def test_what_was_replaced_or_deleted_leaves_memory_at_a_later_merge(tmp_path, base, kept_s):
    store = opened(tmp_path, base, kept_s=kept_s, stale_share=1.0)
    ids = [f"n{n:02}" for n in range(30)]
    upsert(store, *ids, word="first")
    upsert(store, *ids[:20], word="second")
    store.submit([Deletion(item_id) for item_id in ids[20:]]).result(30)
    segment = store.current.segment

    def held():
        titles = [segment.stored(entry).item for entry in range(len(segment))]
        words = [running[0] for running in segment.words._running]
        return sum(one is not None for one in titles), sum("first" in one for one in words)

    assert store.merge() and held() == (50, 30)
    upsert(store, *(f"m{n}" for n in range(25)))
    assert store.merge()
    assert held() == ((45, 0) if kept_s == 0 else (75, 30))
    catalogue = store.current
    assert catalogue.items_of(list(catalogue.rows_of(ids).values())) == [
        Item(item_id, f"{item_id} second", "", True) for item_id in ids[:20]
    ]
    check(catalogue)
    store.close()


def test_a_release_of_which_much_changed_is_rebuilt_whole(tmp_path, base):
    store = opened(tmp_path, base)
    upsert(store, *(f"b{n}" for n in range(25)), word="new")
    assert store.merge() == "rebuild"
    assert store.figures().merged_vectors == 60
    assert store.figures().segments == 1
    check(store.current)
    upsert(store, *(f"b{n}" for n in range(20, 45)), word="newer")
    store.submit([Deletion("b50")]).result(30)
    check(store.current)
    assert store.merge() == "rebuild"
    check(store.current)
    store.close()


def test_what_was_merged_is_derived_anew_after_a_restart(tmp_path, base):
    store = opened(tmp_path, base)
    upsert(store, *(f"n{n}" for n in range(25)))
    assert store.merge() == "add"
    store._lock.close()  # as if it were killed: its files stay
    again = opened(tmp_path, base)
    assert again.figures().unmerged_vectors == 25
    check(again.current)
    assert again.merge() == "add"
    check(again.current)
    again.close()


def test_a_merge_that_fails_leaves_everything_as_it_was(tmp_path, base):
    store = opened(tmp_path, base)
    upsert(store, *(f"n{n}" for n in range(25)))
    (tmp_path / "catalogue/merged").write_text("in the way")
    with pytest.raises(StorageError, match="could not be written"):
        store.merge()
    check(store.current)
    (tmp_path / "catalogue/merged").unlink()
    assert store.merge() == "add"
    check(store.current)
    store.close()


def test_a_merge_of_a_release_that_was_replaced_is_dropped(tmp_path, base):
    store = opened(tmp_path, base)
    upsert(store, *(f"n{n}" for n in range(25)))
    other = LiveSegment(base)
    store._at = lambda _: None
    store._merger._at = lambda name: (
        name == "merge-built"
        and store.between_groups(lambda: store.replace_segment(other, np.zeros(WIDTH), embedding())).result(30)
    )
    assert store.merge() == ""
    assert store.current.segment is other
    assert store.current.view.stored.merged is None
    store.close()


def test_a_merge_that_adds_no_vector_writes_no_graph_that_is_searched(tmp_path, base):
    store = opened(tmp_path, base, stale_share=0.9)
    upsert(store, *(f"n{n}" for n in range(30)))
    assert store.merge() == "add"
    (graph,) = (tmp_path / "catalogue/merged").glob("*/graph-*.usearch")
    written = graph.stat()
    store.submit([Deletion(f"n{n}") for n in range(21)]).result(30)
    assert store.merge() == "add"
    assert (graph.stat().st_mtime_ns, graph.stat().st_ino) == (written.st_mtime_ns, written.st_ino)
    assert (store.figures().unmerged_vectors, store.figures().merged_vectors) == (0, 30)
    check(store.current)
    upsert(store, *(f"k{n}" for n in range(25)))
    assert store.merge() == "add"
    check(store.current)
    store.close()


def test_deletions_alone_are_merged_once(tmp_path, base):
    store = opened(tmp_path, base, stale_share=0.9)
    store.submit([Deletion(f"b{n}") for n in range(25)]).result(30)
    assert store.merge() == "add"
    assert store.merge() == ""
    assert (store.figures().unmerged_vectors, store.figures().merged_vectors, store.figures().segments) == (0, 0, 1)
    check(store.current)
    upsert(store, *(f"n{n}" for n in range(25)), "b3")
    assert store.merge() == "add"
    assert store.figures().segments == 2
    check(store.current)
    store.close()


def test_a_merge_that_fails_leaves_no_files_on_a_full_disk(tmp_path, base):
    store = opened(tmp_path, base)
    merged = tmp_path / "catalogue/merged"
    upsert(store, *(f"n{n}" for n in range(25)))
    store._merger._at = fail_at("merge-built")
    for _ in range(2):
        with pytest.raises(StorageError, match="No space left"):
            store.merge()
        assert not [path for path in merged.rglob("*") if path.is_file()]
    store._merger._at = lambda _: None
    assert store.merge() == "add"
    before = {path.name: path.stat().st_size for path in merged.rglob("*") if path.is_file()}
    upsert(store, *(f"m{n}" for n in range(25)))
    store._merger._at = fail_at("merge-built")
    with pytest.raises(StorageError, match="No space left"):
        store.merge()
    assert {path.name: path.stat().st_size for path in merged.rglob("*") if path.is_file()} == before
    check(store.current)
    store._merger._at = lambda _: None
    assert store.merge() == "add"
    check(store.current)
    store.close()


def test_a_merge_leaves_room_for_the_log(tmp_path, base, monkeypatch):
    store = opened(tmp_path, base)
    upsert(store, *(f"n{n}" for n in range(25)))
    monkeypatch.setattr(merge, "_ROOM_LEFT_BYTES", 1 << 60)
    with pytest.raises(StorageError, match="the log goes on"):
        store.merge()
    assert not list((tmp_path / "catalogue/merged").rglob("*.f32"))
    store.close()


def test_a_closed_store_has_no_merge_at_work(tmp_path, base):
    store = opened(tmp_path, base)
    upsert(store, *(f"n{n}" for n in range(25)))
    reached, goes_on = threading.Event(), threading.Event()

    def hold(name):
        if name == "merge-written":
            reached.set()
            assert goes_on.wait(30)

    store._merger._at = hold
    with ThreadPoolExecutor(2) as threads:
        merging = threads.submit(store.merge)
        assert reached.wait(30)
        closing = threads.submit(store.close)
        assert wait([closing], 0.2).not_done  # nothing is given back before the merge has ended
        goes_on.set()
        closing.result(30)
        assert merging.result(30) == ""
    assert not (tmp_path / "catalogue/merged").exists()


def test_files_of_a_release_that_is_not_served_any_more_are_removed(tmp_path, base):
    store = opened(tmp_path, base)
    upsert(store, *(f"n{n}" for n in range(25)))
    assert store.merge() == "add"
    other = LiveSegment(base)
    store.between_groups(lambda: store.replace_segment(other, np.zeros(WIDTH), embedding())).result(30)
    assert store.merge() == ""
    assert not list((tmp_path / "catalogue/merged").rglob("*.f32"))
    store.close()
