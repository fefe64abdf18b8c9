"""Use of the machine by a step: wall time, processor time and peak memory."""

import resource
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Usage:
    """Time and memory of a step.

    Attributes:
        seconds: wall time.
        cpu_seconds: processor time of all threads.
        peak_bytes: largest resident memory; of the whole process so far where the system keeps no peak to reset.
        work_bytes: what that is above the resident memory at the beginning, at least 0.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    work_bytes: int

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s, {self.cpu_seconds:.0f} s of processor time, peak {size_words(self.peak_bytes)}"


class UsageMeter:
    """Measures from its construction on."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.monotonic(), time.process_time()
        self._resident = resident_bytes()
        with suppress(OSError):
            _CLEAR.write_text("5")  # Linux: begins a new peak of resident memory

    def read(self) -> Usage:
        """Returns the use so far."""
        peak = peak_bytes()
        wall_s, cpu_s = time.monotonic() - self._wall_s, time.process_time() - self._cpu_s
        return Usage(wall_s, cpu_s, peak, max(0, peak - self._resident))


def peak_bytes() -> int:
    """Returns the largest resident memory since it was last reset, in bytes."""
    return _status_bytes("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident_bytes() -> int:
    """Returns the resident memory of this process in bytes; 0 where the system does not say."""
    return _status_bytes("VmRSS")


def _status_bytes(name: str) -> int:
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def size_words(size: float) -> str:
    """Returns bytes in MB or GB, for people."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
