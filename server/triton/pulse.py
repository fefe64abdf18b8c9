"""Pulse of a Triton: notices within a second that it is hung or that one of its processes died.

A hung server keeps its connections open, so a call only ends at its deadline. While none of its answers arrives, calls
are refused at once, those under way too; an embedded server that stays silent is replaced.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from server.triton.client import TritonClient

_PERIOD_S = 0.25
_TIMEOUT_S = 0.5
# A process that does not run is hung; one that runs may only be starved of the processor.
_SILENT_STOPPED_S = 0.4
_SILENT_RUNNING_S = 2.0
_REPLACED_AFTER_S = 5.0
_LATE_S = 0.2


class SupervisedTriton(Protocol):
    """A Triton whose processes this gateway started."""

    def is_stopped(self) -> bool:
        """Returns whether its process is suspended."""

    def dead_stubs(self) -> frozenset[int]:
        """Returns the ids of the processes behind its models that have died."""

    def replace(self) -> None:
        """Ends its process; the supervisor starts another."""


class Pulse:
    """Watch over the whole of a Triton, beside the watches over its models."""

    def __init__(
        self, client: TritonClient, embedded: SupervisedTriton | None, on_dead_stub: Callable[[], None]
    ) -> None:
        """Keeps its parts; `run` works.

        Args:
            client: is told of silence.
            embedded: the server, where it is ours.
            on_dead_stub: called when a process behind a model has died.
        """
        self._client = client
        self._embedded = embedded
        self._on_dead_stub = on_dead_stub
        self._dead: frozenset[int] = frozenset()
        self._log = structlog.get_logger("triton")

    async def run(self) -> None:
        """Watches until cancelled."""
        loop = asyncio.get_running_loop()
        replaced_s = loop.time()
        while True:
            self._look_for_dead_stubs()
            started_s = loop.time()
            answered = await self._client.is_answering(_TIMEOUT_S)
            now_s = loop.time()
            # A loop that was late itself learns nothing.
            if not answered and now_s - started_s < _TIMEOUT_S + _LATE_S:
                silent_s = now_s - self._client.answered_at_s
                stopped = self._embedded is not None and self._embedded.is_stopped()
                if silent_s >= (_SILENT_STOPPED_S if stopped else _SILENT_RUNNING_S) and not self._client.is_silent:
                    self._log.warning("Triton does not answer", silent_s=round(silent_s, 2), stopped=stopped)
                    self._client.silence()
                if self._embedded is not None and min(silent_s, now_s - replaced_s) >= _REPLACED_AFTER_S:
                    replaced_s = now_s
                    self._log.error("Triton is hung: its process is replaced", silent_s=round(silent_s, 2))
                    self._embedded.replace()
            await asyncio.sleep(_PERIOD_S)

    def _look_for_dead_stubs(self) -> None:
        if self._embedded is None:
            return
        dead = self._embedded.dead_stubs()
        if dead - self._dead:
            self._on_dead_stub()
            # Triton itself takes a second to notice.
            self._client.interrupt()
        self._dead = dead
