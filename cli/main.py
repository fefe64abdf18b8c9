"""Entry point of the `shortlist` command."""

import argparse
import importlib
import json
import os
import sys
from types import ModuleType

from cli.terminal.parser import CommandParser, nearest
from cli.terminal.printable import printable
from domain.errors import ShortlistError

_GATEWAYS = ("up", "serve")
_COMMANDS = {
    "demo": "cli.demo",
    "release": "cli.release.command",
    "up": "cli.up",
    "serve": "cli.serve",
    "tune": "cli.tune",
    "health": "cli.health",
    "doctor": "cli.doctor",
    "key": "cli.key",
    "catalogue": "cli.catalogue",
    "recommend": "cli.recommend",
    "embed": "cli.embed",
    "rank": "cli.rank",
    "events": "cli.events.command",
    "elicit": "cli.events.elicit",
    "report": "cli.events.report",
    "recommend-all": "cli.events.recommend_all",
    "retrain": "cli.events.retrain",
    "export": "cli.export",
    "aspects": "cli.aspects",
    "train": "cli.train",
    "check": "cli.check",
    "evaluate": "cli.evaluate",
    "scenes": "cli.scenes",
    "slo": "cli.slo.command",
    "completion": "cli.completion",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one subcommand; returns 0 when done, 1 when refused with a message, 130 when interrupted."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in _GATEWAYS:
        # Before numpy is imported. A pool of threads for each small product costs more than it saves beside Triton:
        # the ranker's features took 8 ms of processor time with two threads, 2 with one.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if words and words[0] == "help":
        words = [*words[1:], "--help"]
    try:
        args = _parser(words).parse_args(words)
        status: int = args.run(args)
    except ShortlistError as error:
        _print_refusal(error, as_json=getattr(args, "json", None) is True)
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopping\n" if words and words[0] in _GATEWAYS else "shortlist: interrupted\n")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return status


def whole_parser() -> argparse.ArgumentParser:
    """Returns the parser with every subcommand."""
    return _parser([])


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """Returns the parser; only the subcommand that runs is imported, for the overview all of them."""
    parser = CommandParser(prog="shortlist", description="Text in, ranked items out.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=CommandParser)
    named = [words[0]] if words and words[0] in _COMMANDS else list(_COMMANDS)
    if words and words[0] == "--version":
        named = []
    elif words and words[0] not in _COMMANDS and not words[0].startswith("-"):
        # Nothing of a wrong command has to be imported to say so.
        parser.error(f"there is no command {words[0]}{nearest(words[0], _COMMANDS)}")
    for name in named:
        module: ModuleType = importlib.import_module(_COMMANDS[name])
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


class _Version(argparse.Action):
    """Prints the version; read only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("shortlist")
        except PackageNotFoundError:
            found = "of a checkout that is not installed"
        print(f"shortlist {found}")
        parser.exit()


def _print_refusal(error: ShortlistError, *, as_json: bool) -> None:
    """Prints a refusal: for people on standard error, and as a line of JSON where JSON was asked for."""
    sys.stderr.write(f"shortlist: {printable(str(error))}\n")
    if as_json:
        reason = type(error).__name__
        cause = error.__cause__
        facts = {"message": str(error), "reason": str(getattr(cause, "reason", reason)), "kind": reason}
        if code := getattr(cause, "code", None):
            facts["code"] = code
        print(json.dumps({"error": facts}, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
