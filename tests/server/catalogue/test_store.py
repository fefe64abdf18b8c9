"""The store of changes: what callers and the disk do at bad moments."""

import threading

import numpy as np
import pytest

from domain.errors import CatalogueInUse, Overloaded
from server.catalogue import write_queue
from server.catalogue.draft import Edit, Outcome
from server.catalogue.log_records import Record, framed
from server.catalogue.segment import LiveSegment
from server.catalogue.store import CatalogueStore
from tests.support.small_base import WIDTH, embedding, read_base, write_base


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    write_base(folder)
    return read_base(folder)


@pytest.fixture
def opened(base, tmp_path):
    opened = CatalogueStore(tmp_path / "catalogue")
    opened.read()
    opened.start(LiveSegment(base), np.zeros(WIDTH, np.float32), embedding())
    yield opened
    opened.close()


def priced(price, item_id="b1"):
    return [Edit(item_id, attributes={"price": float(price)})]


class Held:
    """Has the writer wait."""

    def __init__(self, store):
        self.go, reached = threading.Event(), threading.Event()
        self.done = store.between_groups(lambda: (reached.set(), self.go.wait(10)))
        assert reached.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go.set()
        self.done.result(10)


def test_a_cancelled_change_is_left_out_and_the_writer_goes_on(opened):
    with Held(opened):
        cancelled, work, kept = opened.submit(priced(70)), opened.between_groups(list), opened.submit(priced(71, "b2"))
        assert cancelled.cancel() and work.cancel()
    assert kept.result(10)[0].outcome is Outcome.APPLIED
    assert opened.submit(priced(72, "b3")).result(10)[0].outcome is Outcome.APPLIED
    assert opened.sequence == 2


def test_a_closed_store_refuses_at_once(opened):
    opened.close()
    for ask in (lambda: opened.submit(priced(1)), lambda: opened.between_groups(list)):
        with pytest.raises(CatalogueInUse):
            ask()


def test_work_never_waits_for_a_place_in_the_queue(base, tmp_path, monkeypatch):
    monkeypatch.setattr(write_queue, "_MOST_WAITING", 1)
    opened = CatalogueStore(tmp_path / "full")
    opened.submit(priced(1))
    with pytest.raises(Overloaded):
        opened.between_groups(list)


def test_a_change_that_cannot_be_understood_is_set_aside_by_compaction(opened):
    opened.submit(priced(70)).result(10)
    (path,) = opened.folder.glob("changes-*.log")
    path.write_bytes(framed(Record(1, b"not a change\n")) + path.read_bytes())
    opened.compact()
    assert [one.name for one in (opened.folder / "damaged").iterdir()] == [path.name]


def test_changes_during_a_switch_are_taken_once_each(opened):
    opened.submit(priced(90)).result(10)
    states, tap = opened.open_tap()
    assert list(states) == ["b1"] and tap.after == 1
    taken = []

    def take():
        while len(taken) < 300:
            taken.extend(change for _, change in tap.take())

    taker = threading.Thread(target=take)
    taker.start()
    for price in range(300):
        opened.submit(priced(100 + price)).result(10)
    taker.join(10)
    opened.close_tap(tap)
    opened.submit(priced(500)).result(10)
    assert [change.version for change in taken] == list(range(2, 302)) and tap.take() == []


def test_a_misfit_names_its_place(opened):
    edit = Edit("b1", attributes={"kind": 3.0}, field="items[4]")
    (result,) = opened.submit([edit]).result(10)
    assert result.error.violations[0].field == "items[4].attributes"


def test_a_store_that_was_refused_leaves_the_position_of_the_one_that_runs(opened):
    opened.submit(priced(70)).result(10)
    opened._log_file.note_position()
    noted = (opened.folder / "position").read_bytes()
    second = CatalogueStore(opened.folder)
    with pytest.raises(CatalogueInUse):
        second.read()
    second.close()
    assert (opened.folder / "position").read_bytes() == noted
