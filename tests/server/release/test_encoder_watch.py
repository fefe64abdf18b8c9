"""The watch over the encoder, with a Triton that does what it is told."""

import asyncio
import contextlib
from types import SimpleNamespace

import numpy as np
import pytest

from domain.errors import DeadlineExceeded, EncoderUnavailable, ReleaseRejected
from server.release.canaries import EncoderCanaries
from server.release.encoder_watch import EncoderWatch
from tests.support.fakes_server import MANIFEST

RIGHT = np.array([[1.0, 0.0, 0.0, 0.0]], dtype=np.float32)
ANOTHER = np.array([[0.0, 1.0, 0.0, 0.0]], dtype=np.float32)


class Surroundings:
    """Triton, loader and batcher in one; notes what the watch does to them."""

    def __init__(self):
        self.answer = RIGHT
        self.states = []
        self.loads = 0
        self.held = None
        self.triton = self
        canaries = EncoderCanaries((np.array([1, 2, 3]),), RIGHT)
        encoder = SimpleNamespace(batcher=self)
        data = SimpleNamespace(encoder_canaries=canaries)
        self.release_ = SimpleNamespace(manifest=MANIFEST, data=data, encoder_version=1, encoder=encoder)

    async def encode(self, input_ids, attention_mask, *, version, timeout_s):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def is_live(self):
        return True

    async def load_version(self, entry, version):
        self.loads += 1

    async def reload_version(self, entry, version):
        self.loads += 1

    async def check_canaries(self, manifest, version, canaries):
        if not np.array_equal(self.answer, RIGHT):
            raise ReleaseRejected("another model")

    def hold(self, reason):
        self.held = reason

    def release(self):
        self.held = None

    async def on_state(self, *, up):
        self.states.append(up)


@pytest.fixture
async def around():
    surroundings = Surroundings()
    watch = EncoderWatch(
        surroundings, surroundings, lambda: surroundings.release_, surroundings.on_state, period_s=0.01
    )
    task = asyncio.create_task(watch.run())
    yield surroundings
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def until(holds):
    async with asyncio.timeout(2):
        while not holds():
            await asyncio.sleep(0.005)


async def test_the_right_encoder_is_up(around):
    await until(lambda: around.states == [True])
    assert around.held is None


async def test_another_model_is_never_up_however_often_it_is_loaded(around):
    await until(lambda: around.states == [True])
    around.answer = ANOTHER
    await until(lambda: around.loads >= 4)
    assert around.states == [True, False]
    assert "another model" in str(around.held)
    around.answer = RIGHT
    await until(lambda: around.states == [True, False, True])
    assert around.held is None


async def test_another_width_counts_as_another_model(around):
    await until(lambda: around.states == [True])
    around.answer = np.ones((1, 2), dtype=np.float32)
    await until(lambda: around.states == [True, False])
    assert "width" in str(around.held)


async def test_an_encoder_that_is_away_is_held_and_a_slow_one_is_not(around):
    await until(lambda: around.states == [True])
    around.answer = DeadlineExceeded("slow")
    await until(lambda: around.states == [True, False])
    assert around.held is None
    around.answer = EncoderUnavailable("gone")
    await until(lambda: around.held is not None)


async def test_an_unforeseen_failure_does_not_end_the_watch(around):
    await until(lambda: around.states == [True])
    around.answer = ValueError("unforeseen")
    await asyncio.sleep(0.05)
    around.answer = EncoderUnavailable("gone")
    await until(lambda: around.states == [True, False])
