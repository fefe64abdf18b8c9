"""Processor: instructions, number of cores, and whether hnswlib was compiled for it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from cli.checks.finding import Finding, fail, ok, size, warn
from core import cgroup

_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")
_NEEDED = ("avx2", "fma")
_NAMED = ("avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "avx512_fp16")
_LEAST_BYTES, _ENOUGH_BYTES = 1_000_000_000, 4_000_000_000
_SEARCH = """
import hnswlib, numpy
index = hnswlib.Index(space="ip", dim=64)
index.init_index(max_elements=100)
vectors = numpy.eye(100, 64, dtype=numpy.float32)
index.add_items(vectors)
labels, _ = index.knn_query(vectors[7], k=1)
assert labels[0][0] == 7, labels
"""


def check_features(cpuinfo: Path = _CPUINFO) -> Finding:
    """Looks at the processor's instruction sets.

    Args:
        cpuinfo: the kernel's description of it.
    """
    text = cpuinfo.read_text()
    flags = set((re.search(r"^flags\s*:(.*)$", text, re.MULTILINE) or ["", ""])[1].split())
    model = (re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE) or ["", "unknown processor"])[1]
    missing = [name for name in _NEEDED if name not in flags]
    there = ", ".join(name for name in (*_NEEDED, *_NAMED) if name in flags)
    if missing:
        return warn(
            "processor",
            f"{model}: no {', '.join(missing)}",
            "the container image does not run here and vectors are slow; take a machine with AVX2 and FMA "
            "(in a virtual machine: pass the host's processor through)",
        )
    if not {"avx512_vnni", "avx_vnni"} & flags:
        return ok("processor", f"{model}: {there}; no VNNI, so int8 gains little")
    return ok("processor", f"{model}: {there}")


def check_cores(folder: Path = cgroup.FOLDER, own: Path = cgroup.OWN_GROUPS) -> Finding:
    """Counts what this process may use.

    Args:
        folder: where control groups are mounted.
        own: the list of this process's groups.
    """
    count = len(os.sched_getaffinity(0))
    limit = cgroup.core_limit(folder, own)
    usable = count if limit is None else min(count, limit)
    words = f"{count} cores" + ("" if limit is None else f", limited to {limit:g} by a control group")
    if usable < 2:
        return warn(
            "cores",
            words,
            "gateway and Triton want two: raise the limit (`cpus` in compose.yaml, limits.cpu in Kubernetes)",
        )
    if limit is not None and limit < count:
        return warn(
            "cores",
            words,
            f"libraries count {count} cores and start as many threads, which then wait for one another: keep "
            "threads x instances in config.pbtxt within the limit, or set a cpuset instead",
        )
    return ok("cores", words)


def check_memory(meminfo: Path = _MEMINFO, folder: Path = cgroup.FOLDER, own: Path = cgroup.OWN_GROUPS) -> Finding:
    """Looks at the memory to be had.

    Args:
        meminfo: the kernel's table.
        folder: where control groups are mounted.
        own: the list of this process's groups.
    """
    table = {name: int(value) * 1024 for name, value in re.findall(r"^(\w+):\s+(\d+) kB", meminfo.read_text(), re.M)}
    available, total, limit = table["MemAvailable"], table["MemTotal"], cgroup.memory_limit(folder, own)
    usable = available if limit is None else min(available, limit)
    words = f"{size(available)} of {size(total)} available"
    if limit is not None and limit < total:
        words += f", limited to {size(limit)} by a control group"
    remedy = "gateway and Triton with the default encoder take about 0.7 GB, a release build 1.3 GB: free some, or more"
    if usable < _LEAST_BYTES:
        return fail("memory", words, remedy)
    return ok("memory", words) if usable >= _ENOUGH_BYTES else warn("memory", words, remedy)


def check_hnswlib(python: str = sys.executable) -> Finding:
    """Searches a small graph in a process of its own, which an instruction that is not there would kill.

    Args:
        python: the interpreter that has it.
    """
    done = subprocess.run([python, "-c", _SEARCH], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 0:
        return ok("hnswlib", "builds and searches a graph")
    if done.returncode == -signal.SIGILL:
        return fail(
            "hnswlib",
            "it was compiled for another processor (illegal instruction)",
            "compile it here: pip install --force-reinstall --no-deps --no-cache-dir hnswlib==0.8.0",
        )
    last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    return fail("hnswlib", f"cannot build and search a graph: {last}", "`make setup`; it needs a C++ compiler")
