"""Generator processes: each holds its own connections and sends its share of every run; the parent counts."""

import asyncio
import gc
import multiprocessing
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

from domain.errors import ConfigurationError, ShortlistError, WorkerLost
from slo.calls import Call
from slo.generator import Generator, SampleBlock, Share, precise_loop
from slo.plan import RunPlan
from slo.recorder import Measurement, Recorder, SecondRow
from slo.target import Connection, Target

_HEAD_START_S = 0.1
_READY_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 5.0

OnSecond = Callable[[SecondRow], None]


@dataclass(frozen=True, slots=True)
class _Ended:
    """Message of a process whose share is done."""

    processor_s: float
    wall_s: float


class GeneratorPool:
    """Generator processes for one deployment, kept between runs. Use it in a `with` statement."""

    def __init__(self, target: Target, calls: tuple[Call, ...], process_count: int) -> None:
        """Takes the deployment, every call that runs may send, and how many processes send them."""
        self.target = target
        self._calls = calls
        self._count = process_count
        self._processes: list[BaseProcess] = []
        self._pipes: list[Pipe] = []

    def __enter__(self) -> Self:
        """Starts the processes and waits until they are connected.

        Raises:
            ConfigurationError: the deployment does not take one of the calls.
            WorkerLost: a process did not start.
        """
        context = multiprocessing.get_context("spawn")
        try:
            for _ in range(self._count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, self.target, self._calls), daemon=True)
                process.start()
                theirs.close()
                self._processes.append(process)
                self._pipes.append(ours)
            for pipe in self._pipes:
                if not pipe.poll(_READY_TIMEOUT_S):
                    raise WorkerLost(f"a generator process did not start within {_READY_TIMEOUT_S:.0f} s")
                self._receive(pipe)
        except BaseException:
            self._end(0.0)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # After an error or Ctrl-C the processes may be in the middle of a run.
        self._end(_END_TIMEOUT_S if kind is None else 0.0)

    def run(self, plan: RunPlan, on_second: OnSecond) -> Measurement:
        """Makes a run and returns its figures.

        Args:
            plan: what is sent.
            on_second: gets each second's row, soon after that second.

        Raises:
            WorkerLost: a process ended or failed.
        """
        starts_at_s = time.monotonic() + _HEAD_START_S
        for place, pipe in enumerate(self._pipes):
            pipe.send(self._share(plan, place, starts_at_s))
        recorder = Recorder(
            plan.scope, [call.kind for call in self._calls], [len(call.answers) for call in self._calls]
        )
        ended = self._collect(recorder, on_second)
        return recorder.measurement(sum(one.processor_s / one.wall_s for one in ended))

    def _share(self, plan: RunPlan, place: int, starts_at_s: float) -> Share:
        """Deals times and calls out in turn, so that every process sends the same rate at any time."""
        mine = slice(place, None, self._count)
        return Share(
            starts_at_s=starts_at_s,
            duration_s=plan.scope.duration_s,
            offsets_s=plan.offsets_s[mine],
            calls=plan.calls[mine],
            deadline_s=plan.deadline_s,
            in_flight_limit=max(1, _part(plan.in_flight_limit, self._count, place)),
            callers=_part(plan.callers, self._count, place),
        )

    def _collect(self, recorder: Recorder, on_second: OnSecond) -> list[_Ended]:
        """Records every second once all processes are past it."""
        waiting: dict[int, list[SampleBlock]] = defaultdict(list)
        passed = dict.fromkeys(self._pipes, -1)
        ended: list[_Ended] = []
        recorded = 0
        while passed:
            for pipe in wait(list(passed)):
                assert isinstance(pipe, Pipe)
                message = self._receive(pipe)
                if isinstance(message, _Ended):
                    ended.append(message)
                    del passed[pipe]
                elif isinstance(message, SampleBlock):
                    waiting[message.second].append(message)
                    passed[pipe] = max(passed[pipe], message.second)
            complete = min(passed.values(), default=max(waiting, default=recorded - 1) + 1)
            for second in range(recorded, complete):
                blocks = waiting.pop(second, [])
                samples = [sample for block in blocks for sample in block.samples]
                on_second(recorder.record(second, samples, sum(block.in_flight for block in blocks)))
            recorded = max(recorded, complete)
        return ended

    def _receive(self, pipe: Pipe) -> object:
        try:
            message = pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise WorkerLost("a generator process ended; the run is lost") from error
        if isinstance(message, ShortlistError):
            raise message
        return message

    def _end(self, timeout_s: float) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(timeout_s)
            if process.is_alive():
                process.kill()
                process.join()
        self._pipes, self._processes = [], []


def _part(total: int, count: int, place: int) -> int:
    return total // count + (place < total % count)


def _work(pipe: Pipe, target: Target, calls: tuple[Call, ...]) -> None:
    """Runs one generator process until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends its children
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(_serve(pipe, target, calls))


async def _serve(pipe: Pipe, target: Target, calls: tuple[Call, ...]) -> None:
    try:
        connection = await target.connect(calls)
    except ConfigurationError as error:
        pipe.send(error)
        return
    pipe.send("ready")
    try:
        while (share := await asyncio.to_thread(_next_share, pipe)) is not None:
            pipe.send(await _send(pipe, connection, calls, share))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone
    finally:
        await connection.close()


async def _send(pipe: Pipe, connection: Connection, calls: tuple[Call, ...], share: Share) -> _Ended:
    # Nothing of before is looked at again: a full collection of the calls would be the largest pause of a run.
    gc.collect()
    gc.freeze()
    wall_s, processor_s = time.monotonic(), time.process_time()
    await Generator(connection, calls, share).run(pipe.send)
    return _Ended(time.process_time() - processor_s, time.monotonic() - wall_s)


def _next_share(pipe: Pipe) -> Share | None:
    try:
        share: Share = pipe.recv()
    except (EOFError, ConnectionError):
        return None
    return share
