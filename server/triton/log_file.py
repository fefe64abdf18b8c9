"""Keeps a log small that another process writes to."""

import contextlib
import os
import shutil
from pathlib import Path


def keep_small(path: Path, limit_bytes: int) -> bool:
    """Moves a log's content to a second file, NAME.1, once it is too long; blocking.

    The writer keeps its handle, opened for appending, and goes on at the new beginning. What it writes between the copy
    and the cut is lost; the content of NAME.1 is replaced. On a full disk the content is lost: room matters more.

    Args:
        path: the log; may be missing.
        limit_bytes: its longest length.

    Returns:
        Whether it was cut.

    Raises:
        OSError: it cannot be cut.
    """
    if not path.exists() or path.stat().st_size <= limit_bytes:
        return False
    kept = path.with_name(f"{path.name}.1")
    try:
        shutil.copyfile(path, kept)
    except OSError:
        with contextlib.suppress(OSError):
            kept.unlink(missing_ok=True)
    os.truncate(path, 0)
    return True
