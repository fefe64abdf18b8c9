"""Ends the `shortlist` command without a traceback where it is interrupted while gRPC is being imported.

The command's script imports this package, and with it gRPC, before a line of the command itself runs. Importing this
module starts the quiet time, in a script of that name alone: to other programs the library leaves their signals.
"""

import os
import signal
import sys
import threading
from pathlib import PurePath

EXIT_STATUS = 130
_SCRIPT = "shortlist"


def exit_interrupted(*_: object) -> None:
    """Ends the process at once, with the exit status of an interrupted command; takes what signal handlers take."""
    # A gateway that is interrupted later stops; this one is told in the same word.
    starts_gateway = len(sys.argv) > 1 and sys.argv[1] in ("up", "serve")
    os.write(2, b"stopping\n" if starts_gateway else b"shortlist: interrupted\n")
    os._exit(EXIT_STATUS)


def end() -> None:
    """Gives an interruption back to Python, which raises KeyboardInterrupt; does nothing where it was left alone."""
    if _is_command and signal.getsignal(signal.SIGINT) is exit_interrupted:
        signal.signal(signal.SIGINT, signal.default_int_handler)


_is_command = (
    PurePath(sys.argv[0] if getattr(sys, "argv", None) else "").stem == _SCRIPT
    and threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
)
if _is_command:
    signal.signal(signal.SIGINT, exit_interrupted)
