"""Starts a model in Triton and tries it out; where Triton stumbles meanwhile, starts it afresh.

Triton calls a model's Python process unhealthy once it has stood still for a second, as one does on a machine that is
itself made to wait; tritonserver may end when such a process answers after all. Neither says anything of the release.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from domain.errors import TritonUnresponsive

_ATTEMPTS = 3
_RESTART_TIMEOUT_S = 30.0


class Start(Protocol):
    """Has Triton load a model and asks it."""

    def __call__(self, *, afresh: bool) -> Awaitable[None]:
        """Starts it; `afresh` unloads it first, since loading what counts as loaded does nothing."""


class Server(Protocol):
    """The Triton that may have to come back first."""

    async def wait_until_live(self, timeout_s: float) -> None:
        """Returns as soon as Triton takes calls."""


async def start_model(start: Start, server: Server, on_step: Callable[[str], None]) -> None:
    """Starts a model, at most three times.

    Raises:
        TritonUnresponsive: each time.
        ShortlistError: whatever else `start` raises, at once.
    """
    for left in reversed(range(_ATTEMPTS)):
        try:
            await start(afresh=left < _ATTEMPTS - 1)
            return
        except TritonUnresponsive as error:
            if not left:
                raise
            structlog.get_logger("triton").warning("Triton stumbled, the model is started afresh", error=str(error))
            on_step("Triton stumbled; starting the model afresh")
            await server.wait_until_live(_RESTART_TIMEOUT_S)
