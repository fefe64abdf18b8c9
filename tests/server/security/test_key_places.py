"""Places of API keys: the same promises of a file and of a real redis-server."""

import asyncio
import contextlib
import threading
from datetime import UTC, datetime, timedelta

import pytest
import redis
from structlog.testing import capture_logs

from domain.errors import ConfigurationError, StoreUnavailable, Unauthenticated
from server.admission.quota import Quota
from server.security.api_keys import digest_of, new_key
from server.security.authentication import Authenticator
from server.security.key_place import key_place
from server.security.redis_keys import PolledKeys, RedisKeys
from server.security.scopes import Scope
from tests.support.redis_server import redis_server

READ = frozenset({Scope.READ})


def made(name, scopes=READ, days=None, quota=None):
    return new_key(name, scopes, days=days, quota=quota)


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("keys"), "--save", "") as (port, _):
        yield port


@pytest.fixture(params=["file", "redis"])
def where(request, tmp_path):
    """What `api_keys` and `--keys` name."""
    if request.param == "file":
        return str(tmp_path / "keys.toml")
    port = request.getfixturevalue("redis_port")
    redis.Redis(port=port).flushall()
    return f"redis://127.0.0.1:{port}"


def test_a_key_that_was_added_is_there_for_others_with_all_it_has(where):
    key, entry = made("web", READ | {Scope.ADMIN}, days=30, quota=Quota(5.0, 7.0))
    key_place(where).add(entry)
    assert key_place(where).keys() == {digest_of(key): entry}
    assert entry.identity.quota == Quota(5.0, 7.0)
    assert entry.expires - datetime.now(UTC) > timedelta(days=29)


def test_a_name_is_taken_once_and_free_after_it_was_revoked(where):
    place = key_place(where)
    place.add(made("web")[1])
    with pytest.raises(ConfigurationError, match="already"):
        place.add(made("web")[1])
    place.add(made("other")[1])
    place.revoke("web")
    assert [key.identity.name for key in place.keys().values()] == ["other"]
    with pytest.raises(ConfigurationError, match="no key"):
        place.revoke("web")
    place.add(made("web")[1])


def test_keys_that_are_added_at_once_are_all_there(where):
    adders = [threading.Thread(target=lambda n=n: key_place(where).add(made(f"key-{n}")[1])) for n in range(12)]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()
    assert len(key_place(where).keys()) == 12


def test_the_key_itself_is_kept_nowhere(where, tmp_path, request):
    key, entry = made("web")
    key_place(where).add(entry)
    if where.startswith("redis"):
        kept = str(redis.Redis(port=request.getfixturevalue("redis_port")).hgetall("shortlist:api-keys"))
    else:
        kept = (tmp_path / "keys.toml").read_text()
    assert entry.sha256 in kept and key not in kept


def test_a_damaged_key_is_named(redis_port):
    with redis.Redis(port=redis_port) as client:
        client.flushall()
        for text in ("{", '{"sha256": "x", "scopes": ["read"]}', "[1]", '{"scopes": ["read"]}', '{"expires": 3}'):
            client.hset("shortlist:api-keys", "web", text)
            with pytest.raises(ConfigurationError, match="web"):
                key_place(f"redis://127.0.0.1:{redis_port}").keys()


@pytest.mark.parametrize(
    "wrong",
    [{"days": 0.0}, {"days": float("nan")}, {"days": 1e9}, {"quota": Quota(0.0, 1.0)}, {"quota": Quota(5e6, 5e6)},
     {"quota": Quota(float("nan"), 1.0)}],
)  # fmt: skip
def test_a_key_that_no_gateway_would_read_is_not_made(wrong):
    with pytest.raises(ConfigurationError, match="a key"):
        made("web", **wrong)


async def test_a_damaged_key_keeps_no_change_of_another_away(redis_port):
    with redis.Redis(port=redis_port) as client:
        client.flushall()
        place = RedisKeys(f"redis://127.0.0.1:{redis_port}")
        keys = PolledKeys(place)
        place.add(made("gone")[1])
        place.add(made("kept")[1])
        for text in ("{", b"\xff", "[" * 100_000, '{"sha256": "x"}'):
            client.hset("shortlist:api-keys", "web", text)
            with capture_logs() as logs:
                await keys.refresh()
            assert {key.identity.name for key in keys.get().values()} == {"gone", "kept"}
            assert "web" in logs[0]["errors"][0] if logs else text != "{"
        place.revoke("gone")
        await keys.refresh()
        assert [key.identity.name for key in keys.get().values()] == ["kept"]


def test_a_redis_that_is_not_there_is_told_without_its_password():
    with pytest.raises(StoreUnavailable) as told:
        key_place("redis://:secret@127.0.0.1:9").keys()
    assert "secret" not in str(told.value)


class Context:
    """The part of a call that tells who makes it."""

    def __init__(self, key):
        self._key = key

    def invocation_metadata(self):
        return (("authorization", f"Bearer {self._key}"),)


async def test_a_gateway_takes_changes_over_and_goes_on_while_redis_is_away(tmp_path):
    method = "/shortlist.v1.RecommenderService/Recommend"
    with redis_server(tmp_path, "--save", "") as (port, process):
        place = RedisKeys(f"redis://127.0.0.1:{port}")
        keys = PolledKeys(place)
        await keys.refresh()
        callers = Authenticator(keys)
        watching = asyncio.create_task(keys.watch())

        async def is_known(key) -> bool:
            with contextlib.suppress(Unauthenticated):
                return await callers.authorized(method, Context(key)) is not None
            return False

        async def until_known(key, known):
            async with asyncio.timeout(10):
                while await is_known(key) is not known:
                    await asyncio.sleep(0.05)

        (kept, kept_entry), (gone, gone_entry) = made("kept"), made("gone")
        assert not await is_known(kept)
        place.add(kept_entry)
        place.add(gone_entry)
        await until_known(kept, known=True)
        place.revoke("gone")
        await until_known(gone, known=False)
        process.kill()
        process.wait()
        await asyncio.sleep(1.5)
        assert await is_known(kept)
        watching.cancel()


async def test_a_gateway_does_not_start_without_its_redis():
    with pytest.raises(StoreUnavailable):
        await PolledKeys(RedisKeys("redis://127.0.0.1:9")).refresh()
