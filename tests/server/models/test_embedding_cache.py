"""Vectors are kept by token ids, as many as fit, and never another text's."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text.static_encoder import StaticTable
from core.text.tokenize import TokenizedText
from domain.errors import EncoderUnavailable
from server.deadline import Deadline
from server.models.batcher import Batcher
from server.models.embedding_cache import EmbeddingCache
from server.models.text_encoder import TextEncoder
from server.models.text_queue import BatchLimits
from server.trace import Trace
from tests.support.fakes_server import FakeEncoder, NotedBatches, vector_of


class Counts:
    hits = misses = size = 0

    def cache_used(self, hit_count, miss_count, size_bytes):
        self.hits += hit_count
        self.misses += miss_count
        self.size = size_bytes


def ids(*values):
    return np.array(values, dtype=np.int64)


def text(*values):
    return TokenizedText(ids(*values), False, 0, len(values), 0.0)


@pytest.fixture
async def encoder():
    fake, counts = FakeEncoder(), Counts()
    batcher = Batcher(fake, BatchLimits(tuple(range(1, 9)), 0), NotedBatches())
    encoder = TextEncoder(None, None, batcher, None, cache=EmbeddingCache(1 << 20, counts))
    encoder.__dict__["noted"] = (fake, counts)
    yield encoder
    fake.open.set()
    await batcher.aclose()


def vectors(encoder, *texts):
    return encoder.encode(list(texts), Deadline.after(10), Trace())


async def test_a_text_is_computed_once(encoder):
    fake, counts = encoder.noted
    first = await vectors(encoder, text(1, 2), text(3, 4, 5))
    again = await vectors(encoder, text(3, 4, 5), text(9), text(1, 2))
    assert sorted(fake.rows) == [[1, 2], [3, 4, 5], [9]]
    np.testing.assert_array_equal(again[0], first[1])
    np.testing.assert_array_equal(again[2], first[0])
    np.testing.assert_array_equal(again[1], vector_of(ids(9)))
    assert (counts.hits, counts.misses) == (2, 3)
    assert counts.size > 0
    with pytest.raises(ValueError, match="read-only"):
        again[0][0] = 1


async def test_what_is_known_is_answered_while_the_encoder_is_away(encoder):
    await vectors(encoder, text(1, 2))
    encoder.batcher.suspend(EncoderUnavailable("away"))
    assert len(await vectors(encoder, text(1, 2))) == 1
    with pytest.raises(EncoderUnavailable):
        await vectors(encoder, text(1, 3))


async def test_an_error_is_not_kept(encoder):
    fake, _ = encoder.noted
    fake.fail = EncoderUnavailable("away")
    with pytest.raises(EncoderUnavailable):
        await vectors(encoder, text(1, 2))
    fake.fail = None
    np.testing.assert_array_equal((await vectors(encoder, text(1, 2)))[0], vector_of(ids(1, 2)))


async def test_equal_texts_at_once_are_computed_once(encoder):
    fake, _ = encoder.noted
    fake.open.clear()
    callers = [asyncio.create_task(vectors(encoder, text(1, 2))) for _ in range(5)]
    await fake.wait_for_calls(1)
    fake.open.set()
    answers = await asyncio.gather(*callers)
    assert fake.rows == [[1, 2]]
    assert all((one[0] == vector_of(ids(1, 2))).all() for one in answers)


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=200), st.integers(0, 3_000))
def test_it_never_takes_more_than_it_may_and_answers_only_with_the_texts_own(steps, most_bytes):
    cache = EmbeddingCache(most_bytes, Counts())
    for value, keep in steps:
        key = ids(value, value + 1)
        if keep:
            cache.keep(key, np.full(8, value, np.float32))
        found = cache.find([key])
        assert not found or (found[0] == value).all()
        assert cache.size_bytes <= most_bytes
    if not len(cache):
        assert cache.size_bytes == 0


def test_the_vector_not_used_for_longest_goes_first():
    cache = EmbeddingCache(700, Counts())  # two of them
    for value in (1, 2):
        cache.keep(ids(value), np.zeros(8, np.float32))
    assert cache.find([ids(1)])
    cache.keep(ids(3), np.zeros(8, np.float32))
    assert [bool(cache.find([ids(value)])) for value in (1, 2, 3)] == [True, False, True]


async def test_a_student_in_the_encoders_place_never_asks_triton():
    draw = np.random.default_rng(0)
    constant = draw.normal(size=4).astype(np.float32)
    table = StaticTable(
        draw.normal(size=(6, 4)).astype(np.float32), np.array([0, 1, 1, 1, 1, 0], np.float32), constant, 0.5
    )

    class Student:
        pass

    student = Student()
    student.table = table
    encoder = TextEncoder(None, None, None, None, student=student)
    answers = await vectors(encoder, text(1, 2), text(0, 5), text(3))
    np.testing.assert_allclose(np.linalg.norm(answers, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(answers[0], table.embed([ids(1, 2)])[0])
    np.testing.assert_allclose(answers[1], constant / np.linalg.norm(constant), rtol=1e-6)
