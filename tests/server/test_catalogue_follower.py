import asyncio
import copy
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
import pytest

from domain.errors import EncoderUnavailable, FollowsWriter, StorageError
from domain.progress import SilentProgress
from server.catalogue.live_catalogue import LiveCatalogue
from server.catalogue.segment import LiveSegment
from server.catalogue.store import CatalogueStore
from server.catalogue_follower import CatalogueFollower, Writer
from server.release.live_view import base_segment
from server.release.serving import LiveServing
from server.rpc.interceptor import CallInterceptor, DeadlineLimits
from server.rpc.replication import ReplicationServicer
from shortlist.v1 import replication_pb2 as pb
from shortlist.v1 import replication_pb2_grpc
from tests.support.fakes_server import NotedCalls
from tests.support.live import live_shop, product


class State:
    def __init__(self):
        self.connected, self.lag_changes = False, None

    def following(self, *, connected, lag_changes, behind_s):
        self.connected, self.lag_changes = connected, lag_changes


@pytest.fixture
async def shop(served, tmp_path):
    async with live_shop(served.release, tmp_path / "writer") as shop:
        yield shop


@asynccontextmanager
async def served_changes(shop, port=0, stopping=None):
    interceptor = CallInterceptor(DeadlineLimits(5.0, 10.0), 100, 4 << 20, NotedCalls())
    server = grpc.aio.server(interceptors=[interceptor])
    replication_pb2_grpc.add_ReplicationServiceServicer_to_server(
        ReplicationServicer(lambda: shop.store, stopping), server
    )
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


@asynccontextmanager
async def following(release, address, folder):
    store = CatalogueStore(folder, follows=True)
    serving = await LiveServing.over(release, store, 0.3, SilentProgress())
    follower = CatalogueFollower(Writer(address), lambda: serving, 0.3, state := State())
    task = asyncio.create_task(follower.run())
    try:
        yield serving, state
    finally:
        task.cancel()
        await asyncio.wait([task])
        await asyncio.to_thread(store.close)


async def caught_up(shop, serving):
    """Waits until a follower shows what its writer does, under the same number, and returns it."""
    expected = states(shop.store)
    async with asyncio.timeout(20):
        while serving.store.sequence != shop.store.sequence or states(serving.store) != expected:
            await asyncio.sleep(0.01)
    return states(serving.store)


def states(store):
    catalogue = store.current
    return {catalogue.segment.id_of(row): catalogue.state_of(row) for row in catalogue.rows_from(0, changed_only=True)}


async def test_a_follower_takes_changes_and_goes_on_after_a_break(shop, served, tmp_path):
    await shop.upsert(product("first", "word1 word2", price=3.0))
    async with (
        served_changes(shop) as address,
        following(served.release, address, tmp_path / "copy") as (serving, state),
    ):
        assert await caught_up(shop, serving) == states(shop.store)
        await shop.upsert(product("second", "word3 word4"))
        await shop.edit("first", attributes={"price": 4.0})
        await shop.delete("item-03")
        found = await caught_up(shop, serving)
        assert found == states(shop.store) and found["first"].item.attributes == {"price": 4.0}
        assert not serving.view().catalogue.rows_of(["item-03"])
        async with asyncio.timeout(10):
            while not state.connected or state.lag_changes:
                await asyncio.sleep(0.01)
        names = {path.name for path in (tmp_path / "copy").glob("state-*")}
    await shop.upsert(product("third", "word5"))
    async with (
        served_changes(shop, int(address.rpartition(":")[2])),
        following(served.release, address, tmp_path / "copy") as (serving, _),
    ):
        assert "third" in await caught_up(shop, serving)
        # It went on where it was: no whole state was sent again.
        assert {path.name for path in (tmp_path / "copy").glob("state-*")} == names


async def test_a_follower_behind_a_compacted_log_gets_the_state(shop, served, tmp_path):
    await shop.upsert(product("first", "word1 word2"))
    async with served_changes(shop) as address:
        async with following(served.release, address, tmp_path / "copy") as (serving, _):
            await caught_up(shop, serving)
        await shop.upsert(product("second", "word3 word4"), product("third", "word5 word6"))
        await shop.delete("first")
        await asyncio.to_thread(shop.store.compact)
        async with following(served.release, address, tmp_path / "copy") as (serving, _):
            found = await caught_up(shop, serving)
            assert found.keys() == {"second", "third"}
            await shop.upsert(product("fourth", "word7"))
            assert "fourth" in await caught_up(shop, serving)
        async with following(served.release, address, tmp_path / "copy") as (serving, _):
            assert states(serving.store).keys() >= {"second", "third", "fourth"}


async def test_a_follower_with_another_encoder_embeds_itself(shop, other, tmp_path):
    await shop.upsert(product("first", "word1 word2"))
    async with served_changes(shop) as address, following(other, address, tmp_path / "copy") as (serving, _):
        await caught_up(shop, serving)
        await shop.upsert(product("second", "word3 word4"))
        await caught_up(shop, serving)
        catalogue = serving.view().catalogue
        rows = list(catalogue.rows_of(["first", "second"]).values())
        assert len(rows) == 2 and catalogue.vectors_of(rows).any(axis=1).all()


async def test_own_changes_of_before_are_kept_aside(shop, served, tmp_path):
    async with live_shop(served.release, tmp_path / "copy") as own:
        await own.upsert(product("mine", "word9"))
    await shop.upsert(product("first", "word1 word2"))
    async with (
        served_changes(shop) as address,
        following(served.release, address, tmp_path / "copy") as (serving, _),
    ):
        assert (await caught_up(shop, serving)).keys() == {"first"}
    assert len(list((tmp_path / "copy").glob("before-following-*/snapshot.json"))) == 1


async def test_who_stops_following_has_a_catalogue_of_its_own(shop, served, tmp_path):
    await shop.upsert(product("first", "word1 word2"))
    async with served_changes(shop) as address:
        async with following(served.release, address, tmp_path / "copy") as (serving, _):
            await caught_up(shop, serving)
            copied = serving.store.identity.catalogue_id
        async with live_shop(served.release, tmp_path / "copy") as own:
            assert own.store.identity.catalogue_id != copied and states(own.store).keys() == {"first"}


async def test_a_follower_refuses_changes_and_names_the_writer(shop):
    refusing = replace(shop.writer, follows="10.0.0.7:8470")
    shop.writer = refusing
    for change in (shop.upsert(product("x", "word1")), shop.delete("x"), shop.edit("x", available=False)):
        with pytest.raises(FollowsWriter, match=r"10\.0\.0\.7:8470"):
            await change


async def test_a_state_that_takes_long_to_read_is_waited_for(shop, served, tmp_path, monkeypatch):
    monkeypatch.setattr("server.catalogue_follower._SILENT_S", 0.3)
    monkeypatch.setattr("server.rpc.replication._SAY_EVERY_S", 0.05)
    read = shop.store.open_feed

    def slow(*arguments):
        time.sleep(0.8)
        return read(*arguments)

    shop.store.open_feed = slow
    await shop.upsert(product("first", "word1 word2"))
    async with (
        served_changes(shop) as address,
        following(served.release, address, tmp_path / "copy") as (serving, _),
    ):
        await caught_up(shop, serving)


async def test_a_follower_that_leaves_while_the_state_is_read_leaves_no_tap(shop, served):
    await shop.upsert(product("first", "word1 word2"))
    go, begun, read = threading.Event(), threading.Event(), shop.store.open_feed

    def slow(*arguments):
        begun.set()
        go.wait(10)
        return read(*arguments)

    shop.store.open_feed = slow
    async with served_changes(shop) as address:
        messages = Writer(address).messages(pb.FollowChangesRequest())
        await anext(messages)
        assert await asyncio.to_thread(begun.wait, 10)
        await messages.aclose()
        await asyncio.sleep(0.2)
        go.set()
        await asyncio.sleep(0.2)
        assert tuple(shop.store._taps) == ()


async def test_a_writer_that_stops_waits_for_no_follower(shop):
    stopping = asyncio.Event()
    async with served_changes(shop, stopping=stopping) as address:
        messages = Writer(address).messages(pb.FollowChangesRequest())
        await anext(messages)
        stopping.set()
        async with asyncio.timeout(5):
            async for _ in messages:
                pass


async def test_no_more_followers_than_so_many(shop, monkeypatch):
    monkeypatch.setattr("server.rpc.replication._MOST_FOLLOWERS", 1)
    async with served_changes(shop) as address:
        first, second = (Writer(address).messages(pb.FollowChangesRequest()) for _ in range(2))
        await anext(first)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anext(second)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await first.aclose()


async def test_a_copy_that_was_damaged_takes_the_whole_state(shop, served, tmp_path):
    await shop.upsert(*(product(f"item-x{number}", "word1 word2") for number in range(3)))
    async with served_changes(shop) as address:
        async with following(served.release, address, tmp_path / "copy") as (serving, _):
            await caught_up(shop, serving)
            await shop.upsert(product("lost", "word3 word4"))
            await shop.upsert(product("kept", "word5 word6"))
            await caught_up(shop, serving)
        log = max((tmp_path / "copy").glob("changes-*.log"))
        content = bytearray(log.read_bytes())
        content[len(content) // 4] ^= 0xFF
        log.write_bytes(content)
        async with following(served.release, address, tmp_path / "copy") as (serving, _):
            await caught_up(shop, serving)


async def test_a_state_of_another_release_than_is_served_by_now_is_not_shown(shop, served, other):
    release = replace(other, data=replace(other.data, items=copy.copy(other.data.items)))
    segment = LiveSegment(base_segment(release))
    shown = LiveCatalogue(segment, segment.view(), release.data.mean)
    await shop.upsert(product("first", "word1 word2"))
    identity, sequence = shop.store.identity.catalogue_id, shop.store.sequence
    with pytest.raises(EncoderUnavailable, match="switched"):
        await asyncio.to_thread(shop.store.begin_again, {}, 9, "another", shown)
    assert shop.store.identity.catalogue_id == identity and shop.store.sequence == sequence


async def test_a_copy_that_was_replaced_half_asks_for_the_whole_state(shop, served, tmp_path, monkeypatch):
    await shop.upsert(product("first", "word1 word2"))
    async with (
        served_changes(shop) as address,
        following(served.release, address, tmp_path / "copy") as (serving, _),
    ):
        await caught_up(shop, serving)
        store = serving.store

        def ends(_):
            raise StorageError("the process ends here")

        monkeypatch.setattr(store._log_file, "begin_again", ends)
        with pytest.raises(StorageError):
            await asyncio.to_thread(store.begin_again, {}, 9, "another", store.current)
        assert store.identity.catalogue_id == ""
