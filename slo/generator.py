"""Load generation of one process: each call is sent at its time, whatever became of those before, and timed twice."""

import asyncio
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from slo.calls import Call
from slo.target import DEADLINE_EXCEEDED, Connection

UNSENT = "UNSENT"
_LONGEST_WITHOUT_REPLIES = 32
_Emit = Callable[["SampleBlock"], None]


@dataclass(frozen=True, slots=True)
class Share:
    """One process's part of a run.

    Attributes:
        starts_at_s: on the machine's monotonic clock, which all processes share.
        duration_s: no call is meant to be sent later than this.
        offsets_s: float64[n], ascending, the intended times since the start; empty where `callers` send.
        calls: int64[n], the call of each time; for callers, the calls in turn.
        deadline_s: of each call, from its intended time.
        in_flight_limit: calls under way at most; further ones wait, and their waiting counts from the intended time.
        callers: number of closed-loop callers, each of which sends when its last call has ended; 0 for the times.
    """

    starts_at_s: float
    duration_s: float
    offsets_s: np.ndarray
    calls: np.ndarray
    deadline_s: float
    in_flight_limit: int
    callers: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One call that has ended. Times are seconds since the start of the run.

    Attributes:
        call_index: which call.
        intended_s: the time at which it was meant to be sent.
        sent_s: the time at which it was sent, after any waiting for a free place.
        done_s: the time at which its outcome was known.
        lag_s: by how much the generator itself was late to take it up.
        code: as of Reply, or UNSENT where it was given up before it was sent because the generator was late.
        degradations: as of Reply.
        hits: whether the id at each rank is one of the call's answers; empty where none are known.
    """

    call_index: int
    intended_s: float
    sent_s: float
    done_s: float
    lag_s: float
    code: str
    degradations: tuple[str, ...]
    hits: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class SampleBlock:
    """Calls that ended within one second of one process.

    Attributes:
        second: number of the second, from 0.
        samples: in the order in which they ended.
        in_flight: calls under way at its end.
    """

    second: int
    samples: tuple[Sample, ...]
    in_flight: int


class Generator:
    """Sender of one share."""

    def __init__(self, connection: Connection, calls: tuple[Call, ...], share: Share) -> None:
        self._connection = connection
        self._answers = [call.answers for call in calls]
        self._share = share
        self._places = asyncio.Semaphore(share.in_flight_limit)
        self._ended: list[Sample] = []
        self._under_way = 0

    async def run(self, emit: _Emit) -> None:
        """Sends everything, waits for every outcome, and emits a block for every second."""
        blocks = asyncio.create_task(self._emit_blocks(emit))
        try:
            await (self._send_in_turn() if self._share.callers else self._send_on_time())
        finally:
            blocks.cancel()
        emit(self._block(int(self._now_s())))

    async def _send_on_time(self) -> None:
        tasks: set[asyncio.Task[None]] = set()
        behind = 0
        for offset, call in zip(self._share.offsets_s.tolist(), self._share.calls.tolist(), strict=True):
            wait_s = offset - self._now_s()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
                behind = 0
            else:
                behind += 1
                if behind % _LONGEST_WITHOUT_REPLIES == 0:
                    await asyncio.sleep(0)
            self._under_way += 1
            task = asyncio.create_task(self._call(call, offset))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        while tasks:
            await asyncio.wait(tasks)

    async def _send_in_turn(self) -> None:
        calls = iter(self._share.calls.tolist())
        await asyncio.sleep(max(0.0, -self._now_s()))

        async def caller() -> None:
            for call in calls:
                now_s = self._now_s()
                if now_s >= self._share.duration_s:
                    return
                self._under_way += 1
                await self._call(call, now_s)

        await asyncio.gather(*(caller() for _ in range(self._share.callers)))

    async def _call(self, call: int, intended_s: float) -> None:
        taken_up_s = self._now_s()
        lag_s = taken_up_s - intended_s
        ends_s = intended_s + self._share.deadline_s
        if taken_up_s >= ends_s:
            self._note(Sample(call, intended_s, taken_up_s, taken_up_s, lag_s, UNSENT, (), ()))
            return
        async with self._places:
            sent_s = self._now_s()
            if sent_s >= ends_s:  # every place was taken for so long: no answer in time, whoever asked
                self._note(Sample(call, intended_s, sent_s, sent_s, lag_s, DEADLINE_EXCEEDED, (), ()))
                return
            reply = await self._connection.send(call, ends_s - sent_s)
        answers = self._answers[call]
        hits = tuple(one in answers for one in reply.item_ids) if answers else ()
        self._note(Sample(call, intended_s, sent_s, self._now_s(), lag_s, reply.code, reply.degradations, hits))

    def _note(self, sample: Sample) -> None:
        self._under_way -= 1
        self._ended.append(sample)

    async def _emit_blocks(self, emit: _Emit) -> None:
        second = 0
        while True:
            await asyncio.sleep(second + 1 - self._now_s())
            emit(self._block(second))
            second += 1

    def _block(self, second: int) -> SampleBlock:
        ended, self._ended = tuple(self._ended), []
        return SampleBlock(second, ended, self._under_way)

    def _now_s(self) -> float:
        return time.monotonic() - self._share.starts_at_s


def precise_loop() -> asyncio.AbstractEventLoop:
    """Makes a loop whose timers end to the microsecond; asyncio's default, epoll, rounds them up to milliseconds.

    select takes file descriptors below 1,024 only: gRPC needs a handful, an HTTP peer one a connection.
    """
    return asyncio.SelectorEventLoop(selectors.SelectSelector())
