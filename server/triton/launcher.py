"""Starts a program that ends with its parent, even when the parent is killed.

Arguments: PARENT_PID KEY=VALUE... -- PROGRAM ARGUMENT... Run as a script between the gateway and tritonserver (standard
library only), because the request to be killed has to be made in the child itself, after the fork and before the exec.
The program gets exactly the environment on the command line.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; survives execve, not fork


def launch(arguments: Sequence[str]) -> NoReturn:
    """Replaces this process with the program; exits with a message on stderr where that cannot be.

    Args:
        arguments: the parent's process id, environment entries, `--`, the program's absolute path, its arguments.
    """
    separator = arguments.index("--")
    parent_pid = int(arguments[0])
    environment = dict(entry.split("=", 1) for entry in arguments[1:separator])
    command = list(arguments[separator + 1 :])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    # A parent that died before the prctl sends no signal any more.
    if os.getppid() != parent_pid:
        sys.exit(f"the parent process {parent_pid} is gone: {command[0]} is not started")
    try:
        os.execve(command[0], command, environment)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    launch(sys.argv[1:])
