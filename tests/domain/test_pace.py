"""Unhurried work rests between its pieces; other work does not."""

import threading
import time

import pytest

from domain.pace import paced, rest, unhurried


def busy(seconds):
    until_s = time.thread_time() + seconds
    while time.thread_time() < until_s:
        pass


def work(pieces=20):
    since_s = time.perf_counter(), time.thread_time()
    done = []
    for piece in paced(range(pieces)):
        busy(0.001)
        done.append(piece)
    return done, time.perf_counter() - since_s[0] - (time.thread_time() - since_s[1])


def test_unhurried_work_leaves_the_processor_to_others_for_most_of_the_time():
    done, idle_s = unhurried(work)
    assert done == list(range(20))
    assert idle_s >= 20 * 3 * 0.001


def test_other_work_is_not_held_up():
    entries = [1, 2]
    assert paced(entries) is entries
    since_s = time.perf_counter()
    for _ in range(10_000):
        rest()
    assert time.perf_counter() - since_s < 1


def test_the_pace_ends_with_the_work_and_is_that_of_its_thread_alone():
    def fails():
        raise ValueError

    with pytest.raises(ValueError):
        unhurried(fails)
    entries, seen = [1], []

    def inside():
        seen.append(paced(entries) is entries)
        thread = threading.Thread(target=lambda: seen.append(paced(entries) is entries))
        thread.start()
        thread.join()
        unhurried(int)
        seen.append(paced(entries) is entries)

    unhurried(inside)
    assert seen == [False, True, False]
    assert paced(entries) is entries
