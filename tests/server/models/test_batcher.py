import asyncio
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import DeadlineExceeded, EncoderUnavailable, Overloaded
from server.deadline import Deadline
from server.models.batcher import Batcher
from server.models.text_queue import BatchLimits
from tests.support.fakes_server import FakeEncoder, NotedBatches, vector_of

BUCKETS = (4, 8, 16)


def row(length, first=1):
    return np.arange(first, first + length, dtype=np.int64)


def batcher_of(encoder, **limits):
    settings = {"buckets": BUCKETS, "pad_token_id": 9, "max_texts": 4, "max_padded_tokens": 64, "in_flight": 1}
    settings |= {"share_equal": False, "longest_wait_s": math.inf}
    return Batcher(encoder, BatchLimits(**settings | limits), NotedBatches())


def later():
    return Deadline.after(30)


async def turns(count=5):
    """Lets everything run that can run now."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
async def encoder():
    return FakeEncoder()


@pytest.fixture
async def busy(encoder):
    """An encoder whose only slot is taken until `open` is set, and its batcher."""
    encoder.open.clear()
    batcher = batcher_of(encoder)
    first = asyncio.create_task(batcher.encode([row(1)], later()))
    await encoder.wait_for_calls(1)
    yield batcher
    encoder.open.set()
    await first


def start(batcher, *rows, deadline=None):
    return asyncio.create_task(batcher.encode(list(rows), deadline or later()))


REQUEST = st.tuples(
    st.lists(st.integers(1, BUCKETS[-1]), max_size=6),  # lengths of its rows
    st.integers(0, 4),  # turns of the loop before it arrives
    st.sampled_from([None, None, None, 0, 1, 3]),  # turns after which its caller leaves
    st.integers(1, 3),  # urgency
)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(REQUEST, max_size=8),
    st.integers(1, 5),
    st.sampled_from([1, 8, 24, 64]),
    st.integers(1, 3),
)
def test_batches_give_what_encoding_one_by_one_gives(requests, max_texts, max_padded_tokens, in_flight):
    async def run():
        encoder = FakeEncoder()
        batcher = batcher_of(encoder, max_texts=max_texts, max_padded_tokens=max_padded_tokens, in_flight=in_flight)

        async def ask(number, lengths, before, urgency):
            await turns(before)
            rows = [row(length, 100 * number + place) for place, length in enumerate(lengths)]
            answers = await batcher.encode(rows, Deadline.after(30 * urgency))
            assert [one.vector.tolist() for one in answers] == [vector_of(ids).tolist() for ids in rows]
            assert all(one.queued_s <= one.sent_s <= one.answered_s for one in answers)

        async def leave(task, when):
            await turns(when)
            task.cancel()

        tasks = [
            asyncio.create_task(ask(number, lengths, before, urgency))
            for number, (lengths, before, _, urgency) in enumerate(requests)
        ]
        leaving = [
            asyncio.create_task(leave(task, when))
            for task, (_, _, when, _) in zip(tasks, requests, strict=True)
            if when is not None
        ]
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*leaving)
        for outcome, (_, _, when, _) in zip(outcomes, requests, strict=True):
            assert outcome is None or (when is not None and isinstance(outcome, asyncio.CancelledError)), outcome
        assert encoder.most_in_flight <= in_flight
        for input_ids, mask in encoder.batches:
            count, length = input_ids.shape
            assert length in BUCKETS
            assert count <= max_texts
            assert count == 1 or count * length <= max_padded_tokens
            assert mask.sum(axis=1).max() > (BUCKETS[BUCKETS.index(length) - 1] if length > BUCKETS[0] else 0)
            assert (input_ids[mask == 0] == 9).all()
        await batcher.aclose()

    asyncio.run(run())


async def test_rows_that_gather_while_the_slot_is_busy_go_together(encoder, busy):
    callers = [start(busy, row(3), row(2, 50)), start(busy, row(4, 70)), start(busy, row(7))]
    await turns()
    assert len(encoder.batches) == 1
    encoder.open.set()
    await asyncio.gather(*callers)
    assert [batch[0].shape for batch in encoder.batches] == [(1, 4), (3, 4), (1, 8)]


async def test_rows_of_one_request_go_together_without_waiting(encoder):
    batcher = batcher_of(encoder, in_flight=4)
    await batcher.encode([row(1), row(2), row(3)], later())
    assert [batch[0].shape for batch in encoder.batches] == [(3, 4)]


async def test_batches_are_counted(encoder):
    seen = NotedBatches()
    batcher = Batcher(encoder, BatchLimits(BUCKETS, 0), seen)
    await batcher.encode([row(1), row(3)], later())
    assert seen.sent == [(2, 4, 8)]


async def test_a_row_longer_than_the_token_limit_still_goes_alone(encoder):
    batcher = batcher_of(encoder, max_padded_tokens=8)
    await batcher.encode([row(16), row(15)], later())
    assert [batch[0].shape for batch in encoder.batches] == [(1, 16), (1, 16)]


async def test_the_earliest_deadline_goes_first_across_buckets_and_equal_ones_in_order(encoder):
    encoder.open.clear()
    batcher = batcher_of(encoder, max_texts=1)
    deadlines = {0: 1, 100: 30, 200: 20, 300: 10, 400: 40}
    lengths = {0: 1, 100: 5, 200: 2, 300: 9, 400: 6}
    callers = [start(batcher, row(lengths[one], one), deadline=Deadline.after(deadlines[one])) for one in deadlines]
    await turns()
    encoder.open.set()
    await asyncio.gather(*callers)
    assert [ids[0] for ids in encoder.rows] == [0, 300, 200, 100, 400]


async def test_the_earliest_deadlines_of_a_full_bucket_go_first(encoder, busy):
    order = [6, 2, 8, 4, 1, 7, 3, 5]
    callers = [start(busy, row(2, 100 * place), deadline=Deadline.after(10 * place)) for place in order]
    await turns()
    encoder.open.set()
    await asyncio.gather(*callers)
    assert [ids[0] // 100 for ids in encoder.rows[1:]] == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("leaver", [0, 1, 2, 3])
async def test_a_caller_that_leaves_during_the_call_holds_up_nobody(encoder, leaver):
    encoder.open.clear()
    batcher = batcher_of(encoder)
    callers = [start(batcher, row(2, 10 * place)) for place in range(4)]
    await encoder.wait_for_calls(1)
    callers[leaver].cancel()
    await turns()
    encoder.open.set()
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
    for place, outcome in enumerate(outcomes):
        if place == leaver:
            assert isinstance(outcome, asyncio.CancelledError)
        else:
            assert outcome[0].vector.tolist() == vector_of(row(2, 10 * place)).tolist()


async def test_a_caller_that_left_while_waiting_is_not_encoded(encoder, busy):
    callers = [start(busy, row(2, 10 * place)) for place in range(1, 5)]
    await turns()
    callers[0].cancel()
    callers[2].cancel()
    await turns()
    encoder.open.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*callers, return_exceptions=True)
    assert [ids[0] for ids in encoder.rows[1:]] == [20, 40]


async def test_a_caller_is_told_at_its_deadline_even_while_the_encoder_is_stuck(encoder, busy):
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(DeadlineExceeded):
        await busy.encode([row(2, 50)], Deadline.after(0.05))
    assert 0.04 <= loop.time() - began_s < 0.5
    encoder.open.set()
    await busy.encode([row(2, 60)], later())
    assert [ids[0] for ids in encoder.rows] == [1, 60]


async def test_a_caller_whose_deadline_passes_during_its_own_call_is_told_then(encoder):
    encoder.open.clear()
    batcher = batcher_of(encoder)
    patient = start(batcher, row(2, 20))
    with pytest.raises(DeadlineExceeded):
        await batcher.encode([row(2, 30)], Deadline.after(0.2))
    assert len(encoder.rows) == 2
    encoder.open.set()
    assert (await patient)[0].vector.tolist() == vector_of(row(2, 20)).tolist()


@pytest.mark.parametrize("late_s", [0.0, -1.0])
async def test_a_deadline_that_passed_already_is_never_sent(encoder, late_s):
    batcher = batcher_of(encoder)
    with pytest.raises(DeadlineExceeded):
        await batcher.encode([row(2)], Deadline.after(late_s))
    await turns()
    assert encoder.batches == []


async def test_the_call_gets_the_time_of_its_most_patient_caller(encoder, busy):
    callers = [start(busy, row(2), deadline=Deadline.after(seconds)) for seconds in (5, 20, 10)]
    await turns()
    encoder.open.set()
    await asyncio.gather(*callers)
    assert encoder.timeouts_s[1] == pytest.approx(20, abs=1)


@pytest.mark.parametrize("error", [EncoderUnavailable("away"), DeadlineExceeded("late"), RuntimeError("odd")])
async def test_a_failing_call_fails_each_of_its_callers_and_no_other(encoder, error):
    encoder.open.clear()
    batcher = batcher_of(encoder)
    encoder.fail = error
    callers = [start(batcher, row(2)) for _ in range(3)]
    await encoder.wait_for_calls(1)
    encoder.open.set()
    assert await asyncio.gather(*callers, return_exceptions=True) == [error] * 3
    encoder.fail = None
    assert len(await batcher.encode([row(2)], later())) == 1


async def test_a_request_in_two_batches_fails_with_the_one_that_fails(encoder):
    encoder.fail = EncoderUnavailable("away")
    batcher = batcher_of(encoder)
    async with asyncio.timeout(5):
        with pytest.raises(EncoderUnavailable, match="away"):
            await batcher.encode([row(2), row(12)], later())


async def test_a_call_cancelled_from_below_is_an_unavailable_encoder(encoder):
    encoder.fail = asyncio.CancelledError()
    batcher = batcher_of(encoder)
    with pytest.raises(EncoderUnavailable):
        await batcher.encode([row(2)], later())
    encoder.fail = None
    assert len(await batcher.encode([row(2)], later())) == 1


@pytest.mark.parametrize("extra_rows", [1, -1])
async def test_an_answer_of_another_length_is_refused(encoder, extra_rows):
    encoder.extra_rows = extra_rows
    callers = [start(batcher_of(encoder), row(2), row(3)) for _ in range(2)]
    for outcome in await asyncio.gather(*callers, return_exceptions=True):
        assert isinstance(outcome, EncoderUnavailable)
        assert str(outcome) == f"Triton answered {2 + extra_rows} vectors for 2 texts"


async def test_too_many_waiting_texts_are_refused_and_those_that_wait_are_served(encoder):
    encoder.open.clear()
    batcher = batcher_of(encoder, max_waiting_texts=3)
    callers = [start(batcher, row(1))]
    await encoder.wait_for_calls(1)
    callers.append(start(batcher, row(1), row(1)))
    await turns()
    with pytest.raises(Overloaded, match="2 texts wait"):
        await batcher.encode([row(1), row(1)], later())
    callers.append(start(batcher, row(1)))
    await turns()
    with pytest.raises(Overloaded, match="3 texts wait"):
        await batcher.encode([row(1)], later())
    encoder.open.set()
    assert [len(one) for one in await asyncio.gather(*callers)] == [1, 2, 1]
    assert len(await batcher.encode([row(1)] * 3, later())) == 3


@pytest.mark.parametrize("leave", ["cancelled", "late"])
async def test_callers_that_left_make_room_for_others(encoder, leave):
    encoder.open.clear()
    batcher = batcher_of(encoder, max_waiting_texts=3)
    first = start(batcher, row(1))
    await encoder.wait_for_calls(1)
    deadline = later() if leave == "cancelled" else Deadline.after(0.02)
    stays = start(batcher, row(1, 5), deadline=Deadline.after(10))
    gone = [start(batcher, row(1), deadline=deadline) for _ in range(2)]
    await turns()
    if leave == "cancelled":
        for one in gone:
            one.cancel()
    await asyncio.wait(gone)
    newcomer = start(batcher, row(1), row(1, 6))
    await turns()
    encoder.open.set()
    await asyncio.gather(*gone, return_exceptions=True)
    assert [len(one) for one in await asyncio.gather(first, stays, newcomer)] == [1, 1, 2]
    assert len(encoder.rows) == 4


async def test_closing_fails_what_waits_and_finishes_what_was_sent(encoder):
    encoder.open.clear()
    batcher = batcher_of(encoder)
    sent = start(batcher, row(1))
    await encoder.wait_for_calls(1)
    waiting = [start(batcher, row(2)), start(batcher, row(9))]
    await turns()
    closing = asyncio.create_task(batcher.aclose())
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, EncoderUnavailable)
    with pytest.raises(EncoderUnavailable, match="stopping"):
        await batcher.encode([row(1)], later())
    assert not closing.done()
    encoder.open.set()
    await closing
    assert (await sent)[0].vector.tolist() == vector_of(row(1)).tolist()
    assert len(encoder.batches) == 1


async def test_no_rows_no_call(encoder):
    assert await batcher_of(encoder).encode([], later()) == []
    assert encoder.batches == []


async def test_a_stuck_call_gives_its_slot_back_once_all_its_callers_left(encoder):
    batcher = batcher_of(encoder, in_flight=1)
    encoder.open.clear()
    stuck = [asyncio.create_task(batcher.encode([row(3)], later())) for _ in range(2)]
    await encoder.wait_for_calls(1)
    for task in stuck:
        task.cancel()
    await asyncio.wait(stuck)
    encoder.open.set()
    async with asyncio.timeout(1):
        (answer,) = await batcher.encode([row(4)], later())
    assert (answer.vector == vector_of(row(4))).all()
    assert encoder.in_flight == 0


async def test_rows_are_refused_at_once_while_suspended_and_taken_again_after(encoder):
    batcher = batcher_of(encoder)
    batcher.suspend(EncoderUnavailable("it holds another model"))
    with pytest.raises(EncoderUnavailable, match="another model"):
        await batcher.encode([row(3)], later())
    assert not encoder.batches
    batcher.resume()
    assert len(await batcher.encode([row(3)], later())) == 1


ARRIVAL = st.tuples(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 1)), min_size=1, max_size=4),  # its texts: length, which one
    st.integers(0, 6),  # turns of the loop before it arrives
    st.sampled_from([None, None, 0, 1, 2, 4]),  # turns after which its caller leaves
    st.sampled_from([30.0, 20.0, 0.0]),  # its time; 0 has passed
)


@settings(deadline=None, max_examples=120)
@given(
    st.lists(ARRIVAL, min_size=1, max_size=8),
    st.sets(st.integers(0, 6), max_size=3),
    st.integers(1, 3),
    st.integers(1, 2),
)
def test_any_mix_gives_each_caller_its_own_answer_or_its_own_error(arrivals, failing, max_texts, in_flight):
    """Equal texts are shared; some batches fail, some callers leave or have no time; nobody waits for ever."""

    async def run():
        fake = FakeEncoder()

        async def encode(input_ids, attention_mask, timeout_s):
            number = len(fake.batches)
            vectors = await fake(input_ids, attention_mask, timeout_s)
            await turns(number % 3)
            if number in failing:
                raise EncoderUnavailable(f"batch {number}")
            return vectors

        limits = BatchLimits(tuple(range(1, 10)), 0, max_texts=max_texts, max_padded_tokens=64, in_flight=in_flight)
        batcher = Batcher(encode, limits, NotedBatches())

        async def ask(texts, before, seconds):
            await turns(before)
            rows = [row(length, 1 + 50 * which) for length, which in texts]
            answers = await batcher.encode(rows, Deadline.after(seconds))
            assert [one.vector.tolist() for one in answers] == [vector_of(ids).tolist() for ids in rows]
            assert all(one.queued_s <= one.sent_s <= one.answered_s for one in answers)

        async def leave(task, when):
            await turns(when)
            task.cancel()

        tasks = [asyncio.create_task(ask(texts, before, seconds)) for texts, before, _, seconds in arrivals]
        leaving = [
            asyncio.create_task(leave(task, when))
            for task, (_, _, when, _) in zip(tasks, arrivals, strict=True)
            if when is not None
        ]
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*leaving)
        for outcome, (_, _, when, seconds) in zip(outcomes, arrivals, strict=True):
            excused = (
                (isinstance(outcome, asyncio.CancelledError) and when is not None)
                or (isinstance(outcome, EncoderUnavailable) and str(outcome).startswith("batch") and failing)
                or (isinstance(outcome, DeadlineExceeded) and seconds == 0)
            )
            assert outcome is None or excused, repr(outcome)
        async with asyncio.timeout(10):
            await batcher.aclose()
        assert not batcher.waiting_count and not batcher._pending

    asyncio.run(run())


def sharing(encoder, **limits):
    return batcher_of(encoder, share_equal=True, **limits)


async def test_equal_texts_are_computed_once_while_they_wait_and_while_they_are_under_way(encoder):
    encoder.open.clear()
    batcher = sharing(encoder)
    callers = [start(batcher, row(3, 10)), start(batcher, row(3, 10), row(3, 20))]
    await encoder.wait_for_calls(1)
    callers.append(start(batcher, row(3, 10), deadline=Deadline.after(5)))
    await turns()
    encoder.open.set()
    answers = await asyncio.gather(*callers)
    assert encoder.rows == [[10, 11, 12], [20, 21, 22]]
    assert [one[0].vector.tolist() for one in answers] == [vector_of(row(3, 10)).tolist()] * 3


async def test_a_patient_caller_does_not_join_a_call_that_may_end_before_its_deadline(encoder):
    encoder.open.clear()
    batcher = sharing(encoder, in_flight=2)
    hasty = start(batcher, row(3, 10), deadline=Deadline.after(5))
    await encoder.wait_for_calls(1)
    patient = start(batcher, row(3, 10), deadline=Deadline.after(20))
    await encoder.wait_for_calls(2)
    encoder.open.set()
    await asyncio.gather(hasty, patient)
    assert encoder.timeouts_s == pytest.approx([5, 20], abs=1)


async def test_a_shared_text_outlives_the_caller_who_brought_it(encoder):
    encoder.open.clear()
    batcher = sharing(encoder)
    callers = [start(batcher, row(3, 10)), start(batcher, row(3, 10))]
    await encoder.wait_for_calls(1)
    callers[0].cancel()
    await turns()
    encoder.open.set()
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1][0].vector.tolist() == vector_of(row(3, 10)).tolist()


async def test_texts_of_mates_that_change_each_other_are_never_shared(encoder):
    await batcher_of(encoder).encode([row(3, 10), row(3, 10)], later())
    assert encoder.rows == [[10, 11, 12]] * 2


async def test_a_text_with_a_far_deadline_is_not_kept_back_by_later_ones(encoder):
    encoder.open.clear()
    batcher = batcher_of(encoder, max_texts=1, longest_wait_s=2.0)
    callers = [start(batcher, row(1, 1)), start(batcher, row(9, 500), deadline=Deadline.after(60))]
    await encoder.wait_for_calls(1)
    await turns()
    callers.append(start(batcher, row(1, 2), deadline=Deadline.after(30)))
    await turns()
    encoder.open.set()
    await asyncio.gather(*callers)
    assert [ids[0] for ids in encoder.rows] == [1, 500, 2]


async def test_lengths_are_mixed_while_few_texts_wait_and_not_while_many_do(encoder):
    encoder.open.clear()
    exact = {"buckets": tuple(range(1, 17)), "max_texts": 16, "max_padded_tokens": 512}
    batcher = batcher_of(encoder, **exact)
    first = start(batcher, row(1))
    await encoder.wait_for_calls(1)
    few = [start(batcher, row(length, 100 * length)) for length in (4, 6)]
    await turns()
    encoder.open.set()
    await asyncio.gather(first, *few)
    assert [batch[0].shape for batch in encoder.batches] == [(1, 1), (2, 6)]
    encoder.open.clear()
    encoder.batches.clear()
    first = start(batcher, row(1))
    await encoder.wait_for_calls(1)
    many = [start(batcher, row(length, 10 * place)) for place in range(12) for length in (4, 8, 15)]
    await turns()
    encoder.open.set()
    await asyncio.gather(first, *many)
    masks = [mask for _, mask in encoder.batches[1:]]
    assert sum(int(mask.sum()) for mask in masks) / sum(mask.size for mask in masks) >= 0.9
    assert len(masks) <= 5
