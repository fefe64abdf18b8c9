"""Entry point of the `shortlist` command."""

import argparse
import importlib
import os
import sys
from types import ModuleType

from cli.printable import printable
from domain.errors import ShortlistError

_GATEWAYS = ("up", "serve")
_COMMANDS = {
    "demo": "cli.demo",
    "release": "cli.release",
    "up": "cli.up",
    "serve": "cli.serve",
    "health": "cli.health",
    "doctor": "cli.doctor",
    "recommend": "cli.recommend",
    "rank": "cli.rank",
    "export": "cli.export",
    "aspects": "cli.aspects",
    "train": "cli.train",
    "check": "cli.check",
    "evaluate": "cli.evaluate",
    "slo": "cli.slo.command",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one subcommand; returns 0 when done, 1 when refused with a message, 130 when interrupted."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="shortlist", description="Text in, ranked items out.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    if words and words[0] in _GATEWAYS:
        # Before numpy is imported. A pool of threads for each small product costs more than it saves beside Triton:
        # the ranker's features took 8 ms of processor time with two threads, 2 with one.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Only the subcommand that runs is imported; for the overview, all of them.
    named = [words[0]] if words and words[0] in _COMMANDS else list(_COMMANDS)
    for name in named:
        module: ModuleType = importlib.import_module(_COMMANDS[name])
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    args = parser.parse_args(words)
    try:
        status: int = args.run(args)
    except ShortlistError as error:
        sys.stderr.write(f"shortlist: {printable(str(error))}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("shortlist: interrupted\n")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
