"""Stores to test: a SQLite file, and a real redis-server with `appendfsync always`."""

import contextlib
import sqlite3

import pytest
import redis

from server.users.pseudonyms import Pseudonyms
from server.users.redis_store import RedisStore
from server.users.sqlite_store import SqliteStore
from tests.support.redis_server import DURABLE, redis_server

KEY = Pseudonyms(b"k" * 32)


class Place:
    """Where a store keeps its files, and how to open it again as another gateway would."""

    def __init__(self, kind, folder, port=None):
        self.kind = kind
        self.folder = folder
        self.port = port
        self.opened = []

    async def open(self, key=KEY):
        store = (
            SqliteStore(self.folder / "users.sqlite", key)
            if self.kind == "sqlite"
            else RedisStore(f"redis://127.0.0.1:{self.port}", key)
        )
        self.opened.append(store)
        await store.open()
        return store

    async def damage(self, name):
        """Cuts off what is kept under a name."""
        if self.kind == "redis":
            with redis.Redis(port=self.port) as client:
                key = b"shortlist:user:" + name
                client.hset(key, "events", client.hget(key, "events")[:-3])
            return
        with contextlib.closing(sqlite3.connect(self.folder / "users.sqlite")) as other, other:
            other.execute(
                "UPDATE users SET events = substr(events, 1, length(events) - 3) WHERE pseudonym = ?", (name,)
            )

    def bytes_on_disk(self):
        return {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis")
    with redis_server(folder, *DURABLE) as (port, _):
        yield folder, port


@pytest.fixture(params=["sqlite", "redis"])
async def place(request, tmp_path):
    if request.param == "sqlite":
        found = Place("sqlite", tmp_path)
    else:
        folder, port = request.getfixturevalue("shared_redis")
        redis.Redis(port=port).flushall()
        found = Place("redis", folder, port)
    yield found
    for store in found.opened:
        await store.aclose()
