"""Many texts are encoded in turns, so that those of other callers get in between."""

import asyncio

import numpy as np
import pytest

from core.text.tokenize import TokenizedText
from domain.errors import EncoderUnavailable
from server.deadline import Deadline
from server.models.batcher import Batcher
from server.models.text_encoder import TextEncoder
from server.models.text_queue import BatchLimits
from server.trace import Trace
from tests.support.fakes_server import FakeEncoder, NotedBatches, vector_of


def tokens(length, first):
    return TokenizedText(np.arange(first, first + length, dtype=np.int64), False, 0, length, 0.0)


@pytest.fixture
async def fake():
    return FakeEncoder()


@pytest.fixture
async def encoder(fake):
    batcher = Batcher(fake, BatchLimits((4, 8), 9, max_texts=8, max_padded_tokens=64, in_flight=1), NotedBatches())
    yield TextEncoder(None, None, batcher, None)
    fake.open.set()
    await batcher.aclose()


async def test_the_vectors_come_in_the_order_of_the_texts(encoder, fake):
    draw = np.random.default_rng(0)
    texts = [tokens(int(length), place) for place, length in enumerate(draw.integers(1, 9, 100))]
    vectors = await encoder.encode(texts, Deadline.after(30), Trace())
    assert len(vectors) == 100
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_array_equal(vector, vector_of(text.ids))


async def test_texts_of_like_lengths_go_together(encoder, fake):
    await encoder.encode([tokens(1 + place % 8, place) for place in range(64)], Deadline.after(30), Trace())
    assert len(fake.batches) == 8
    assert [ids.shape[1] for ids, _ in fake.batches] == [4] * 4 + [8] * 4


async def test_another_caller_s_text_waits_for_a_turn_at_most(encoder, fake):
    """Even where the many are the more urgent."""
    fake.open.clear()
    many = asyncio.create_task(encoder.encode([tokens(3, place) for place in range(400)], Deadline.after(20), Trace()))
    await fake.wait_for_calls(1)
    one = asyncio.create_task(encoder.encode([tokens(3, 1_000)], Deadline.after(30), Trace()))
    await asyncio.sleep(0)
    fake.open.set()
    await one
    assert len(fake.batches) <= 6
    await many
    assert len(fake.batches) >= 50


class Paced(FakeEncoder):
    """Takes its time for each batch, in seconds."""

    def __init__(self, batch_s):
        super().__init__()
        self._batch_s = batch_s

    async def __call__(self, input_ids, attention_mask, timeout_s):
        await asyncio.sleep(self._batch_s)
        return await super().__call__(input_ids, attention_mask, timeout_s)


def sizes(fake):
    return [len(ids) for ids, _ in fake.batches]


def long_texts_encoder(fake):
    limits = BatchLimits((256,), 9, max_texts=32, max_padded_tokens=4096, in_flight=1)
    return TextEncoder(None, None, Batcher(fake, limits, NotedBatches()), None)


async def test_turns_of_long_texts_shrink_where_the_encoder_is_slow():
    paced = Paced(0.2)
    texts = [tokens(256, place) for place in range(9)]
    assert len(await long_texts_encoder(paced).encode(texts, Deadline.after(30), Trace())) == 9
    assert sizes(paced) == [4, 2, 1, 1, 1]


async def test_turns_of_long_texts_grow_where_the_encoder_is_fast(fake):
    texts = [tokens(256, place) for place in range(400)]
    assert len(await long_texts_encoder(fake).encode(texts, Deadline.after(30), Trace())) == 400
    assert sizes(fake)[0] == 4
    assert max(sizes(fake)) == 16


async def test_an_error_ends_the_turns(encoder, fake):
    fake.fail = EncoderUnavailable("gone")
    with pytest.raises(EncoderUnavailable):
        await encoder.encode([tokens(3, place) for place in range(400)], Deadline.after(20), Trace())
    assert len(fake.batches) <= 4


async def test_who_leaves_takes_the_rest_along(encoder, fake):
    fake.open.clear()
    many = asyncio.create_task(encoder.encode([tokens(3, place) for place in range(400)], Deadline.after(20), Trace()))
    await fake.wait_for_calls(1)
    many.cancel()
    fake.open.set()
    with pytest.raises(asyncio.CancelledError):
        await many
    await asyncio.sleep(0.05)
    assert len(fake.batches) <= 2


async def test_no_texts(encoder, fake):
    assert await encoder.encode([], Deadline.after(1), Trace()) == []
