"""The call in progress, for its handler."""

from contextvars import ContextVar
from dataclasses import dataclass

from server.deadline import Deadline


@dataclass(frozen=True)
class Call:
    """One call in progress.

    Attributes:
        method: full name, `/shortlist.v1.RecommenderService/Recommend`.
        request_id: under which it is logged.
        deadline: taken once, on arrival.
        started_s: `time.monotonic()` on arrival.
    """

    method: str
    request_id: str
    deadline: Deadline
    started_s: float


# Set by the interceptor. A context variable, because grpc hands a handler nothing but its own context.
current_call: ContextVar[Call] = ContextVar("current_call")
