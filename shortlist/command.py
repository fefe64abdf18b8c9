"""The `shortlist` command: the whole one in a checkout, `recommend` and `health` in a client-only install."""

import importlib
import importlib.util
import signal

from shortlist import small_command
from shortlist.quiet_start import exit_interrupted


def main() -> int:
    """Runs the command line of the checkout this package is installed from, else the small one; returns the status."""
    if importlib.util.find_spec("cli") is None:
        return small_command.main()
    # Until the command line is imported, which takes a while on a busy machine, an interruption has no traceback.
    before = signal.signal(signal.SIGINT, exit_interrupted)
    command = importlib.import_module("cli.main")
    signal.signal(signal.SIGINT, before)
    status: int = command.main()
    return status
