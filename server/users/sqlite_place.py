"""The place of a SQLite file: a network's file system has no locks that a write-ahead log can rely on."""

from collections.abc import Iterable
from pathlib import Path

import psutil

from domain.errors import ConfigurationError

_NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "ceph",
    "gluster",
    "lustre",
    "afs",
    "gfs",
    "ocfs",
    "fuse.sshfs",
    "fuse.s3fs",
    "beegfs",
)


def check_place(path: Path, mounts: Iterable[tuple[str, str]] | None = None) -> None:
    """Refuses a file on a network's file system, on which two gateways would damage each other's events.

    Args:
        path: of the file.
        mounts: mount points and kinds of file system; None takes the machine's.

    Raises:
        ConfigurationError: it is on one.
    """
    if mounts is None:
        mounts = [(one.mountpoint, one.fstype) for one in psutil.disk_partitions(all=True)]
    real = path.absolute().resolve()
    holding = [(point, kind) for point, kind in mounts if real.is_relative_to(point)]
    point, kind = max(holding, key=lambda one: len(one[0]), default=("/", ""))
    if kind.startswith(_NETWORK):
        raise ConfigurationError(
            f"event_store {path}: {point} is a network's file system ({kind}), on which SQLite cannot keep events "
            "safely; name a file on a local disk, or redis://HOST:PORT for several gateways"
        )
