import asyncio
import threading

import pytest

from server.catalogue.change import Change
from server.catalogue.tap import ChangeTap, opened_tap

CHANGES = [Change(f"item-{number}", 1, None) for number in range(4)]


def numbers(tap):
    return [number for number, _ in tap.take()]


def test_changes_are_taken_once_and_in_order():
    tap = ChangeTap()
    tap.after = 6
    tap.add(5, CHANGES[:2], [1, 1])
    tap.add(7, CHANGES[2:], [1, 1])
    assert numbers(tap) == [7, 8] and not numbers(tap) and not tap.overflowed


@pytest.mark.parametrize(("limits", "size"), [((3, 1_000), 1), ((1_000, 30), 10)])
def test_a_slow_reader_costs_no_more_than_so_many_changes_or_bytes(limits, size):
    tap = ChangeTap(*limits)
    tap.add(1, CHANGES[:3], [size] * 3)
    assert not tap.overflowed and len(numbers(tap)) == 3
    tap.add(4, CHANGES[:3], [size] * 3)
    assert not tap.overflowed
    tap.add(7, CHANGES[:1], [size])
    assert tap.overflowed and not numbers(tap)


async def test_a_tap_whose_reader_left_while_it_was_opened_is_closed():
    go, closed = threading.Event(), []

    class Store:
        def open_tap(self):
            go.wait(10)
            return {}, tap

        def close_tap(self, which):
            closed.append(which)

    tap = ChangeTap()
    task = asyncio.create_task(opened_tap(Store()))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert not closed
    go.set()
    async with asyncio.timeout(10):
        while closed != [tap]:
            await asyncio.sleep(0.01)
