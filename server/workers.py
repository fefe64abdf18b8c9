"""Further gateway processes on the first one's port: each answers for itself, and asks the first one's Triton.

The kernel spreads connections over the processes (SO_REUSEPORT). A worker reads its settings from its standard input,
and serves until that ends: by `aclose`, or because the first process is gone.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from domain.errors import ConfigurationError
from domain.manifest import FLOAT32
from server.addresses import joined, split
from server.models.encoder_choice import AUTO, BFLOAT16
from server.settings import Settings

READY = "SERVING"
# -P: the folder that the gateway was started in is none of ours.
_COMMAND = (sys.executable, "-P", "-m", "cli.worker")
_RESTART_FIRST_S = 1.0
_RESTART_LONGEST_S = 60.0
# A worker that lived this long starts the pauses anew.
_HEALTHY_AFTER_S = 60.0
# To end after its calls: closing files and connections.
_END_S = 10.0


def worker_settings(  # noqa: PLR0913 -- each is a fact of the first process
    settings: Settings, number: int, *, address: str, metrics_address: str, triton: str, bfloat16: bool
) -> Settings:
    """Returns the settings of one worker.

    Args:
        settings: of the first process.
        number: of the worker, from 1.
        address: where the first process listens.
        metrics_address: where it shows its metrics; the worker takes the port that lies `number` beyond, or a free one
            where the first process took a free one.
        triton: address of the Triton that all of them ask.
        bfloat16: whether the first process has the encoder computed in bfloat16: nobody loads it otherwise.
    """
    host, port = split(metrics_address)
    free = split(settings.metrics_listen)[1] == 0
    changes: dict[str, object] = {
        "listen": address,
        "metrics_listen": joined(host, 0 if free else port + number),
        "triton": triton,
        "state": settings.state / f"worker-{number}",
        "event_key_file": settings.event_key_file or settings.state / "users.key",
        "playground": False,
    }
    if settings.event_store == "off":
        changes["event_key_file"] = settings.event_key_file
    if settings.triton is None and settings.precision == AUTO and settings.encoder_config is None:
        changes["precision"] = BFLOAT16 if bfloat16 else FLOAT32
    return settings.model_copy(update=changes)


@dataclass
class _Worker:
    """One process.

    Attributes:
        number: from 1.
        settings: its own.
        embedded: whether its Triton is the first process's.
        served: set once it served for the first time, with the address of its metrics.
    """

    number: int
    settings: Settings
    embedded: bool
    served: "asyncio.Future[str]"
    _process: asyncio.subprocess.Process | None = None
    _stopped: bool = False

    async def run(self) -> int:
        """Runs the process to its end; returns its exit status.

        Raises:
            OSError: it cannot be started.
        """
        pipe = asyncio.subprocess.PIPE
        process = self._process = await asyncio.create_subprocess_exec(
            *_COMMAND, stdin=pipe, stdout=pipe, start_new_session=True
        )
        assert process.stdin is not None and process.stdout is not None
        told = {"number": self.number, "embedded": self.embedded, "settings": self.settings.model_dump(mode="json")}
        with suppress(OSError):  # it ended already: its status says so
            process.stdin.write(json.dumps(told).encode() + b"\n")
            await process.stdin.drain()
        if self._stopped:  # meanwhile
            process.stdin.close()
        async for line in process.stdout:
            word, _, metrics = line.decode().strip().partition(" ")
            if word == READY and not self.served.done():
                self.served.set_result(metrics)
        return await process.wait()

    def stop(self) -> None:
        """Has the process stop gracefully, also one that is just being started."""
        self._stopped = True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """Ends the process at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


@dataclass
class Workers:
    """The workers of one gateway. Belongs to one event loop.

    Attributes:
        settings: one for each.
        embedded: whether their Triton is the first process's.
    """

    settings: Iterable[Settings]
    embedded: bool
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _workers: list[_Worker] = field(default_factory=list)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> list[str]:
        """Starts all; returns the addresses of their metrics once all serve.

        Raises:
            ConfigurationError: one of them ended before.
        """
        loop = asyncio.get_running_loop()
        for number, settings in enumerate(self.settings, start=1):
            worker = _Worker(number, settings, self.embedded, loop.create_future())
            self._workers.append(worker)
            self._tasks.append(loop.create_task(self._keep(worker)))
        return await asyncio.gather(*(worker.served for worker in self._workers))

    async def aclose(self) -> None:
        """Has all of them stop gracefully, and waits for their ends; one that takes too long is killed."""
        self._closing.set()
        for worker in self._workers:
            worker.stop()
        if not self._tasks:
            return
        longest_s = max(worker.settings.drain_for_s + worker.settings.stop_grace_s for worker in self._workers)
        _, late = await asyncio.wait(self._tasks, timeout=longest_s + _END_S)
        if late:
            structlog.get_logger("gateway").error("workers did not stop in time and are killed", count=len(late))
            for worker in self._workers:
                worker.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, worker: _Worker) -> None:
        """Runs a worker, and starts it again whenever it ends, with a growing pause; not where it never served."""
        log = structlog.get_logger("gateway")
        pause_s = _RESTART_FIRST_S
        while not self._closing.is_set():
            started_s = time.monotonic()
            try:
                why = f"ended with {await worker.run()}"
            except OSError as error:
                why = f"cannot be started: {error.strerror or error}"
            if not worker.served.done():
                worker.served.set_exception(
                    ConfigurationError(f"worker {worker.number} {why} before it served; the lines above say more")
                )
                return
            if self._closing.is_set():
                return
            if time.monotonic() - started_s >= _HEALTHY_AFTER_S:
                pause_s = _RESTART_FIRST_S
            log.error("a worker is started again", worker=worker.number, why=why, pause_s=pause_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause_s)
            pause_s = min(2 * pause_s, _RESTART_LONGEST_S)
