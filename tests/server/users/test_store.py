"""What every store does: the same tests on SQLite and on a real Redis."""

import asyncio
import secrets
import time

import pytest

from domain.errors import ConfigurationError, EventConflict
from server.users.pseudonyms import Pseudonyms
from server.users.record import DamagedRecord, NewEvent, Retention, UserRecord, append, id_digest
from server.users.scan import scanned
from server.users.settings import EventSettings
from server.users.store import Append
from shortlist.v1 import event_pb2
from tests.server.users.conftest import KEY

KEEP = Retention(100, 100, 30.0)
ANN, BOB, SESSION = KEY.user("ann"), KEY.user("bob"), KEY.session("s1")


def event(item="a", event_id="", kind=event_pb2.EVENT_KIND_VIEW, age_s=0.0, comment=""):
    message = event_pb2.Event(item_id=item, kind=kind, event_id=event_id, comment=comment)
    message.time.FromNanoseconds(int((time.time() - age_s) * 1e9))
    content = KEY.content(f"{item}{kind}{comment}".encode()) if event_id else b""
    return NewEvent(message.SerializeToString(), id_digest(event_id) if event_id else b"", content, time.time() - age_s)


def items(record):
    return [one.item_id for one in record.read()]


async def put(store, name, *events, keep=KEEP):
    return await store.append(Append(name, events, keep))


async def test_what_is_appended_is_read(place):
    store = await place.open()
    assert await store.read([ANN]) == [None]
    done = await put(store, ANN, event("a"), event("b"))
    assert (done.recorded, done.duplicates) == (2, 0)
    await put(store, ANN, event("c"))
    await put(store, BOB, event("d"))
    ann, nobody, bob = await store.read([ANN, SESSION, BOB])
    assert (items(ann), nobody, items(bob)) == (["a", "b", "c"], None, ["d"])
    assert ann.count == 3


async def test_another_gateway_sees_it_at_once_and_again_after_a_restart(place):
    first, second = await place.open(), await place.open()
    assert first.store_id == second.store_id
    done = await put(first, ANN, event("a"))
    (seen,) = await second.read([ANN])
    assert (items(seen), seen.version) == (["a"], done.record.version)
    await put(second, ANN, event("b"))
    (seen,) = await first.read([ANN])
    assert items(seen) == ["a", "b"]
    await first.aclose()
    third = await place.open()
    (seen,) = await third.read([ANN])
    assert items(seen) == ["a", "b"]


async def test_a_retry_is_harmless_and_other_content_is_refused_as_a_whole(place):
    store = await place.open()
    await put(store, ANN, event("a", "e1"), event("b", "e2"))
    done = await put(store, ANN, event("a", "e1"), event("c", "e3"))
    assert (done.recorded, done.duplicates) == (1, 1)
    with pytest.raises(EventConflict, match=r"events\[1\]"):
        await put(store, ANN, event("d"), event("x", "e2"))
    (ann,) = await store.read([ANN])
    assert items(ann) == ["a", "b", "c"]
    assert (await put(store, BOB, event("x", "e2"))).recorded == 1  # ids are a user's own


async def test_one_ids_conflict_does_not_touch_others_of_its_group(place):
    store = await place.open()
    await put(store, ANN, event("a", "e1"))
    names = [KEY.user(f"u{number}") for number in range(50)]
    changes = [put(store, name, event("z")) for name in names] + [put(store, ANN, event("x", "e1"))]
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    assert isinstance(outcomes[-1], EventConflict)
    assert all(record is not None for record in await store.read(names))


async def test_many_at_once_lose_nothing(place):
    first, second = await place.open(), await place.open()
    await asyncio.gather(*(put((first, second)[n % 2], ANN, event(f"i{n}", f"e{n}")) for n in range(40)))
    (ann,) = await first.read([ANN])
    assert sorted(items(ann)) == sorted(f"i{n}" for n in range(40))


async def test_retention_by_count_keeps_the_newest_of_each_class(place):
    store = await place.open()
    keep = Retention(5, 3, 30.0)
    shown = event_pb2.EVENT_KIND_IMPRESSION
    for number in range(30):
        await put(
            store, ANN, event(f"a{number}", f"e{number}", age_s=60 - number), event(f"s{number}", kind=shown), keep=keep
        )
    (ann,) = await store.read([ANN])
    actions = [name for name in items(ann) if name.startswith("a")]
    assert ann.count <= keep.most
    assert actions[-5:] == ["a25", "a26", "a27", "a28", "a29"]
    # A replay of what was dropped comes and goes; what is kept is still known by its id.
    assert (await put(store, ANN, event("a29", "e29"), keep=keep)).duplicates == 1


async def test_retention_by_age_by_a_write_and_by_the_sweep(place):
    store = await place.open()
    week = Retention(100, 100, 7.0)
    await put(store, ANN, event("old", age_s=8 * 86_400), event("new"), keep=KEEP)
    await put(store, BOB, event("old", age_s=8 * 86_400), keep=KEEP)
    assert await store.sweep(week, week, time.time()) == 2
    ann, bob = await store.read([ANN, BOB])
    assert (items(ann), bob) == (["new"], None)
    await put(store, ANN, event("older", age_s=9 * 86_400), keep=week)
    (ann,) = await store.read([ANN])
    assert items(ann) == ["new"]


async def test_a_session_becomes_a_user_once(place):
    store = await place.open()
    await put(store, ANN, event("a", "e1"))
    await put(store, SESSION, event("b", "e2"), event("a", "e1"), event("c"))
    done = await store.merge(SESSION, ANN, KEEP)
    assert (done.recorded, done.duplicates) == (2, 1)
    ann, session = await store.read([ANN, SESSION])
    assert (sorted(items(ann)), session) == (["a", "b", "c"], None)
    assert await store.merge(SESSION, ANN, KEEP) is None
    with pytest.raises(EventConflict):
        await put(store, ANN, event("other", "e2"))


async def test_what_comes_while_a_session_becomes_a_user_is_kept(place, monkeypatch):
    store = await place.open()
    await put(store, SESSION, event("a"))
    if place.kind == "redis":
        swapped, come = store._swapped, [event("b")]

        async def overtaken(*arguments):
            if come:
                await put(other, SESSION, come.pop())
            return await swapped(*arguments)

        other = await place.open()
        monkeypatch.setattr(store, "_swapped", overtaken)
        await store.merge(SESSION, ANN, KEEP)
    else:
        await asyncio.gather(put(store, SESSION, event("b")), store.merge(SESSION, ANN, KEEP))
    ann, session = await store.read([ANN, SESSION])
    assert (items(ann), session) == (["a", "b"], None)


async def test_what_lists_showed_is_swept_by_its_own_age(place):
    store = await place.open()
    shown = KEY.shown(ANN)
    for name in (ANN, shown):
        await put(store, name, event("old", age_s=8 * 86_400), event("new"))
    before = await store.read([ANN, shown])
    assert await store.sweep(KEEP, Retention(100, 100, 7.0), time.time()) == 1
    ann, swept = await store.read([ANN, shown])
    assert (ann, items(swept)) == (before[0], ["new"])
    assert swept.version > before[1].version


async def test_a_damaged_record_is_its_users_alone(place):
    store = await place.open()
    age = 8 * 86_400
    names = [KEY.user(f"u{number}") for number in range(3)]
    for name in names:
        await put(store, name, event("old", age_s=age), event("new"))
    await place.damage(names[1])
    week = Retention(100, 100, 7.0)
    outcomes = await asyncio.gather(
        *(put(store, name, event("more"), keep=week) for name in names), return_exceptions=True
    )
    assert [isinstance(one, DamagedRecord) for one in outcomes] == [False, True, False]
    for name in (names[0], names[2]):
        await put(store, name, event("old", age_s=age))
    assert await store.sweep(week, week, time.time()) == 2
    settings = EventSettings("", place.folder)
    assert {name async for name, _ in scanned(store, settings)} == {names[0].hex(), names[2].hex()}
    assert await store.delete([names[1]])
    assert (await put(store, names[1], event("new"))).recorded == 1


async def test_many_forgotten_at_once(place):
    stores = [await place.open(), await place.open()]
    names = [KEY.user(f"u{number}") for number in range(12)]
    await asyncio.gather(*(put(stores[0], name, event()) for name in names))
    assert all(await asyncio.gather(*(stores[n % 2].delete([name]) for n, name in enumerate(names))))


async def test_versions_grow_across_deletion(place):
    store = await place.open()
    before = (await put(store, ANN, event())).record.version
    assert await store.delete([ANN])
    assert not await store.delete([ANN])
    assert (await put(store, ANN, event())).record.version > before


async def test_nothing_of_a_forgotten_user_is_left_in_any_file(place):
    store = await place.open()
    people = {who: KEY.user(who) for who in (secrets.token_hex(8) for _ in range(60))}
    for turn in range(12):
        await asyncio.gather(
            *(
                put(
                    store,
                    name,
                    *(event(f"item-{who}", f"id-{who}-{turn}-{n}", comment=f"word-{who}-" * 20) for n in range(4)),
                )
                for who, name in people.items()
            )
        )
    gone = [who for number, who in enumerate(people) if number % 10 == 3]
    assert all(any(f"word-{who}-".encode() in content for content in place.bytes_on_disk().values()) for who in gone)
    for who in gone:
        assert await store.delete([people[who]])
    left = place.bytes_on_disk()
    for who in gone:
        for trace in (f"word-{who}-", f"item-{who}", f"id-{who}-", who):
            hits = [str(path) for path, content in left.items() if trace.encode() in content]
            assert not hits, (who, trace, hits)
        assert not [path for path, content in left.items() if people[who] in content]
    kept = [who for number, who in enumerate(people) if number % 10 != 3]
    assert all(record.count == 48 for record in await store.read([people[who] for who in kept]))


async def test_scan_yields_everybody(place):
    store = await place.open()
    names = {KEY.user(f"u{number}") for number in range(1_100)}
    await asyncio.gather(*(put(store, name, event(age_s=100)) for name in names))
    records = {name: record async for name, record in store.scan()}
    assert set(records) == names
    versions = {one.pseudonym: (one.version, one.oldest_s) async for page in store.versions() for one in page}
    assert versions == {name: (record.version, record.oldest_s) for name, record in records.items()}


async def test_a_store_of_another_key_is_refused(place):
    await place.open()
    with pytest.raises(ConfigurationError, match="another key"):
        await place.open(Pseudonyms(b"x" * 32))


def test_a_damaged_record_is_noticed():
    record = append(None, [event("a")], KEEP, time.time()).record
    with pytest.raises(DamagedRecord):
        UserRecord(1, 1, 0.0, b"", record.events[:-3]).read()
