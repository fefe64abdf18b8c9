"""Asks Triton again and again whether a trained model still is the release's, and has it mended when it is not.

As `encoder_watch` does for the encoder; while a model is away its callers are answered without it at once.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

import structlog

from domain.errors import DeadlineExceeded, ShortlistError
from server.models.served_model import ServedModel
from server.release.encoder_watch import Server
from server.release.loader import ModelLoader

_PROBE_TIMEOUT_S = 2.0
_FAILURES_BEFORE_RELOAD = 2


class ModelListener(Protocol):
    """Who wants to know whether a model answers."""

    def __call__(self, model: str, *, up: bool) -> None:
        """Called at the start and at each change."""


@dataclass(frozen=True)
class ModelWatch:
    """Watches one model of the live release.

    Attributes:
        triton: the server.
        loader: loads the model again.
        model: the model.
        on_state: told whether it answers.
        period_s: pause between two looks, seconds.
    """

    triton: Server
    loader: ModelLoader
    model: ServedModel
    on_state: ModelListener
    period_s: float = 1.0

    async def run(self) -> None:
        """Watches until cancelled."""
        name = self.model.loaded.entry.triton_model
        log = structlog.get_logger(name)
        up: bool | None = None
        failures = 0
        while True:
            try:
                error = await self.model.probe(_PROBE_TIMEOUT_S)
                failures = failures + 1 if error else 0
                self._hold(error)
                if up is not (error is None):
                    up = error is None
                    self.on_state(name, up=up)
                    log.warning(f"{name} is away", error=str(error)) if error else log.info(f"{name} answers")
                if failures >= _FAILURES_BEFORE_RELOAD and await self.triton.is_live():
                    await self._mend(log)
            except Exception:  # whatever it was, the watch must go on
                log.exception(f"the watch over the {name} failed")
            await asyncio.sleep(self.period_s)

    def _hold(self, error: ShortlistError | None) -> None:
        """Keeps calls from a model that is away or another one; a slow one keeps what it is given."""
        if error is None or isinstance(error, DeadlineExceeded):
            self.model.release()
        else:
            self.model.hold(error)

    async def _mend(self, log: structlog.stdlib.BoundLogger) -> None:
        """Has a server that is there, but does not serve the live version, load it again."""
        try:
            await self.loader.load_again(self.model)
            if await self.model.probe(_PROBE_TIMEOUT_S) is not None:
                # Loaded as far as Triton knows, but what runs it is gone: only a fresh start of the model helps.
                await self.loader.reload(self.model)
            log.info("the live version was loaded again", version=self.model.loaded.version)
        except ShortlistError as error:
            log.warning("the live version could not be loaded again", error=str(error))
