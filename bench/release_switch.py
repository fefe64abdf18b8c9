"""Figures of switching releases under load: `python -m bench.release_switch --releases DIR`.

Takes the two newest releases of a folder, serves one, and promotes the other and back again under callers who ask
without a pause between two calls. Prints one line a figure with its goal, and ends with 1 if a goal was missed:

- errors over all switches;
- p99 of the calls while releases are switched over p99 of those in the rounds between, which alternate with them;
- with `--reloads N`, the growth of memory, open files, threads and the median call per 1,000 switches, by least squares
  over the last two thirds.

Times depend on who else uses the machine: rounds with and without a switch alternate, and their ratio counts.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import psutil

from bench.main_job import Measurement
from bench.service import ROOT, Running, serving_command, started
from domain.release_folder import list_releases, promote
from server.rpc.release import SOCKET
from shortlist import Client, ShortlistCallError
from shortlist.v1 import release_pb2 as pb
from shortlist.v1.release_pb2_grpc import ReleaseServiceStub

_TEXTS = ("a quiet film about grief", "earl grey tea", "space adventure", "gift for a friend who cooks")
_CALLERS = 2
_LOAD_TIMEOUT_S = 600.0
_QUIET_S = 4.0


@dataclass
class Load:
    """Callers that ask one call after the other.

    Attributes:
        address: of the gateway.
        times: seconds of each call, and whether a switch was under way when it began.
        errors: of the calls that failed.
        switching: whether a switch is under way.
    """

    address: str
    times: list[tuple[float, bool]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    switching: bool = False
    _done: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begins to ask."""
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(_CALLERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends after the calls under way."""
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        with Client(self.address, deadline_s=20.0, retry=None) as client:
            while not self._done.is_set():
                number += 1
                switching, since_s = self.switching, time.perf_counter()
                try:
                    client.recommend(_TEXTS[number % len(_TEXTS)], k=10)
                except ShortlistCallError as error:
                    self.errors.append(str(error))
                self.times.append((time.perf_counter() - since_s, switching))


@dataclass(frozen=True)
class Sample:
    """State of the gateway's process after some switches.

    Attributes:
        switches: so many.
        rss_mb: its memory.
        fds: its open files and connections.
        threads: its threads.
        call_ms: median of the calls since the sample before.
    """

    switches: int
    rss_mb: float
    fds: int
    threads: int
    call_ms: float


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=Path, required=True, help="folder with two releases or more")
    parser.add_argument("--switches", type=int, default=10, help="promotes and rollbacks with pauses (%(default)s)")
    parser.add_argument("--reloads", type=int, default=0, help="switches without pauses behind them (%(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "releases"
        ids = _copied(args.releases, folder)
        with started(serving_command(folder, Path(scratch)), ROOT) as running:
            found = _figures(running, Path(scratch) / "state" / SOCKET, ids, args.switches, args.reloads)
    for one in found:
        sys.stdout.write(one.line() + "\n")
    return 0 if all(one.reached for one in found) else 1


def _copied(releases: Path, folder: Path) -> list[str]:
    """Copies the two newest releases into a folder of which the older is current, and returns their ids."""
    newest = list_releases(releases)[-2:]
    if len(newest) < 2:
        sys.exit(
            f"{releases} has fewer than two releases; build another one with `shortlist release build --no-promote`"
        )
    for release in newest:
        shutil.copytree(release.path, folder / release.path.name)
    promote(folder, newest[0].manifest.release_id)
    return [release.manifest.release_id for release in newest]


def _figures(running: Running, socket: Path, ids: list[str], switches: int, reloads: int) -> list[Measurement]:
    load = Load(running.address)
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        operator = ReleaseServiceStub(channel)
        listed = operator.ListReleases(pb.ListReleasesRequest(), timeout=30)
        live = next(one.release_id for one in listed.releases if one.live)
        order = [next(one for one in ids if one != live), live]
        load.start()
        try:
            time.sleep(_QUIET_S)
            load.times.clear()
            for number in range(switches):
                _switch(operator, order[number % 2], load)
                time.sleep(_QUIET_S)
            found = _tail_figures(load, switches)
            if reloads:
                found += _growth(_reload(operator, order, load, reloads, running.pid))
        finally:
            load.stop()
    return [Measurement("failed calls", len(load.errors), "calls", most=0), *found]


def _switch(operator: ReleaseServiceStub, release_id: str, load: Load) -> None:
    load.switching = True
    operator.PromoteRelease(pb.PromoteReleaseRequest(release_id=release_id), timeout=_LOAD_TIMEOUT_S)
    load.switching = False


def _tail_figures(load: Load, switches: int) -> list[Measurement]:
    during = [seconds for seconds, switching in load.times if switching]
    between = [seconds for seconds, switching in load.times if not switching]
    if not during or not between:
        return []
    tails = [float(np.percentile(times, 99)) for times in (during, between)]
    return [
        Measurement("switches", switches, ""),
        Measurement("calls while switching", len(during), "calls"),
        Measurement("calls between", len(between), "calls"),
        Measurement("p99 while switching", tails[0] * 1e3, "ms"),
        Measurement("p99 between", tails[1] * 1e3, "ms"),
        Measurement("p99 while switching / between", tails[0] / tails[1], "x", most=1.2),
    ]


def _reload(operator: ReleaseServiceStub, order: list[str], load: Load, reloads: int, pid: int) -> list[Sample]:
    process, samples = psutil.Process(pid), []
    every = max(1, reloads // 60)
    for number in range(1, reloads + 1):
        _switch(operator, order[number % 2], load)
        if number % every:
            continue
        times = [seconds for seconds, _ in load.times]
        load.times.clear()
        sample = Sample(
            number,
            process.memory_info().rss / 1e6,
            process.num_fds(),
            process.num_threads(),
            statistics.median(times or [0.0]) * 1e3,
        )
        samples.append(sample)
        sys.stdout.write(
            f"{sample.switches:6} switches  {sample.rss_mb:8.1f} MB  {sample.fds:4} files  {sample.threads:4} threads  "
            f"{sample.call_ms:7.2f} ms\n"
        )
        sys.stdout.flush()
    return samples


def _growth(samples: list[Sample]) -> list[Measurement]:
    later = samples[len(samples) // 3 :]
    if len(later) < 3:
        return []
    numbers = [one.switches for one in later]

    def slope(values: list[float]) -> float:
        return float(np.polyfit(numbers, values, 1)[0]) * 1_000

    return [
        Measurement("memory per 1,000 switches", slope([one.rss_mb for one in later]), "MB", most=50.0),
        Measurement("open files per 1,000 switches", slope([float(one.fds) for one in later]), "files", most=5.0),
        Measurement("threads per 1,000 switches", slope([float(one.threads) for one in later]), "", most=5.0),
        Measurement("median call per 1,000 switches", slope([one.call_ms for one in later]), "ms"),
    ]


if __name__ == "__main__":
    sys.exit(main())
