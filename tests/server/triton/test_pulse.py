"""A Triton that is suspended, and one whose stub dies: noticed within a second, always the real one."""

import asyncio
import os
import signal
import time

import pytest

from core.triton.model_config import encoder_config
from domain.errors import TritonUnresponsive
from server.triton.client import TritonClient
from server.triton.embedded import EmbeddedTriton
from server.triton.pulse import Pulse
from tests.server.triton.test_embedded_triton import triton_processes_of, until
from tests.support.encoder_calls import encode

pytestmark = pytest.mark.triton

CONFIG = encoder_config(max_tokens=16)


@pytest.fixture
async def watched(settings):
    """A Triton with its pulse, a client, and the times at which a stub was found dead."""
    dead = []

    async def load() -> None:
        await client.load("encoder", CONFIG, [1], timeout_s=30)

    async with EmbeddedTriton(settings, load) as triton, TritonClient(triton.grpc_address) as client:
        await load()
        task = asyncio.create_task(Pulse(client, triton, lambda: dead.append(time.monotonic())).run())
        yield triton, client, dead
        task.cancel()


async def test_a_suspended_server_is_noticed_within_a_second_and_calls_under_way_end(watched, texts):
    triton, client, _ = watched
    request = texts(1, 16)
    before = await encode(client, *request, version=1, timeout_s=5)
    os.kill(triton.pid, signal.SIGSTOP)
    started = time.monotonic()
    try:
        with pytest.raises(TritonUnresponsive, match="does not answer"):
            await encode(client, *request, version=1, timeout_s=10)
        assert time.monotonic() - started <= 1.3  # a second, and a loaded machine
        started = time.monotonic()
        with pytest.raises(TritonUnresponsive):
            await encode(client, *request, version=1, timeout_s=10)
        assert time.monotonic() - started < 0.1
    finally:
        os.kill(triton.pid, signal.SIGCONT)
    await until(lambda: not client.is_silent, 5)
    assert (await encode(client, *request, version=1, timeout_s=5) == before).all()
    assert triton.restart_count == 0


async def test_a_server_that_stays_suspended_is_replaced_and_serves_again(watched, texts):
    triton, client, _ = watched
    request, hung = texts(1, 16), triton.pid
    os.kill(hung, signal.SIGSTOP)
    await until(lambda: triton.restart_count == 1, 25)
    assert triton.pid != hung
    while not await client.model_ready("encoder", 1):
        await asyncio.sleep(0.05)
    await encode(client, *request, version=1, timeout_s=5)


async def test_a_cancelled_caller_is_cancelled_also_while_triton_is_silent(watched, texts):
    triton, client, _ = watched
    os.kill(triton.pid, signal.SIGSTOP)
    try:
        asked = asyncio.create_task(encode(client, *texts(1, 16), version=1, timeout_s=10))
        await asyncio.sleep(0.1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    finally:
        os.kill(triton.pid, signal.SIGCONT)


async def test_a_dead_stub_is_noticed_within_a_second_and_calls_under_way_end(watched, texts):
    triton, client, dead = watched
    [stub] = [pid for pid in triton_processes_of(triton.pid) if pid != triton.pid]
    os.kill(stub, signal.SIGSTOP)
    asked = asyncio.create_task(encode(client, *texts(1, 16), version=1, timeout_s=10))
    await asyncio.sleep(0.1)
    os.kill(stub, signal.SIGKILL)
    started = time.monotonic()
    with pytest.raises(TritonUnresponsive):
        await asked
    assert time.monotonic() - started <= 0.8  # Triton itself takes a second
    assert await until(lambda: dead, 5) <= 1
    await asyncio.sleep(0.6)
    assert len(dead) == 1  # once for each
