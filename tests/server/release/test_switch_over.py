"""Changes of a catalogue on their way to another release, while the disk fails and callers leave."""

import asyncio
import threading
from dataclasses import replace

import pytest

from domain.errors import StorageError
from server.release import serving as serving_module
from server.release.serving import switch_over
from tests.support.live import live_shop, product


@pytest.fixture
async def shop(served, tmp_path):
    async with live_shop(served.release, tmp_path / "catalogue") as shop:
        yield shop


async def switch(shop, release):
    async def take_over(new):
        shop.serving = new

    await switch_over(shop.serving, release, 0.3, take_over)


async def test_a_release_serves_where_its_vectors_cannot_be_written(shop, other, monkeypatch):
    def full(*_):
        raise StorageError("no space left")

    await shop.upsert(product("new", "zircon plum"))
    monkeypatch.setattr(shop.store, "adopt", full)
    await switch(shop, other)
    assert shop.serving.release is other
    assert "new" in shop.serving.view().catalogue.rows_of(["new"])


async def test_a_caller_who_leaves_does_not_stop_a_switch_half_way(shop, other):
    reached, go = threading.Event(), threading.Event()
    before = shop.store.replace_segment

    def slow(*arguments):
        before(*arguments)
        reached.set()
        go.wait(10)

    shop.store.replace_segment = slow
    task = asyncio.create_task(switch(shop, other))
    assert await asyncio.to_thread(reached.wait, 10)
    task.cancel()
    await asyncio.sleep(0.05)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert shop.serving.release is other


async def test_attributes_that_do_not_fit_a_release_stay_on_the_disk(shop, other, monkeypatch):
    await shop.upsert(product("new", "zircon plum", label="rare"))
    with monkeypatch.context() as misfits:
        bare = product("new", "zircon plum")
        without = lambda states, _: {name: replace(one, item=bare) for name, one in states.items()}  # noqa: E731
        misfits.setattr(serving_module, "_fitting", without)
        await switch(shop, other)
    states, tap = await asyncio.to_thread(shop.store.open_tap)
    shop.store.close_tap(tap)
    assert states["new"].item.attributes == {"label": "rare"}
    assert states["new"].encoder == serving_module.encoder_key(other.manifest)
