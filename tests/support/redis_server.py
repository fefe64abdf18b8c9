"""A real redis-server for tests."""

import contextlib
import shutil
import subprocess
import time

import pytest
import redis

from tests.support.ports import pick

DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--save", "")


@contextlib.contextmanager
def redis_server(folder, *arguments):
    """Runs a redis-server over a folder; yields its port and process."""
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        pytest.skip("no redis-server; `apt-get install redis-server` has one")
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = pick("127.0.0.1", 1)
    words = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *arguments]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port)
        end_s = time.monotonic() + 20
        while True:
            try:
                client.ping()
                break
            except redis.RedisError:
                assert time.monotonic() < end_s, "redis-server does not answer"
                time.sleep(0.02)
        client.close()
        yield port, process
    finally:
        process.kill()
        process.wait()
