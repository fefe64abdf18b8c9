"""Watch over a model on Triton: compares a canary every second and reloads the model on mismatch.

Triton's own health does not show this: it stays good after the process behind a model died, and an external Triton that
was restarted comes back without models. While a model is unavailable its callers are answered without it at once. A
model that is too busy for its canary, but answers requests, is available.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from domain.errors import DeadlineExceeded, ShortlistError, TritonUnresponsive
from server.models.served_model import ServedModel
from server.observability.logs import message_of
from server.release.loader import ModelLoader

_FAILURES_BEFORE_RELOAD = 2


class ModelListener(Protocol):
    """Receiver of a model's state."""

    async def __call__(self, model: str, *, up: bool) -> None:
        """Receives the model's name and state, at the start and at each change."""


class Gate(Protocol):
    """The place where requests to a model are stopped: the model itself, or the batcher in front of it."""

    def suspend(self, reason: ShortlistError) -> None:
        """Refuses requests at once, for this reason, until `resume`."""

    def resume(self) -> None:
        """Takes requests again."""


@dataclass(frozen=True)
class ModelWatch:
    """Watch over one model of the live release.

    Attributes:
        loader: loads the model again.
        model: the model.
        gate: closed while the model is unavailable.
        on_state: receives whether the model answers, at the start and at each change.
        period_s: pause between two probes, seconds.
        probe_timeout_s: the longest wait for the answer to a canary. As long after the answer to a request, twice over,
            a late canary is not a sign of a failure.
        nudged: set when a process of Triton's died: requests are refused until the next canary, which is asked at once.
    """

    loader: ModelLoader
    model: ServedModel
    gate: Gate
    on_state: ModelListener
    period_s: float = 1.0
    probe_timeout_s: float = 2.0
    nudged: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Watches until cancelled."""
        name = self.model.spec.name
        log = structlog.get_logger(name)
        up: bool | None = None
        failures = 0
        while True:
            try:
                problem = await self._probe()
                failures = failures + 1 if problem else 0
                self._open_or_close(problem)
                if up is not (problem is None):
                    up = problem is None
                    await self.on_state(name, up=up)
                    if problem is None:
                        log.info(f"{self.model.spec.title} answers")
                    else:
                        log.warning(f"{self.model.spec.title} is unavailable", error=message_of(problem))
                if failures >= _FAILURES_BEFORE_RELOAD and await self.loader.triton.is_live():
                    await self._reload(log)
            except Exception:  # whatever it was, the watch must go on
                log.exception(f"the watch over the {self.model.spec.title} failed")
            await self._pause()

    async def _pause(self) -> None:
        """Waits for the next probe."""
        try:
            async with asyncio.timeout(self.period_s):
                await self.nudged.wait()
        except TimeoutError:
            return
        self.nudged.clear()
        self.gate.suspend(TritonUnresponsive("a process of Triton's has died"))

    async def _probe(self) -> ShortlistError | None:
        problem = await self.model.probe(self.probe_timeout_s)
        busy = isinstance(problem, DeadlineExceeded) and self.model.answered_within(2 * self.probe_timeout_s)
        return None if busy else problem

    def _open_or_close(self, problem: ShortlistError | None) -> None:
        """Keeps requests from a model that is unavailable or another one; a slow one keeps those it has."""
        if problem is None or isinstance(problem, DeadlineExceeded):
            self.gate.resume()
        else:
            self.gate.suspend(problem)

    async def _reload(self, log: structlog.stdlib.BoundLogger) -> None:
        """Has a server that is live, but does not serve the release's version, load it again."""
        try:
            await self.loader.load(self.model)
            if await self._probe() is not None:
                # Loaded as far as Triton knows, but what runs it is gone: only a fresh start of the model helps.
                await self.loader.reload(self.model)
            await self.loader.check(self.model)
            log.info("the live version was loaded again", version=self.model.version)
        except ShortlistError as error:
            log.warning("the live version could not be loaded again", error=message_of(error))
