"""The log of served features: what is written, its bounds, and what is erased."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from domain.user_history import Caller
from server.users.event_log import EventLog
from server.users.feature_log import FeatureLog, ServedItems, read_features, request_digest
from server.users.outcomes import UserActions
from server.users.settings import EventSettings
from server.users.sqlite_store import SqliteStore
from server.users.tokens import Attribution
from shortlist.v1 import event_pb2
from tests.server.users.conftest import KEY

ANN, BOB, SESSION = Caller("ann"), Caller("bob"), Caller("s", is_session=True)
NAMES = ("one", "two")


def items(*ids):
    values = np.random.default_rng(len(ids)).normal(size=(len(ids), 2)).astype(np.float32)
    return ServedItems(tuple(ids), tuple(range(1, len(ids) + 1)), values[:, 0], values)


def make(folder, share=1.0, most_bytes=10**6):
    return FeatureLog(folder / "features", KEY, share, most_bytes, 30)


def read(folder):
    return list(read_features(folder / "features"))


async def test_what_is_read_is_what_was_served(tmp_path):
    log = make(tmp_path)
    served = items("a", "b", "c")
    log.add(ANN, "request-1", "release-1", NAMES, served)
    await log.flush()
    log.add(BOB, "request-2", "release-1", ("one", "other"), items("d"))
    await log.flush()
    first, second = read(tmp_path)
    assert (first.items.item_ids, first.items.ranks, first.names) == (("a", "b", "c"), (1, 2, 3), NAMES)
    assert np.array_equal(first.items.features, served.features)
    assert np.array_equal(first.items.logits, served.logits)
    assert second.names == ("one", "other")
    assert (first.request, first.user) == (request_digest(KEY, "request-1"), KEY.user("ann").hex())
    assert first.time_s == pytest.approx(time.time(), abs=60)
    data = b"".join(path.read_bytes() for path in (tmp_path / "features").iterdir())
    assert not any(word in data for word in (b"ann", b"bob", b"request-1"))
    # A gateway that was killed while it wrote leaves half a line.
    (path, _) = sorted((tmp_path / "features").iterdir())
    path.write_bytes(path.read_bytes() + b'{"time_s": 1')
    assert len(read(tmp_path)) == 2


def test_a_share_of_the_requests_is_logged(tmp_path):
    names = [f"request-{number}" for number in range(2_000)]
    log = make(tmp_path, share=0.25)
    wanted = [name for name in names if log.wants(name)]
    assert 400 < len(wanted) < 600
    assert wanted == [name for name in names if make(tmp_path, share=0.25).wants(name)]
    assert not any(make(tmp_path, share=0.0).wants(name) for name in names)


async def test_the_log_is_bounded(tmp_path):
    log = make(tmp_path, most_bytes=20_000)
    for number in range(400):
        log.add(ANN, f"request-{number}", "release", NAMES, items("a", "b"))
        await log.flush()
    assert sum(path.stat().st_size for path in (tmp_path / "features").iterdir()) < 20_000
    assert read(tmp_path)[-1].request == request_digest(KEY, "request-399")
    for number in range(3_000):  # what nobody writes does not pile up
        log.add(ANN, f"late-{number}", "release", NAMES, items("a", "b"))
    assert len(log._waiting) == 1_000


async def test_a_user_is_erased_and_a_session_becomes_a_user(tmp_path):
    log = make(tmp_path)
    for caller in (ANN, BOB, SESSION):
        log.add(caller, "r", "release", NAMES, items("a"))
    await log.flush()
    for caller in (ANN, BOB, SESSION):
        log.add(caller, "waiting", "release", NAMES, items("a"))
    await log.move(KEY.session("s"), KEY.user("bob"))
    await log.forget([KEY.user("ann")])
    await log.flush()
    assert [reply.user for reply in read(tmp_path)] == [KEY.user("bob").hex()] * 4
    assert await log.users() == {KEY.user("bob")}


def parts(folder):
    return sorted((folder / "features").iterdir())


async def log_one(log, number):
    log.add(ANN, f"request-{number}", "release", NAMES, items("a"))
    await log.flush()


async def test_what_is_too_old_goes_also_where_little_is_logged(tmp_path):
    log = make(tmp_path)
    await log_one(log, 0)
    await log_one(log, 1)
    (path,) = parts(tmp_path)
    old, new = read(tmp_path)
    path.write_text(path.read_text().replace(f"{old.time_s}", f"{old.time_s - 31 * 86_400}", 1))
    begun = path.rename(path.with_name(f"{time.time_ns() - 31 * 86_400 * 10**9:020}.jsonl"))
    await make(tmp_path).expire()
    assert [one.request for one in read(tmp_path)] == [new.request]
    begun.write_text(begun.read_text().replace(f"{new.time_s}", f"{new.time_s - 31 * 86_400}"))
    await make(tmp_path).expire()
    assert not parts(tmp_path)


@pytest.mark.parametrize("written", ["", '{"format": "short'])
async def test_a_part_that_was_never_begun_and_a_damaged_line_hide_nothing(tmp_path, written):
    log = make(tmp_path)
    await log_one(log, 0)
    (path,) = parts(tmp_path)
    path.write_text(path.read_text() + '{"time_s": 1, "user": "\n')
    path.with_name("00000000000000000001.jsonl").write_text(written)
    assert len(read(tmp_path)) == 1
    assert await log.users() == {KEY.user("ann")}
    assert len(await log.judged("release", time.time() + 1)) == 1


async def test_a_full_disk_costs_no_more_than_what_was_being_written(tmp_path, monkeypatch):
    log = make(tmp_path)
    await log_one(log, 0)

    def full(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.open", full)
        await log_one(log, 1)
    with (tmp_path / "features" / parts(tmp_path)[0].name).open("a") as file:
        file.write('{"time_s": 17')
    with monkeypatch.context() as patch:
        patch.setattr("server.users.feature_files.os.fdopen", lambda fd, *_, **__: full(os.close(fd)))
        await log_one(log, 2)
    await log_one(log, 3)
    assert [one.request for one in read(tmp_path)] == [request_digest(KEY, f"request-{number}") for number in (0, 3)]


async def test_files_that_were_written_anew_are_their_owners_alone(tmp_path):
    log = make(tmp_path)
    for caller in (ANN, BOB):
        log.add(caller, "r", "release", NAMES, items("a"))
    await log.flush()
    await log.forget([KEY.user("ann")])
    (path,) = parts(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_lines_that_waited_keep_their_own_names(tmp_path):
    log = make(tmp_path)
    log.add(ANN, "r", "release", NAMES, items("a"))
    log.add(ANN, "s", "release", ("one", "other"), items("a"))
    await log.flush()
    assert [one.names for one in read(tmp_path)] == [NAMES, ("one", "other")]


async def test_many_users_are_erased_with_one_reading(tmp_path, monkeypatch):
    log = make(tmp_path)
    callers = [Caller(f"user-{number}") for number in range(50)]
    for caller in callers:
        log.add(caller, "r", "release", NAMES, items("a"))
    await log.flush()
    reads = []
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: reads.append(self) or whole(self))
    await log.forget([KEY.of(caller) for caller in callers[1:]])
    assert len(reads) == 1
    assert await log.users() == {KEY.of(callers[0])}


@pytest.fixture
async def events(tmp_path):
    async def opened():
        store = SqliteStore(tmp_path / "users.sqlite", KEY)
        await store.open()
        return store

    log = EventLog(opened, KEY, EventSettings(str(tmp_path), tmp_path / "key"), make(tmp_path))
    await log.open()
    yield log
    await log.aclose()


def action(item, kind="BUY", **fields):
    return event_pb2.Event(item_id=item, kind=f"EVENT_KIND_{kind}", **fields)


async def record(log, caller, *made):
    await log.record(caller, log.prepared(made, time.time()))


async def test_delete_user_and_another_gateways_delete_reach_the_log(events, tmp_path):
    for caller in (ANN, BOB):
        await record(events, caller, action("a"))
        events.features.add(caller, "r", "release", NAMES, items("a"))
    await events.features.flush()
    await events.forget(ANN)
    assert {reply.user for reply in read(tmp_path)} == {KEY.user("bob").hex()}
    store = await events._opened()
    await store.delete([KEY.user("bob")])
    await events._forget_gone(store)
    assert not read(tmp_path)


async def test_outcomes_of_shown_items(events, tmp_path):
    token = Attribution(1, "popular", "release", "r").text()
    events.features.add(ANN, "r", "release", NAMES, items("a", "b", "c", "d"))
    await events.features.flush()
    shown = [action("a", "IMPRESSION", attribution_token=token), action("b", "IMPRESSION", request_id="r", rank=2)]
    await record(events, ANN, *shown, action("c", "IMPRESSION", request_id="another"))
    await record(events, ANN, action("a", "CLICK"), action("c"), action("d", "DISLIKE"))
    (reply,) = read(tmp_path)
    kept, _, _ = await events.events(ANN)
    actions = UserActions(kept, lambda name: request_digest(KEY, name))
    found = list(actions.outcomes(reply))
    assert [(one.shown, one.clicked, one.converted) for one in found] == [
        (True, True, False),
        (True, False, False),
        (False, False, True),
        (False, False, False),
    ]
    late = list(actions.outcomes(reply, window_s=-1))
    assert not any(one.clicked or one.converted for one in late)
    # Users may still act on what was shown within a day.
    assert not len((await events.shown_items("release")).chosen)
    events_features = events.features._folder
    (path,) = events_features.iterdir()
    path.write_text(path.read_text().replace(f'"time_s": {reply.time_s}', f'"time_s": {reply.time_s - 90_000}'))
    old = await events.shown_items("release")
    assert old.logits.tolist() == reply.items.logits[:2].tolist()
    assert not len((await events.shown_items("another release")).chosen)
