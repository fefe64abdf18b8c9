"""Deployments under load: the description of one, and the seam through which a generator process reaches it."""

from dataclasses import dataclass
from typing import Protocol

from slo.calls import Call

OK = "OK"
DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
UNREADABLE_REPLY = "UNREADABLE_REPLY"


@dataclass(frozen=True, slots=True)
class Reply:
    """Outcome of one call.

    Attributes:
        code: `OK`, a gRPC status name, `HTTP_<status>` or `UNREADABLE_REPLY`.
        degradations: the reasons for which the reply is worse than a full one.
        item_ids: the ids returned, best first.
    """

    code: str
    degradations: tuple[str, ...] = ()
    item_ids: tuple[str, ...] = ()


class Connection(Protocol):
    """Open way to a deployment, used from one event loop."""

    async def send(self, call_index: int, timeout_s: float) -> Reply:
        """Sends one of the calls that the connection was opened with.

        A failure is a reply with its code, never raised.
        """

    async def close(self) -> None:
        """Ends it."""


class Target(Protocol):
    """Description of a deployment. It is sent to the generator processes, so it can be pickled."""

    @property
    def name(self) -> str:
        """The address as a person would write it."""

    async def connect(self, calls: tuple[Call, ...]) -> Connection:
        """Opens a way to it and prepares the calls.

        Raises:
            ConfigurationError: it does not take one of the calls.
        """
