"""`shortlist serve`: the gateway in front of a Triton that somebody else runs."""

import argparse
import asyncio
import signal
from typing import TYPE_CHECKING

from cli.gateway_flags import add_gateway_flags, configuration_of, print_configuration
from domain.errors import ConfigurationError

if TYPE_CHECKING:
    from server.settings import Configuration, Settings

HELP = "serve a release through a Triton that somebody else runs (--triton HOST:PORT)"

_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist serve` takes."""
    add_gateway_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit status."""
    configuration = configuration_of(args)
    if args.print_config:
        print_configuration(configuration)
        return 0
    if configuration.settings.triton is None:
        raise ConfigurationError(
            "give --triton HOST:PORT of a Triton under explicit model control that sees the same --model-repository, "
            "or run `shortlist up`, which starts one"
        )
    return run_gateway(configuration)


def run_gateway(configuration: "Configuration") -> int:
    """Serves until SIGINT or SIGTERM; returns the exit status."""
    from server.observability.logs import configure_logs

    configure_logs(configuration.settings.log_format, configuration.settings.log_level)
    return asyncio.run(_serve(configuration.settings))


async def _serve(settings: "Settings") -> int:
    from domain.progress import LineProgress
    from server.app import Gateway

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gateway = Gateway(settings, LineProgress(lambda line: print(f"  {line}", flush=True)))
    opening = asyncio.create_task(gateway.open())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        opening.cancel()
        await asyncio.wait({opening})
        return _INTERRUPTED
    await opening
    print(f"SERVING on {gateway.address}, release {gateway.live().manifest.release_id}", flush=True)
    print(f"  metrics  http://{gateway.metrics_address}/metrics", flush=True)
    print(f"  Triton   {gateway.triton_address}", flush=True)
    print(f'  try      shortlist recommend --address {gateway.address}{_tls_flags(settings)} --text "..."', flush=True)
    await stopping
    print("stopping: calls in progress may finish", flush=True)
    await gateway.aclose()
    return 0


def _tls_flags(settings: "Settings") -> str:
    """Names the flags without which this gateway cannot be called."""
    ca = " --tls-ca FILE" if settings.tls_certificate is not None else ""
    return ca + (" --tls-certificate FILE --tls-key FILE" if settings.tls_client_ca is not None else "")
