"""Unhurried work: small pieces with rests, for what a process does beside its requests.

A thread that computes in Python holds the interpreter for 5 ms at a time, and whoever answers a request needs it many
times. Work that rests after each half millisecond is waited for that long at most, and leaves the cores free besides.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar

# Processor time of a piece, and the rest behind it as a multiple of what the piece took.
_PIECE_S = 0.0005
_REST = 3.0
# What cannot be divided, such as the sort of a million ids, does not hold up the work for longer than this.
_LONGEST_REST_S = 0.2

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")
_Entry = TypeVar("_Entry")


class _Pace(threading.local):
    """The processor time at which the thread's piece began; None in a thread that does not rest."""

    since_s: float | None = None


_pace = _Pace()


def unhurried(work: Callable[_Given, _Made], *args: _Given.args, **kwargs: _Given.kwargs) -> _Made:
    """Does some work in this thread with rests: wherever it calls `rest` or walks through `paced`."""
    before, _pace.since_s = _pace.since_s, time.thread_time()
    try:
        return work(*args, **kwargs)
    finally:
        _pace.since_s = before


def rest() -> None:
    """Rests if the thread is unhurried and has worked for a while; to be called between small pieces of work."""
    if _pace.since_s is None:
        return
    worked_s = time.thread_time() - _pace.since_s
    if worked_s >= _PIECE_S:
        time.sleep(min(_REST * worked_s, _LONGEST_REST_S))
        _pace.since_s = time.thread_time()


def paced(entries: Iterable[_Entry]) -> Iterable[_Entry]:
    """Returns the entries, with rests between them where the thread is unhurried."""
    return entries if _pace.since_s is None else _resting(entries)


def _resting(entries: Iterable[_Entry]) -> Iterator[_Entry]:
    for entry in entries:
        yield entry
        rest()
