"""One worker of `shortlist up --workers N`, started by the gateway; see server/workers.py."""

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

from cli.serve import loop_factory
from cli.terminal.printable import printable
from domain.errors import ShortlistError

if TYPE_CHECKING:
    from server.settings import Settings


def main() -> int:
    """Reads the settings, and serves until standard input ends; returns the exit status."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from server.observability.logs import configure_logs
    from server.settings import Settings

    # The first process says when to stop: a Ctrl-C meant for it must not end calls here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = sys.stdin.readline()
    if not line:  # the first process is gone already
        return 0
    told = json.loads(line)
    settings = Settings.model_validate(told["settings"])
    configure_logs(settings.log_format, settings.log_level)
    try:
        with asyncio.Runner(loop_factory=loop_factory(settings.event_loop)) as runner:
            runner.run(_serve(settings, told["number"], embedded=told["embedded"]))
    except ShortlistError as error:
        sys.stderr.write(f"shortlist: worker {told['number']}: {printable(str(error))}\n")
        return 1
    return 0


async def _serve(settings: "Settings", number: int, *, embedded: bool) -> None:
    import structlog

    from server.app import Gateway
    from server.workers import READY

    structlog.contextvars.bind_contextvars(worker=number)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.fileno(), stop.set)  # nothing more is written: it can only end
    gateway = Gateway(settings, beside_embedded=embedded)
    opening = asyncio.create_task(gateway.open())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        os._exit(0)  # a release that is being read in a thread is not waited for
    await opening
    print(READY, gateway.metrics_address, flush=True)
    await stopping
    loop.remove_reader(sys.stdin.fileno())
    await gateway.aclose()


if __name__ == "__main__":
    sys.exit(main())
