"""Places: shared memory, and room in the folders that Shortlist writes to."""

import os
import tempfile
from pathlib import Path

from cli.checks.finding import Finding, fail, ok, size, warn

_SHM = Path("/dev/shm")
_SHM_LEAST_BYTES, _SHM_ENOUGH_BYTES = 128 << 20, 1000 << 20
_DISK_LEAST_BYTES, _DISK_ENOUGH_BYTES = 500_000_000, 3_000_000_000


def check_shared_memory(folder: Path = _SHM) -> Finding:
    """Looks at the shared memory through which Triton's Python backend passes tensors.

    Args:
        folder: where it is mounted.
    """
    name, remedy = "shared memory", "mount -o remount,size=1g /dev/shm; in a container: --shm-size=1g, or shm_size: 1g"
    try:
        status = os.statvfs(folder)
    except OSError as error:
        return fail(name, f"{folder}: {error.strerror}", f"mount -t tmpfs tmpfs {folder}")
    total, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
    words = f"{size(free)} of {size(total)} free in {folder}"
    if not os.access(folder, os.W_OK):
        return fail(name, f"{folder} is not writable", f"chmod 1777 {folder}")
    if total < _SHM_LEAST_BYTES:
        return fail(name, f"{words}; Triton's Python backend starves", remedy)
    if free < _SHM_LEAST_BYTES:
        entry_count = sum(1 for _ in folder.iterdir())
        return fail(name, f"{words}, {entry_count} files", f"remove what ended programs left in {folder}, or {remedy}")
    return ok(name, words) if total >= _SHM_ENOUGH_BYTES else warn(name, words, remedy)


def check_folder(name: str, folder: Path, *, written: bool = True) -> Finding:
    """Looks for room and the right to write where a folder is, or would be made.

    Args:
        name: what it is for.
        folder: may be missing.
        written: whether Shortlist writes there when it serves; otherwise only the building of releases does.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return fail(name, f"{place} is no folder", f"move it away, or name another folder than {folder}")
    status = os.statvfs(place)
    free = status.f_bavail * status.f_frsize
    words = f"{folder}: {size(free)} free"
    bad = fail if written else warn
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"x" * 4096)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return bad(name, f"{place} cannot be written: {error.strerror}", f"free space or give rights there: {place}")
    if free < _DISK_LEAST_BYTES:
        return bad(name, words, "free some: a model takes 90 MB a version, a release 100 MB and more")
    return ok(name, words) if free >= _DISK_ENOUGH_BYTES else warn(name, words, "free some before the next release")
