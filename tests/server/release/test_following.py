import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from core.retrieval.choice_counts import ChoiceCounts
from core.retrieval.source import SourceQuery
from domain.errors import EncoderUnavailable
from server.release import following as following_module
from server.release.following import FollowingRelease
from server.release.log_refresh import LogRefresh
from server.users.outcomes import ShownItems
from tests.support.live import live_shop, product


@pytest.fixture
async def shop(served, tmp_path):
    async with live_shop(served.release, tmp_path / "catalogue") as shop:
        yield shop


async def holds(following, item_id, *, there=True):
    async with asyncio.timeout(20):
        while (item_id in following.view.catalogue.rows_of([item_id])) is not there:
            await asyncio.sleep(0.01)


async def test_a_second_release_takes_part_in_changes(shop, other):
    await shop.upsert(product("before", "word1 word2"))
    following = FollowingRelease(other, 0.3)
    await following.open(shop.store)
    assert following.view.catalogue.rows_of(["before"])
    await shop.upsert(product("after", "word3 word4"))
    await holds(following, "after")
    await shop.delete("before")
    await holds(following, "before", there=False)
    row = following.view.catalogue.rows_of(["after"])["after"]
    assert following.view.catalogue.vectors_of([row]).any()
    await following.aclose()
    await shop.upsert(product("later", "word5"))
    await asyncio.sleep(0.2)
    assert not following.view.catalogue.rows_of(["later"])


async def test_one_that_fell_behind_begins_again(shop, other):
    following = FollowingRelease(other, 0.3)
    await following.open(shop.store)
    following._tap.overflowed = True
    await shop.upsert(product("after", "word3 word4"))
    await holds(following, "after")
    assert not following._tap.overflowed
    await following.aclose()


async def test_it_serves_by_stored_events_as_the_live_one_does(shop, other):
    counts = ChoiceCounts()
    for _ in range(200):
        counts.add(["item-57", "new"], [True, True])
    following = FollowingRelease(other, 0.3)
    await following.open(shop.store)
    await shop.upsert(product("new", "word3 word4"))
    await holds(following, "new")

    async def choices(since_s):
        return counts

    async def shown(release_id):
        return ShownItems()

    heard = []
    observer = SimpleNamespace(tables_refreshed=lambda *told: heard.append(told))
    refresh = LogRefresh(lambda: [shop.serving, following], choices, shown, 0.01, observer)
    task = asyncio.create_task(refresh.run())
    async with asyncio.timeout(20):
        while not following.is_refreshed:
            await asyncio.sleep(0.01)
    task.cancel()
    for view in (shop.serving.view(), following.view):
        nothing = np.zeros(view.catalogue.view.row_count, bool)
        best = view.sources.get("popular").search(SourceQuery(), 2, nothing)[0].tolist()
        assert view.catalogue.ids_of(best)[0] == "item-57"
    # A change that comes later is shown by the same tables.
    await shop.upsert(product("later", "word5"))
    await holds(following, "later")
    assert following.view.sources.get("popular") is following._learned.sources.get("popular")


async def test_one_whose_new_beginning_failed_begins_once_more(shop, other, monkeypatch):
    monkeypatch.setattr("server.release.following._AGAIN_S", 0.05)
    following = FollowingRelease(other, 0.3)
    await following.open(shop.store)
    changed, failures = following_module.changed_segment, [EncoderUnavailable("away"), ValueError("unforeseen")]

    async def failing(*arguments):
        if failures:
            raise failures.pop(0)
        return await changed(*arguments)

    monkeypatch.setattr(following_module, "changed_segment", failing)
    following._tap.overflowed = True
    await shop.upsert(product("after", "word3 word4"))
    await holds(following, "after")
    assert not failures and not following._tap.overflowed
    await following.aclose()


async def test_what_waits_for_the_encoder_is_bounded(shop, other, monkeypatch):
    monkeypatch.setattr("server.release.following._AGAIN_S", 0.01)
    monkeypatch.setattr("server.release.following.MOST_KEPT", 2)
    following = FollowingRelease(other, 0.3)
    await following.open(shop.store)
    later, away = following_module.later_changes, [True]

    async def failing(release, changes, *arguments):
        assert len(changes) <= 2
        if away:
            raise EncoderUnavailable("away")
        return await later(release, changes, *arguments)

    monkeypatch.setattr(following_module, "later_changes", failing)
    for number in range(4):
        await shop.upsert(product(f"after-{number}", "word3 word4"))
        await asyncio.sleep(0.15)
    away.clear()
    await holds(following, "after-3")
    assert len(following.view.catalogue.rows_of([f"after-{number}" for number in range(4)])) == 4
    await following.aclose()
