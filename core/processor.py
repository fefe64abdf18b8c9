"""The processor at hand: how many cores this process may use, and whether they multiply bfloat16."""

import contextlib
import os
import threading
from pathlib import Path

from core import cgroup

_CPU_INFO = Path("/proc/cpuinfo")
_LOWEST = 19
_BFLOAT16 = ("amx_bf16", "avx512_bf16")


def available_cores() -> int:
    """Returns the cores that this process may use, at least 1: its affinity, and the limit of a container."""
    limit = cgroup.core_limit()
    cores = len(os.sched_getaffinity(0))
    return cores if limit is None else max(1, min(cores, int(limit)))


def lowest_priority() -> None:
    """Gives the calling thread the lowest priority: it runs when others have nothing to do.

    On Linux the priority is a thread's own; elsewhere, or where it may not be changed, the thread stays as it is.
    """
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST)


def bfloat16_unit(cpu_info: Path = _CPU_INFO) -> str:
    """Returns the processor's unit that multiplies bfloat16 by the name of its flag; empty without one.

    Args:
        cpu_info: the kernel's description of it.
    """
    try:
        text = cpu_info.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    flags = next((line.partition(":")[2].split() for line in text.splitlines() if line.startswith("flags")), [])
    return next((unit for unit in _BFLOAT16 if unit in flags), "")
