"""The processes of one training under `torchrun`: the first one trains, the others take part in what is distributed.

The first process reads the data, runs every step and writes the model folder. Before a distributed training it sends a
task to the others, which wait for tasks until it has finished. Without `torchrun` there is one process only.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from domain.errors import TrainingRefused

_T = TypeVar("_T")
# The others wait while the first process runs the steps that are not distributed, which may take days.
_TIMEOUT = timedelta(days=365)


@contextmanager
def joined() -> Iterator[bool]:
    """Joins the processes that `torchrun` started; yields whether this is the first one, which then ends the others."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield True
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_TIMEOUT)
    try:
        yield dist.get_rank() == 0
        if dist.get_rank() == 0:
            share(None)
    finally:
        dist.destroy_process_group()


def leave(status: int) -> int:
    """Returns the exit status; under `torchrun` it ends the process with it at once.

    Gloo's threads may still hold tensors when the interpreter is finalized, and taking its lock then aborts the process
    after all work is done (pytorch/pytorch#179291).
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def process_count() -> int:
    """Returns the number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Returns whether this process runs the steps and writes the files."""
    return not dist.is_initialized() or dist.get_rank() == 0


def share(task: Callable[[], object] | None) -> None:
    """Sends a task, which must be picklable, from the first process to the others; None ends them."""
    if process_count() > 1:
        dist.broadcast_object_list([task], src=0)


def tasks() -> Iterator[Callable[[], object]]:
    """Yields the tasks that the first process shares, until it ends.

    Raises:
        TrainingRefused: the first process failed.
    """
    while True:
        received: list[Callable[[], object] | None] = [None]
        try:
            dist.broadcast_object_list(received, src=0)
        except RuntimeError as error:
            raise TrainingRefused("the first process of this training ended early; see its message") from error
        if received[0] is None:
            return
        yield received[0]


def agreed(compute: Callable[[], _T]) -> _T:
    """Returns the first process's value in every process; only the first one computes it."""
    if process_count() == 1:
        return compute()
    values = [compute() if is_first() else None]
    dist.broadcast_object_list(values, src=0)
    value: _T = values[0]  # type: ignore[assignment]
    return value
