"""The call in progress, for its handler."""

from contextvars import ContextVar
from dataclasses import dataclass

from server.admission.level import ServiceLevel
from server.deadline import Deadline
from server.security.identity import Identity


@dataclass(frozen=True, eq=False)
class Call:
    """One call in progress; another call is never equal to it.

    Attributes:
        method: full name, `/shortlist.v1.RecommenderService/Recommend`.
        request_id: under which it is logged.
        deadline: taken once, on arrival.
        started_s: `time.monotonic()` on arrival.
        identity: of the caller; None where nobody needs one.
        level: of service, less than full where the gateway has too much to do.
    """

    method: str
    request_id: str
    deadline: Deadline
    started_s: float
    identity: Identity | None = None
    level: ServiceLevel = ServiceLevel.FULL


# Set by the interceptor. A context variable, because grpc hands a handler nothing but its own context.
current_call: ContextVar[Call] = ContextVar("current_call")
