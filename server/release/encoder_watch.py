"""Asks Triton again and again whether it still is the right encoder, and has it mended when it is not.

Triton's own health says nothing of this: it stays good after the process behind a model died, and an external Triton
that was restarted comes back without models.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from core.text.tokenize import pad
from domain.errors import DeadlineExceeded, EncoderUnavailable, ShortlistError
from server.release.live_release import LiveRelease, ReleaseLoader, canary_difference

_PROBE_TIMEOUT_S = 2.0
_FAILURES_BEFORE_RELOAD = 2


class StateListener(Protocol):
    """Who wants to know whether the encoder answers."""

    async def __call__(self, *, up: bool) -> None:
        """Called at the start and at each change."""


class Server(Protocol):
    """The Triton that is watched."""

    async def is_live(self) -> bool:
        """Whether the server takes calls."""


@dataclass(frozen=True)
class EncoderWatch:
    """Watches the encoder of the live release.

    Attributes:
        triton: the server.
        loader: loads the live version again.
        live: the live release.
        on_state: told whether the encoder answers, at the start and at each change.
        period_s: pause between two looks, seconds.
    """

    triton: Server
    loader: ReleaseLoader
    live: Callable[[], LiveRelease]
    on_state: StateListener
    period_s: float = 1.0

    async def run(self) -> None:
        """Watches until cancelled."""
        log = structlog.get_logger("encoder")
        up: bool | None = None
        failures = 0
        while True:
            try:
                error = await self._probe()
                failures = failures + 1 if error else 0
                self._hold(error)
                if up is not (error is None):
                    up = error is None
                    await self.on_state(up=up)
                    log.warning("encoder is away", error=str(error)) if error else log.info("encoder answers")
                if failures >= _FAILURES_BEFORE_RELOAD and await self.triton.is_live():
                    await self._mend(log)
            except Exception:  # whatever it was, the watch must go on
                log.exception("the watch over the encoder failed")
            await asyncio.sleep(self.period_s)

    def _hold(self, error: ShortlistError | None) -> None:
        """Keeps texts from an encoder that is away or, worse, another one; a slow one keeps what it is given."""
        batcher = self.live().encoder.batcher
        if isinstance(error, EncoderUnavailable):
            batcher.hold(error)
        else:
            batcher.release()

    async def _probe(self) -> ShortlistError | None:
        """Encodes one canary; returns what went wrong, or None."""
        release = self.live()
        row = release.data.encoder_canaries.token_ids[0]
        input_ids, attention_mask = pad([row], len(row), release.manifest.encoder.pad_token_id)
        try:
            found = await self.loader.triton.encode(
                input_ids, attention_mask, version=release.encoder_version, timeout_s=_PROBE_TIMEOUT_S
            )
        except (EncoderUnavailable, DeadlineExceeded) as error:
            return error
        difference = canary_difference(found, release.data.encoder_canaries.vectors[:1])
        return EncoderUnavailable(f"Triton holds another model: {difference}") if difference else None

    async def _mend(self, log: structlog.stdlib.BoundLogger) -> None:
        """Has a server that is there, but does not serve the live version, load it again."""
        release = self.live()
        entry = release.manifest.encoder
        try:
            await self.loader.load_version(entry, release.encoder_version)
            if await self._probe() is not None:
                # Loaded as far as Triton knows, but what runs it is gone: only a fresh start of the model helps.
                await self.loader.reload_version(entry, release.encoder_version)
            await self.loader.check_canaries(release.manifest, release.encoder_version, release.data.encoder_canaries)
            log.info("the live version was loaded again", version=release.encoder_version)
        except ShortlistError as error:
            log.warning("the live version could not be loaded again", error=str(error))
