import asyncio
import threading
import time

import pytest

from server.deadline import Deadline
from server.rpc.call import Call, current_call
from server.rpc.fair_threads import FairThreads


async def in_call(threads, name, works, method="/m"):
    current_call.set(Call(method, name, Deadline(0.0), time.monotonic()))
    loop = asyncio.get_running_loop()
    return await asyncio.gather(*(loop.run_in_executor(threads, work) for work in works))


async def test_results_and_errors_come_back():
    def broken():
        raise ValueError("no")

    with FairThreads(2, "t") as threads:
        assert await in_call(threads, "a", [lambda: 1, lambda: 2]) == [1, 2]
        with pytest.raises(ValueError, match="no"):
            await in_call(threads, "a", [broken])


async def test_a_call_with_much_to_do_does_not_keep_another_waiting():
    order = []

    def piece(name):
        time.sleep(0.005)
        order.append(name)

    with FairThreads(2, "t") as threads:
        large = asyncio.create_task(in_call(threads, "large", [lambda: piece("large")] * 100))
        await asyncio.sleep(0.05)
        before = len(order)
        await asyncio.create_task(in_call(threads, "small", [lambda: piece("small")]))
        assert order.index("small") - before <= 3
        await large


async def test_all_batches_together_leave_a_thread_to_the_others():
    begun = threading.Event()
    with FairThreads(2, "t") as threads:
        batches = [
            asyncio.create_task(in_call(threads, name, [begun.wait], "/shortlist.v1.RecommenderService/BatchRecommend"))
            for name in "ab"
        ]
        await asyncio.sleep(0.02)
        assert await asyncio.wait_for(in_call(threads, "single", [lambda: 1]), 5) == [1]
        begun.set()
        await asyncio.gather(*batches)


async def test_calls_take_turns():
    order, begun = [], threading.Event()
    with FairThreads(1, "t") as threads:
        first = asyncio.create_task(in_call(threads, "first", [begun.wait]))
        await asyncio.sleep(0.02)
        others = [
            asyncio.create_task(in_call(threads, name, [lambda name=name: order.append(name)] * 3)) for name in "ab"
        ]
        await asyncio.sleep(0.02)
        begun.set()
        await asyncio.gather(first, *others)
    assert order == ["a", "b"] * 3


@pytest.mark.parametrize(("thread_count", "most"), [(1, 1), (2, 1), (4, 3)])
async def test_no_call_has_more_than_its_share(thread_count, most):
    lock, running, seen = threading.Lock(), 0, 0

    def piece():
        nonlocal running, seen
        with lock:
            running += 1
            seen = max(seen, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    with FairThreads(thread_count, "t") as threads:
        await in_call(threads, "a", [piece] * 30)
    assert seen == most


async def test_work_that_was_cancelled_while_it_waited_is_not_done():
    done, begun = [], threading.Event()
    with FairThreads(1, "t") as threads:
        first = asyncio.create_task(in_call(threads, "a", [begun.wait]))
        await asyncio.sleep(0.02)
        waiting = asyncio.create_task(in_call(threads, "b", [lambda: done.append(1)]))
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.sleep(0)
        begun.set()
        await first
        assert await in_call(threads, "c", [lambda: 3]) == [3]  # a turn is not lost
    assert done == []


async def test_what_waits_at_the_end_is_cancelled():
    begun = threading.Event()
    threads = FairThreads(1, "t")
    first = threads.submit(begun.wait)
    second = threads.submit(lambda: 1)
    begun.set()
    threads.shutdown()
    assert first.result() is True
    assert second.cancelled() or second.result() == 1
    with pytest.raises(RuntimeError):
        threads.submit(lambda: 1)
