"""Row 11: memory, open files, tasks and threads stay flat under load with callers who leave and clients that die."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
import numpy as np
import psutil

from bench.chaos.cut_connections import CutConnections
from bench.chaos.deployment import Deployment
from bench.chaos.figure import Figure
from bench.chaos.load import WORDS, Load
from shortlist.v1 import event_pb2, event_pb2_grpc
from shortlist.v1 import recommender_pb2 as pb
from shortlist.v1.recommender_pb2_grpc import RecommenderServiceStub

# Vectors of texts are kept up to this; a run that fills the cache would measure that.
FLAGS = ("--embedding-cache-mb", "4")
_MB = 1e6
_SHARE_OF_C = 0.7
_WARM_UP_S = 600.0
_CANCELLED, _KILLED, _RECORDED, _HISTORY = 0.05, 0.01, 0.05, 0.2
_USERS = 200
_TASKS = "shortlist_event_loop_tasks"


@dataclass(frozen=True)
class Sample:
    """State of a gateway at a moment.

    Attributes:
        at_s: since the start.
        memory: resident, bytes.
        triton_memory: of its Triton's processes, bytes.
        files: open file descriptors.
        threads: of the process.
        tasks: of its event loop.
    """

    at_s: float
    memory: float
    triton_memory: float
    files: float
    threads: float
    tasks: float


def growth(deployment: Deployment, seed: int, seconds: float, rate: float | None) -> Iterator[Figure]:
    """Yields the figures of row 11; slopes count from ten minutes on, since the first minutes fill caches.

    Args:
        deployment: started with `FLAGS`.
        seed: of times, kinds and texts.
        seconds: length of the run; below half an hour a third of it counts as the beginning.
        rate: calls a second; None for .7 C.
    """
    if rate is None:
        rate = _SHARE_OF_C * asyncio.run(Load(deployment.address, seed, word_count=12).closed(8, 5.0))
    soak = Soak(deployment, rate, seconds, np.random.default_rng(seed))
    asyncio.run(soak.run())
    yield Figure(11, "calls a second", rate)
    yield Figure(11, "calls, of these cancelled and cut are 5 and 1 in a hundred", sum(soak.codes.values()))
    for code, count in sorted(soak.codes.items()):
        yield Figure(11, f"calls that ended with {code}", count)
    yield Figure(11, f"samples missed, of {len(soak.samples) + soak.missed_samples}", soak.missed_samples)
    later = [one for one in soak.samples if one.at_s >= min(_WARM_UP_S, seconds / 3)]
    times = np.array([one.at_s for one in later])
    goal = 1.0 if seconds >= 3_600 else None
    for name, values in (
        ("the gateway's memory", [one.memory for one in later]),
        ("its Triton's memory", [one.triton_memory for one in later]),
    ):
        slope, error = _slope(times, np.array(values) / _MB)
        yield Figure(11, f"growth of {name}, MB an hour", slope, most=goal)
        yield Figure(11, f"standard error of that over {times[-1] - times[0]:.0f} s", error)
    third = max(1, len(later) // 3)
    for name, numbers in (
        ("open files", [one.files for one in later]),
        ("threads", [one.threads for one in later]),
        ("tasks", [one.tasks for one in later]),
    ):
        more = float(np.median(numbers[-third:]) - np.median(numbers[:third]))
        yield Figure(11, f"more {name} in the last third than in the first", more, most=3)


def _slope(times_s: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Returns the slope of a line through values, an hour, and its standard error; zeros for fewer than three."""
    if len(times_s) < 3:
        return 0.0, 0.0
    hours = times_s / 3_600 - times_s.mean() / 3_600
    slope = float((hours * values).sum() / (hours**2).sum())
    rest = values - values.mean() - slope * hours
    return slope, float(np.sqrt((rest**2).sum() / (len(values) - 2) / (hours**2).sum()))


@dataclass
class Soak:
    """A long open-loop run.

    Attributes:
        deployment: the gateway.
        rate: calls a second.
        seconds: its length.
        rng: draws everything.
        samples: of the gateway, as they are taken.
        codes: statuses of the calls.
        missed_samples: for which the metrics page did not answer.
    """

    deployment: Deployment
    rate: float
    seconds: float
    rng: np.random.Generator
    samples: list[Sample] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    missed_samples: int = 0

    async def run(self) -> None:
        """Sends the calls and takes the samples."""
        started_s = time.monotonic()
        async with (
            CutConnections(self.deployment.address) as cut,
            grpc.aio.insecure_channel(self.deployment.address) as channel,
        ):
            sampling = asyncio.create_task(self._sample(started_s))
            calls: set[asyncio.Task[None]] = set()
            at_s = 0.0
            while at_s < self.seconds:
                at_s += float(self.rng.exponential(1 / self.rate))
                await asyncio.sleep(max(0.0, started_s + at_s - time.monotonic()))
                calls.add(task := asyncio.create_task(self._call(channel, cut)))
                task.add_done_callback(calls.discard)
            await asyncio.gather(*calls)
            await sampling

    async def _call(self, channel: grpc.aio.Channel, cut: CutConnections) -> None:
        fate, leaves_s = self.rng.random(), float(self.rng.uniform(0, 0.05))
        if fate < _KILLED:
            await cut.call(self._request(), leaves_s)
            self.codes["CUT"] += 1
            return
        call = self._kind(channel)
        if fate < _KILLED + _CANCELLED:
            await asyncio.sleep(leaves_s)
            call.cancel()
        try:
            await call
        except grpc.aio.AioRpcError as error:
            self.codes[error.code().name] += 1
        except asyncio.CancelledError:
            self.codes["CANCELLED"] += 1
        else:
            self.codes["OK"] += 1

    def _kind(self, channel: grpc.aio.Channel) -> "grpc.aio.UnaryUnaryCall[object, object]":
        if self.rng.random() < _RECORDED:
            event = event_pb2.Event(item_id="goods-phone-a", kind=event_pb2.EVENT_KIND_VIEW)
            request = event_pb2.RecordEventsRequest(user_id=f"soak-{self.rng.integers(_USERS)}", events=[event])
            return event_pb2_grpc.EventServiceStub(channel).RecordEvents(request, timeout=2)
        return RecommenderServiceStub(channel).Recommend(self._request(), timeout=2)

    def _request(self) -> pb.RecommendRequest:
        if self.rng.random() < _HISTORY:
            return pb.RecommendRequest(
                events=[event_pb2.Event(item_id="goods-phone-a", kind=event_pb2.EVENT_KIND_BUY)], k=10
            )
        return pb.RecommendRequest(text=" ".join(self.rng.choice(WORDS, 12)), k=10, explain=True)

    async def _sample(self, started_s: float) -> None:
        gateway = psutil.Process(self.deployment.process.pid)
        while (at_s := time.monotonic() - started_s) < self.seconds:
            children = await asyncio.to_thread(gateway.children, recursive=True)
            try:
                tasks = await asyncio.to_thread(self.deployment.metric, _TASKS)
            except OSError:  # on a busy machine the page may be late; an hour's run must not be lost by that
                self.missed_samples += 1
            else:
                with gateway.oneshot():
                    memory, files, threads = gateway.memory_info().rss, gateway.num_fds(), gateway.num_threads()
                triton = sum(_memory(child) for child in children)
                self.samples.append(Sample(at_s, memory, triton, files, threads, tasks))
            await asyncio.sleep(min(10.0, self.seconds / 30))


def _memory(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0.0
