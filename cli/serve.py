"""`shortlist serve`: the gateway in front of a Triton that somebody else runs."""

import argparse
import asyncio
import importlib
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from cli.flags.gateway import add_gateway_flags, configuration_of, print_configuration
from domain.errors import ConfigurationError

if TYPE_CHECKING:
    from server.app import Gateway
    from server.settings import Configuration, Settings
    from server.workers import Workers

HELP = "serve a release through a Triton that somebody else runs (--triton HOST:PORT)"

_INTERRUPTED = 130
_STOP_WITHIN_S = 2.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist serve` takes."""
    add_gateway_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit status."""
    configuration = configuration_of(args)
    if args.print_config:
        print_configuration(configuration, as_json=args.json)
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
    settings = configuration.settings
    with asyncio.Runner(loop_factory=loop_factory(settings.event_loop)) as runner:
        return runner.run(_serve(settings))


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Returns the maker of the event loop of this name, `auto`, `asyncio` or `uvloop`; None for asyncio's own.

    Raises:
        ConfigurationError: it is not installed.
    """
    if name == "asyncio":
        return None
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError as error:
        if name == "auto":
            return None
        raise ConfigurationError(
            "event_loop uvloop: the package is not installed; pip install '.[uvloop]', or leave event_loop out"
        ) from error
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


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
        print("stopping", flush=True)
        # What blocks in threads, such as reading a release, is not waited for; the embedded Triton ends with us.
        watchdog = threading.Timer(_STOP_WITHIN_S, os._exit, (_INTERRUPTED,))
        watchdog.daemon = True
        watchdog.start()
        opening.cancel()
        await asyncio.wait({opening})
        return _INTERRUPTED
    await opening
    workers = _workers(gateway, settings)
    try:
        further = await _opened(workers, stopping)
    except BaseException:
        await workers.aclose()
        await gateway.aclose()
        raise
    if further is None:
        print("stopping", flush=True)
        await workers.aclose()
        await gateway.aclose()
        return _INTERRUPTED
    print(f"SERVING on {gateway.address}, release {gateway.live().manifest.release_id}", flush=True)
    print(f"  metrics  http://{gateway.metrics_address}/metrics", flush=True)
    print(f"  Triton   {gateway.triton_address}", flush=True)
    for worker, address in enumerate(further, start=1):
        print(f"  worker {worker} http://{address}/metrics", flush=True)
    if gateway.playground_address:
        print(f"  open     http://{gateway.playground_address}/", flush=True)
    print(f'  try      shortlist recommend --address {gateway.address}{_tls_flags(settings)} --text "..."', flush=True)
    await stopping
    print("stopping: calls in progress may finish", flush=True)
    # Triton is the first process's: it ends last.
    await workers.aclose()
    await gateway.aclose()
    return 0


async def _opened(workers: "Workers", stopping: "asyncio.Task[bool]") -> list[str] | None:
    """Starts the workers; returns the addresses of their metrics, None where a stop is asked for before all serve."""
    opening = asyncio.create_task(workers.open())
    await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if opening.done():
        return await opening
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    return None


def _workers(gateway: "Gateway", settings: "Settings") -> "Workers":
    """Returns the further processes on the gateway's port."""
    from server.workers import Workers, worker_settings

    each = [
        worker_settings(
            settings,
            number,
            address=gateway.address,
            metrics_address=gateway.metrics_address,
            triton=gateway.triton_address,
            bfloat16=gateway.computes_bfloat16,
        )
        for number in range(1, settings.workers)
    ]
    return Workers(each, settings.triton is None)


def _tls_flags(settings: "Settings") -> str:
    """Names the flags without which this gateway cannot be called."""
    ca = " --tls-ca FILE" if settings.tls_certificate is not None else ""
    return ca + (" --tls-certificate FILE --tls-key FILE" if settings.tls_client_ca is not None else "")
