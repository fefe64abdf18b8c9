import asyncio
import gc
from dataclasses import replace

import pytest

from domain.errors import Overloaded
from server.observability.metrics import Metrics
from server.release.loaded import LoadedReleases
from server.release.loader import ReleaseLoader
from server.release.model_loader import ModelLoader


@pytest.fixture
def copies(served):
    """Makes releases with an encoder of their own."""

    def make():
        closed = []

        class Batcher:
            async def aclose(self):
                closed.append(True)

        encoder = replace(served.release.encoder, batcher=Batcher())
        return replace(served.release, encoder=encoder), closed

    return make


def loaded_over(served, live, longest_use_s):
    loader = ReleaseLoader(ModelLoader(served.triton, None, None, shared=False), Metrics(), 0.3)
    return LoadedReleases(loader, lambda: live, longest_use_s)


async def test_an_old_release_is_dropped_after_its_last_request(served, copies):
    loaded = loaded_over(served, served.release, 60.0)
    old, closed = copies()
    request = replace(old)  # a request's view of it
    loaded.drop_after_use(old)
    del old
    await asyncio.sleep(0.05)
    assert not closed
    del request
    gc.collect()
    async with asyncio.timeout(5):
        while not closed:
            await asyncio.sleep(0.01)


async def test_a_request_without_end_keeps_a_release_for_a_time_only(served, copies):
    loaded = loaded_over(served, served.release, 0.1)
    old, closed = copies()
    loaded.drop_after_use(old)
    async with asyncio.timeout(5):
        while not closed:
            await asyncio.sleep(0.01)


async def test_a_drop_is_waited_for_and_another_load_is_refused(served):
    loaded = loaded_over(served, served.release, 60.0)
    entered, go = asyncio.Event(), asyncio.Event()

    async def load():
        async with loaded.alone():
            entered.set()
            await go.wait()

    async with loaded.turn:  # as a drop holds it
        waiting = asyncio.create_task(load())
        await asyncio.sleep(0)
        assert not entered.is_set()
        with pytest.raises(Overloaded, match="another release is being loaded"):
            await load()
    await asyncio.wait_for(entered.wait(), 5)
    go.set()
    await waiting
    await asyncio.wait_for(load(), 5)
