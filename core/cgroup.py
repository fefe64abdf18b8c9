"""Limits of a container, or of systemd, on this process: control groups of both versions."""

from pathlib import Path

FOLDER = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def core_limit(folder: Path = FOLDER, own: Path = OWN_GROUPS) -> float | None:
    """Returns how many cores' time may be used, or None without a limit.

    Args:
        folder: where control groups are mounted.
        own: the list of this process's groups.
    """
    limits = []
    for text in _values(folder, own, "", "cpu.max"):
        quota, _, period = text.partition(" ")
        if quota != "max":
            limits.append(int(quota) / int(period))
    quotas = _values(folder, own, "cpu", "cpu.cfs_quota_us")
    periods = _values(folder, own, "cpu", "cpu.cfs_period_us")
    limits += [int(quota) / int(period) for quota, period in zip(quotas, periods, strict=False) if int(quota) > 0]
    return min(limits, default=None)


def memory_limit(folder: Path = FOLDER, own: Path = OWN_GROUPS) -> int | None:
    """Returns the most memory that may be used, in bytes, or None without a limit; arguments as for `core_limit`."""
    texts = [*_values(folder, own, "", "memory.max"), *_values(folder, own, "memory", "memory.limit_in_bytes")]
    # Version 1 says "none" with a number close to 2^63.
    return min((int(text) for text in texts if text != "max" and int(text) < 1 << 60), default=None)


def _values(folder: Path, own: Path, controller: str, name: str) -> list[str]:
    """Returns a file's text in this process's group and in each above it; a limit of any of them holds."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    texts = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controller not in controllers.split(","):
            continue
        root = folder / controller
        place = root / group.lstrip("/")
        # Inside a container the group's path may be the host's, and only the mount's top is there.
        for level in (place, *place.parents):
            if (level / name).is_file():
                texts.append((level / name).read_text().strip())
            if level == root:
                break
    return texts
