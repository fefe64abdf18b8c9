"""A store that is full, locked, gone, corrupt, on a network's disk, or that may lose what it acknowledged."""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from domain.errors import ConfigurationError, StoreFull, StoreUnavailable
from server.users import group_commit, redis_store
from server.users.redis_store import RedisStore
from server.users.sqlite_place import check_place
from server.users.sqlite_store import SqliteStore
from tests.server.users.conftest import KEY
from tests.server.users.test_store import ANN, KEEP, event, items, put
from tests.support.redis_server import DURABLE, redis_server


@pytest.fixture
async def store(tmp_path):
    found = SqliteStore(tmp_path / "users.sqlite", KEY)
    await found.open()
    yield found
    await found.aclose()


async def test_gone(store, tmp_path):
    await put(store, ANN, event())
    (tmp_path / "users.sqlite").unlink()
    with pytest.raises(StoreUnavailable, match="gone"):
        await put(store, ANN, event())
    with pytest.raises(StoreUnavailable, match="gone"):
        await store.read([ANN])


async def test_replaced(store, tmp_path):
    await put(store, ANN, event())
    (tmp_path / "users.sqlite").rename(tmp_path / "old")
    (tmp_path / "users.sqlite").touch()
    with pytest.raises(StoreUnavailable, match="another file"):
        await put(store, ANN, event())


async def test_corrupt(tmp_path):
    path = tmp_path / "users.sqlite"
    path.write_bytes(b"not a database at all" * 500)
    store = SqliteStore(path, KEY)
    with pytest.raises(StoreUnavailable, match="corrupt"):
        await store.open()
    await store.aclose()


async def test_damaged_while_open(store, tmp_path):
    for number in range(50):
        await put(store, KEY.user(f"u{number}"), *(event(comment="x" * 500) for _ in range(20)))
    with sqlite3.connect(tmp_path / "users.sqlite") as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    with (tmp_path / "users.sqlite").open("r+b") as file:
        file.seek(8_192)
        file.write(os.urandom(60_000))
    refused = 0
    for number in range(50):
        try:
            await put(store, KEY.user(f"u{number}"), event())
        except StoreUnavailable:
            refused += 1
    assert refused


async def test_locked(store, tmp_path):
    store._file.abandon()
    other = sqlite3.connect(tmp_path / "users.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    connect = store._file.connect

    def impatient():
        connection = connect()
        connection.execute("PRAGMA busy_timeout = 50")
        return connection

    store._file.connect = impatient
    with pytest.raises(StoreUnavailable, match="another process"):
        await put(store, ANN, event())
    other.execute("COMMIT")
    other.close()
    assert (await put(store, ANN, event("a"))).recorded == 1


async def test_a_reader_that_fails_is_closed(store, tmp_path):
    await put(store, ANN, event())
    with contextlib.closing(sqlite3.connect(tmp_path / "users.sqlite")) as other:
        other.execute("ALTER TABLE users RENAME TO away")
        for _ in range(10):
            with pytest.raises(StoreUnavailable):
                await store.read([ANN])
        assert store._opened == []
        other.execute("ALTER TABLE away RENAME TO users")
    (ann,) = await store.read([ANN])
    assert items(ann) == ["a"]


async def test_who_reads_the_log_holds_up_forgetting_alone(store, tmp_path, monkeypatch):
    monkeypatch.setattr(group_commit, "_CHECKPOINT_S", 0.5)
    await put(store, ANN, event())
    with contextlib.closing(sqlite3.connect(tmp_path / "users.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM users").fetchall()
        forgotten = asyncio.create_task(store.delete([ANN]))
        done = await asyncio.gather(*(put(store, KEY.user(f"u{number}"), event()) for number in range(5)))
        assert [one.recorded for one in done] == [1] * 5
        assert not forgotten.done()
        assert await store.merge(KEY.user("u1"), KEY.user("u2"), KEEP) is not None
        with pytest.raises(StoreUnavailable, match="the events are deleted"):
            await forgotten
    assert not await store.delete([ANN])
    assert (tmp_path / "users.sqlite-wal").stat().st_size == 0


async def test_full_disk_and_room_again(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    mount = tmp_path / "small"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip(f"no tmpfs can be mounted: {made.stderr.decode().strip()}")
    store = SqliteStore(mount / "users.sqlite", KEY)
    try:
        await store.open()
        await put(store, ANN, event("first"))
        ballast = mount / "ballast"
        handle = os.open(ballast, os.O_WRONLY | os.O_CREAT)
        with pytest.raises(OSError):
            while True:
                os.write(handle, b"x" * 4_096)
        os.close(handle)
        with pytest.raises(StoreFull):
            await put(store, ANN, *(event(comment="x" * 5_000) for _ in range(100)))
        (ann,) = await store.read([ANN])
        assert items(ann) == ["first"]
        ballast.unlink()
        assert (await put(store, ANN, event("second"))).recorded == 1
    finally:
        await store.aclose()
        subprocess.run(["umount", str(mount)], check=True)


def test_a_networks_disk_is_refused(tmp_path):
    mounts = [("/", "ext4"), (str(tmp_path), "nfs4"), (str(tmp_path / "local"), "xfs")]
    with pytest.raises(ConfigurationError, match="nfs4"):
        check_place(tmp_path / "users.sqlite", mounts)
    check_place(tmp_path / "local" / "users.sqlite", mounts)
    check_place(Path("/elsewhere/users.sqlite"), mounts)


async def test_the_file_is_the_owners_alone(store, tmp_path):
    await put(store, ANN, event())
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("users.sqlite*")} == {0o600}


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--save", ""), "appendonly is off"),
        (("--appendonly", "yes", "--appendfsync", "everysec"), "appendfsync is everysec"),
        ((*DURABLE[:4], "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"), "maxmemory-policy"),
    ],
)
async def test_a_redis_that_may_lose_is_refused_or_says_so(tmp_path, flags, why):
    with redis_server(tmp_path, *flags) as (port, _):
        url = f"redis://127.0.0.1:{port}"
        store = RedisStore(url, KEY)
        with pytest.raises(ConfigurationError, match=why):
            await store.open()
        await store.aclose()
        allowed = RedisStore(url, KEY, allow_not_durable=True)
        await allowed.open()
        assert not allowed.durable
        await allowed.aclose()


async def test_a_redis_that_begins_to_lose_is_noticed_while_serving(tmp_path, monkeypatch):
    monkeypatch.setattr(redis_store, "_CHECK_S", 0.0)
    with redis_server(tmp_path / "redis", *DURABLE) as (port, _), redis.Redis(port=port) as other:
        url = f"redis://127.0.0.1:{port}"
        store, lenient = RedisStore(url, KEY), RedisStore(url, KEY, allow_not_durable=True)
        for one in (store, lenient):
            await one.open()
        assert store.durable
        assert lenient.durable
        other.config_set("appendfsync", "everysec")
        with pytest.raises(StoreUnavailable, match="appendfsync is everysec"):
            await put(store, ANN, event("a"))
        await put(lenient, ANN, event("a"))
        assert not lenient.durable
        other.config_set("appendfsync", "always")
        assert (await put(store, ANN, event("b"))).recorded == 1
        before = store.store_id
        other.flushall()
        await put(store, ANN, event("a"))
        assert store.store_id != before
        other.hset("shortlist:store", "key", b"another!")
        with pytest.raises(StoreUnavailable, match="another key"):
            await put(store, ANN, event("c"))
        for one in (store, lenient):
            await one.aclose()


async def test_redis_killed_at_once_keeps_what_it_acknowledged(tmp_path):
    with redis_server(tmp_path, *DURABLE) as (port, process):
        store = RedisStore(f"redis://127.0.0.1:{port}", KEY)
        await store.open()
        assert store.durable
        for number in range(20):
            await put(store, ANN, event(f"i{number}"))
        process.kill()
        process.wait()
        with pytest.raises(StoreUnavailable):
            await put(store, ANN, event("lost"))
        await store.aclose()
    with redis_server(tmp_path, *DURABLE) as (port, _):
        store = RedisStore(f"redis://127.0.0.1:{port}", KEY)
        await store.open()
        (ann,) = await store.read([ANN])
        assert items(ann) == [f"i{number}" for number in range(20)]
        await store.aclose()


def test_a_killed_writer_loses_nothing_that_was_acknowledged(tmp_path):
    program = """
import asyncio, os, sys
from pathlib import Path
from server.users.sqlite_store import SqliteStore
from tests.server.users.conftest import KEY
from tests.server.users.test_store import ANN, event, put
async def main():
    store = SqliteStore(Path(sys.argv[1]), KEY)
    await store.open()
    for number in range(100_000):
        await put(store, ANN if number % 2 else KEY.user(f"u{number}"), event(f"i{number}"))
        print(number, flush=True)
asyncio.run(main())
"""
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "users.sqlite")], stdout=subprocess.PIPE, text=True, cwd=root
    )
    last = -1
    for line in process.stdout:
        last = int(line)
        if last >= 60:
            process.kill()
            break
    last = max([last, *(int(line) for line in process.stdout if line.strip().isdigit())])
    process.wait()
    with sqlite3.connect(tmp_path / "users.sqlite") as connection:
        count = connection.execute("SELECT sum(count) FROM users").fetchone()[0]
    connection.close()
    assert count >= last + 1 > 60
