"""`shortlist completion`: prints the completion of commands and flags for a shell."""

import argparse
import sys

HELP = "print the shell completion of this command"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist completion` takes."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell")


def run(args: argparse.Namespace) -> int:
    """Prints the script; returns 0."""
    import shtab

    from cli.main import whole_parser

    sys.stdout.write(shtab.complete(whole_parser(), shell=args.shell))
    sys.stdout.write("\n")
    return 0
