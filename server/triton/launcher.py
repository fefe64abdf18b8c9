"""Starts a program that ends with its parent, even when the parent is killed, and whose files are its user's alone.

Arguments: PARENT_PID KEY=VALUE... -- PROGRAM ARGUMENT... Run as a script between the gateway and tritonserver (standard
library only), because what it asks of the kernel has to be asked in the child itself, after the fork and before the
exec. The program gets exactly the environment on the command line.
"""

import ctypes
import os
import platform
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

# <linux/prctl.h>; all three survive execve.
_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
# Audit architecture and number of fchmod, by machine.
_FCHMOD = {"x86_64": (0xC000003E, 91), "aarch64": (0xC00000B7, 52)}


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


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
    _control(libc, "PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, signal.SIGKILL)
    # A parent that died before the prctl sends no signal any more.
    if os.getppid() != parent_pid:
        sys.exit(f"the parent process {parent_pid} is gone: {command[0]} is not started")
    os.umask(0o077)
    _keep_modes(libc)
    try:
        os.execve(command[0], command, environment)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


def _keep_modes(libc: ctypes.CDLL) -> None:
    """Has fchmod(..., 0644) do nothing and succeed, so that the umask decides.

    Triton's Python backend gives its shared memory, which holds the tokens of texts, that mode after it was created.
    """
    if platform.machine() not in _FCHMOD:
        sys.exit(f"cannot protect Triton's shared memory on {platform.machine()}: use a Triton of your own (--triton)")
    architecture, fchmod = _FCHMOD[platform.machine()]
    load, equals, answer = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    steps = (
        (load, 0, 0, 4),  # seccomp_data.arch
        (equals, 0, 5, architecture),
        (load, 0, 0, 0),  # .nr
        (equals, 0, 3, fchmod),
        (load, 0, 0, 24),  # .args[1], its low half
        (equals, 0, 1, 0o644),
        (answer, 0, 0, 0x0005_0000),  # SECCOMP_RET_ERRNO with no error
        (answer, 0, 0, 0x7FFF_0000),  # SECCOMP_RET_ALLOW
    )
    instructions = (_Instruction * len(steps))(*(_Instruction(*step) for step in steps))
    program = _Program(len(steps), ctypes.cast(instructions, ctypes.POINTER(_Instruction)))
    _control(libc, "PR_SET_NO_NEW_PRIVS", _PR_SET_NO_NEW_PRIVS, 1)
    _control(libc, "PR_SET_SECCOMP", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program))


def _control(libc: ctypes.CDLL, name: str, option: int, *values: object) -> None:
    words = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in (*values, 0, 0, 0)]
    if libc.prctl(option, *words[:4]) != 0:
        sys.exit(f"prctl({name}): {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    launch(sys.argv[1:])
