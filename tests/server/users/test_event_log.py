"""The log of events: texts, tokens, what a request uses, and a store that is away."""

import math
import os
import time
from pathlib import Path

import pytest

from domain.errors import ConfigurationError, InvalidRequest, StoreUnavailable
from domain.event import EventKind
from domain.user_history import Caller, SeenRule
from server.users import event_log, read_records
from server.users.event_log import EventLog
from server.users.open_store import open_store
from server.users.pseudonyms import read_or_make_key
from server.users.read_records import _shown_ids
from server.users.replies import RecentReplies
from server.users.settings import EventSettings, read_seen_rules
from server.users.sqlite_store import SqliteStore
from server.users.tokens import Attribution, EventToken
from shortlist.v1 import event_pb2
from tests.server.users.conftest import KEY

ANN = Caller("ann")


def event(item="a", kind=event_pb2.EVENT_KIND_VIEW, **fields):
    return event_pb2.Event(item_id=item, kind=kind, **fields)


@pytest.fixture
async def make_log(tmp_path):
    logs = []

    async def make(**settings):
        async def opened():
            store = SqliteStore(tmp_path / "users.sqlite", KEY)
            await store.open()
            return store

        log = EventLog(opened, KEY, EventSettings(str(tmp_path), tmp_path / "key", **settings))
        logs.append(log)
        await log.open()
        return log

    yield make
    for log in logs:
        await log.aclose()


async def record(log, caller, *events, replies=None):
    return await log.record(caller, log.prepared(events, time.time(), replies))


async def test_texts_are_masked_or_left_out(make_log):
    log = await make_log()
    await record(log, ANN, event(comment="ring 13812345678"), event("", event_pb2.EVENT_KIND_SEARCH, text="a@b.co"))
    kept, _, _ = await log.events(ANN)
    assert [one.comment or one.text for one in kept] == ["ring [phone]", "[mail]"]
    silent = await make_log(keep_texts=False)
    await record(silent, Caller("bob"), event(comment="words"))
    (kept,), _, _ = await silent.events(Caller("bob"))
    assert kept.comment == ""


async def test_an_id_stands_for_what_was_sent_not_for_what_was_kept(make_log):
    log = await make_log()
    await record(log, ANN, event(comment="ring 13812345678", event_id="e"))
    assert (await record(log, ANN, event(comment="ring 13812345678", event_id="e"))).duplicates == 1
    from domain.errors import EventConflict

    with pytest.raises(EventConflict):
        await record(log, ANN, event(comment="ring 13812345679", event_id="e"))


async def test_nothing_in_the_file_names_the_user(make_log, tmp_path):
    log = await make_log()
    await record(log, Caller("ann-of-green-gables"), event())
    for path in tmp_path.iterdir():
        assert b"ann-of-green-gables" not in path.read_bytes()


async def test_history_is_read_anew_when_another_gateway_wrote(make_log):
    here, there = await make_log(), await make_log()
    await record(here, ANN, event("a"))
    assert [one.item_id for one in (await here.user(ANN)).history.events] == ["a"]
    await record(there, ANN, event("b"))
    assert [one.item_id for one in (await here.user(ANN)).history.events] == ["a", "b"]
    assert (await here.user(ANN)).history is (await here.user(ANN)).history
    await there.forget(ANN)
    assert not (await here.user(ANN)).history.events


async def test_what_lists_showed_is_read_once_for_each_change(make_log, monkeypatch):
    log = await make_log()
    read = []
    monkeypatch.setattr(read_records, "_shown_ids", lambda *given: read.append(given) or _shown_ids(*given))
    for number in range(2):
        await log.show(ANN, [f"{number}-{place}" for place in range(300)])
        for _ in range(3):
            assert len((await log.user(ANN, with_shown=True)).shown) == 300 * (number + 1)
    assert len(read) == 2
    await log.forget(ANN)
    assert (await log.user(ANN, with_shown=True)).shown == frozenset()


async def test_who_is_forgotten_is_known_until_every_call_of_before_has_ended(make_log, monkeypatch):
    log, before_s = await make_log(), time.monotonic()
    await record(log, ANN, event())
    assert not log.forgotten_since(ANN, before_s)
    erased = []

    async def delete(self, names):
        erased.append(log.forgotten_since(ANN, math.inf))  # whoever asks while it goes on
        return True

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "delete", delete)
        await log.forget(ANN)
    assert erased == [True]
    assert log.forgotten_since(ANN, before_s) and not log.forgotten_since(ANN, time.monotonic())
    assert not log.forgotten_since(Caller("bob"), before_s)
    monkeypatch.setattr(event_log, "_LONGEST_CALL_S", 0.0)
    await log.forget(Caller("bob"))
    assert not log.forgotten_since(ANN, before_s)


async def test_tokens(make_log):
    log = await make_log()
    done = await record(log, ANN, event())
    assert (await log.user(ANN, done.token)).history.events
    with pytest.raises(InvalidRequest, match="another store"):
        await log.user(ANN, EventToken(b"12345678", 1).text())
    with pytest.raises(InvalidRequest, match="not a token"):
        await log.user(ANN, "x")


async def test_a_store_that_is_away_is_tried_again(tmp_path):
    tries = []

    async def opened():
        tries.append(1)
        if len(tries) == 1:
            raise StoreUnavailable("away")
        store = SqliteStore(tmp_path / "users.sqlite", KEY)
        await store.open()
        return store

    log = EventLog(opened, KEY, EventSettings(str(tmp_path), tmp_path / "key"))
    await log.open()
    with pytest.raises(StoreUnavailable):
        await record(log, ANN, event())
    log._tried_s = 0.0
    assert (await record(log, ANN, event())).recorded == 1
    await log.aclose()


async def test_a_store_that_comes_back_otherwise_is_one_that_is_away(tmp_path):
    tries = []

    async def opened():
        tries.append(1)
        raise StoreUnavailable("away") if len(tries) == 1 else ConfigurationError("appendonly is off")

    log = EventLog(opened, KEY, EventSettings(str(tmp_path), tmp_path / "key"))
    await log.open()
    log._tried_s = 0.0
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="appendonly is off"):
            await log.user(ANN)
    assert len(tries) == 2


async def test_a_store_that_does_not_open_is_closed(tmp_path, monkeypatch):
    closed = []
    close = SqliteStore.aclose

    async def aclose(store):
        closed.append(store)
        await close(store)

    monkeypatch.setattr(SqliteStore, "aclose", aclose)
    (tmp_path / "users.sqlite").write_bytes(b"not a database at all" * 500)
    with pytest.raises(StoreUnavailable):
        await open_store(EventSettings(str(tmp_path / "users.sqlite"), tmp_path / "key"), KEY)
    assert len(closed) == 1


async def test_a_reply_that_is_remembered_tells_where_an_event_came_from(make_log):
    log = await make_log()
    replies = RecentReplies()
    replies.remember("r1", "release", 11, ["lexical", "popular"])
    await record(log, ANN, event(request_id="r1", rank=12), event(request_id="r1", rank=99), replies=replies)
    kept, _, _ = await log.events(ANN)
    assert Attribution.of(kept[0].attribution_token) == Attribution(12, "popular", "release", "r1")
    assert kept[1].attribution_token == ""


def test_attribution_survives_any_text():
    place = Attribution(3, "semantic_text", "a:b", "r:1 %")
    assert Attribution.of(place.text()) == place
    assert Attribution.of("nonsense") is None
    assert Attribution.of("1:x:a:b:c") is None


def test_the_key_is_made_once_and_guarded(tmp_path):
    path = tmp_path / "state" / "users.key"
    key = read_or_make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_or_make_key(path) == key
    assert key.user("ann") != key.session("ann")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_or_make_key(path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(ConfigurationError):
        read_or_make_key(path)


def test_a_key_that_another_user_owns_is_read_by_its_group(tmp_path, monkeypatch):
    """As Kubernetes mounts a secret: root's, and readable by the group of the pod."""
    path = tmp_path / "users.key"
    key = read_or_make_key(path)
    path.chmod(0o440)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_or_make_key(path)
    monkeypatch.setattr("os.geteuid", lambda: path.stat().st_uid + 1)
    assert read_or_make_key(path) == key
    path.chmod(0o444)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_or_make_key(path)


def test_gateways_that_start_at_once_share_a_key(tmp_path, monkeypatch):
    path = tmp_path / "users.key"
    link = os.link

    def overtaken(source, target):
        Path(target).write_text("ab" * 32 + "\n")
        Path(target).chmod(0o600)
        link(source, target)

    monkeypatch.setattr(os, "link", overtaken)
    assert read_or_make_key(path).key == b"\xab" * 32
    path.unlink()

    def crash(*_):
        raise OSError("no room")

    monkeypatch.setattr(os, "link", crash)
    with pytest.raises(ConfigurationError):
        read_or_make_key(path)
    assert list(tmp_path.iterdir()) == []


def test_seen_rules():
    assert read_seen_rules("buy, view=2d") == (SeenRule(EventKind.BUY), SeenRule(EventKind.VIEW, 172_800.0))
    for wrong in ("bought", "view=2", "view=xd"):
        with pytest.raises(ValueError):
            read_seen_rules(wrong)
