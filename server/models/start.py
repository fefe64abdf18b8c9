"""Start of a model in Triton, repeated where Triton is unresponsive.

Triton calls a model's Python process unhealthy once it has stood still for a second, as one does on a machine that is
itself made to wait; tritonserver may end when such a process answers after all. Neither says anything of the release.
"""

from collections.abc import Awaitable
from typing import Protocol

import structlog

from domain.errors import TritonUnresponsive
from domain.progress import Progress
from server.models.model_server import ModelServer
from server.observability.logs import message_of

_ATTEMPTS = 3
_RESTART_TIMEOUT_S = 30.0


class Start(Protocol):
    """One attempt: Triton loads a model and is asked with it."""

    def __call__(self, *, afresh: bool) -> Awaitable[None]:
        """Starts it; `afresh` unloads it first, since loading what counts as loaded does nothing."""


async def start_model(start: Start, server: ModelServer, progress: Progress) -> None:
    """Starts a model, at most three times.

    Raises:
        TritonUnresponsive: each time.
        ShortlistError: whatever else `start` raises, at once.
    """
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            await start(afresh=attempts_left < _ATTEMPTS - 1)
            return
        except TritonUnresponsive as error:
            if not attempts_left:
                raise
            structlog.get_logger("triton").warning(
                "Triton is unresponsive, the model is restarted", error=message_of(error)
            )
            progress.step("Triton is unresponsive; restarting the model")
            await server.wait_until_live(_RESTART_TIMEOUT_S)
