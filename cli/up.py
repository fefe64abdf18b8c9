"""`shortlist up`: the gateway and an embedded Triton in one command."""

import argparse

from cli.flags.gateway import add_gateway_flags, configuration_of, print_configuration
from cli.serve import run_gateway
from domain.errors import ConfigurationError

HELP = "start the embedded Triton and serve the current release"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist up` takes."""
    add_gateway_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit status."""
    configuration = configuration_of(args)
    if args.print_config:
        print_configuration(configuration, as_json=args.json)
        return 0
    if configuration.settings.triton is not None:
        raise ConfigurationError("`shortlist up` starts a Triton of its own; with --triton say `shortlist serve`")
    return run_gateway(configuration)
