"""A run in several workers of pytest-xdist: which tests stay together, which begin, and what the workers share."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WORKER = "PYTEST_XDIST_WORKER"
"""Environment variable with the worker's name; not set in a run in one process."""


def make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Returns a scheduler that hands out a file at a time, and the tests of one `xdist_group` mark together.

    A file's fixtures are then made in one worker only, and so is a gateway that several files share.
    """
    from xdist.scheduler import LoadGroupScheduling

    class FilesAndGroups(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            # A group's name comes without "::": the nodes of other tests begin with their file.
            return super()._split_scope(nodeid).split("::", 1)[0]

    return FilesAndGroups(config, log)


def put_long_tests_first(items: list[pytest.Item]) -> None:
    """Sorts the tests of a worker: Triton and slow ones begin, so that no worker ends long after the other."""
    if WORKER in os.environ:
        items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in ("triton", "slow")))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Returns the folder of this name, filled by `make` in the process that asks first; others wait until it is done.

    Raises:
        AssertionError: `make` failed, here or in another process.
    """
    own = factory.getbasetemp()
    # A worker's temporary folder lies in the run's.
    folder = (own.parent if WORKER in os.environ else own) / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = folder.with_suffix(".ready")
        if not ready.exists():
            assert not folder.exists(), f"making {name} failed before"
            folder.mkdir()
            make(folder)
            ready.touch()
    return folder
