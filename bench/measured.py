"""Runs a command and measures it: wall time, processor time, peak memory."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """Outcome of a command.

    Attributes:
        status: its exit status; below 0 the number of the signal that ended it.
        wall_s: from start to end.
        cpu_s: processor time of its threads and of the processes that it waited for.
        peak_bytes: largest resident memory of any one of these processes.
    """

    status: int
    wall_s: float
    cpu_s: float
    peak_bytes: int

    def __str__(self) -> str:
        return f"{self.wall_s:.0f} s, {self.cpu_s:.0f} s of processor time, peak {self.peak_bytes / 1e9:.2f} GB"


def run_measured(command: Sequence[str]) -> Measured:
    """Runs a command to its end; what it prints goes where this program's output goes."""
    started_s = time.monotonic()
    with subprocess.Popen(command) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)  # it is waited for already
    wall_s = time.monotonic() - started_s
    return Measured(process.returncode, wall_s, usage.ru_utime + usage.ru_stime, 1024 * usage.ru_maxrss)
