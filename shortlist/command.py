"""The `shortlist` command. It runs from a checkout; a client-only install says so."""

import importlib
import importlib.util
import sys


def main() -> int:
    """Runs the command line of the checkout this package is installed from; returns the exit status."""
    if importlib.util.find_spec("cli") is None:
        sys.stderr.write(
            "shortlist: this is the client library alone. The command runs from a checkout of Shortlist "
            "(make setup there) or from its image; in Python, use shortlist.Client.\n"
        )
        return 2
    status: int = importlib.import_module("cli.main").main()
    return status
