"""The errors of a call: one family, named after what the caller can do."""

from dataclasses import dataclass

from shortlist.enums import ErrorReason
from shortlist.results import FieldViolation


@dataclass(frozen=True, slots=True)
class Failure:
    """Details of a failed call.

    Attributes:
        code: the gRPC status code's name, for example `UNAVAILABLE`.
        message: what was wrong and what to do, for people.
        reason: the same for programs.
        violations: the request fields that are out of range.
        retry_delay_s: how long the gateway asks to wait before another try, in seconds; None where it doesn't say.
    """

    code: str
    message: str
    reason: ErrorReason = ErrorReason.UNSPECIFIED
    violations: tuple[FieldViolation, ...] = ()
    retry_delay_s: float | None = None


class ShortlistCallError(Exception):
    """A call failed. Every error of a call is one of these; codes without a class of their own are this class itself.

    Attributes:
        code: the gRPC status code's name.
        message: what was wrong and what to do, for people.
        reason: why the gateway refused; UNSPECIFIED where it didn't say or was not reached.
        violations: the request fields that are out of range.
        retry_delay_s: how long the gateway asks to wait before another try, in seconds; None where it doesn't say.
        request_id: the id to look for in the gateway's log.
    """

    def __init__(self, failure: Failure, request_id: str) -> None:
        super().__init__(failure, request_id)
        self.code = failure.code
        self.message = failure.message
        self.reason = failure.reason
        self.violations = failure.violations
        self.retry_delay_s = failure.retry_delay_s
        self.request_id = request_id

    def __str__(self) -> str:
        untold = [one for one in self.violations if one.description not in self.message]
        fields = "".join(f"; {one.field}: {one.description}" for one in untold)
        return f"{self.message or self.code}{fields} [{self.code}, {self.reason}, request id {self.request_id}]"


class InvalidRequest(ShortlistCallError):
    """The request is out of the contract's ranges; see `violations`. Don't repeat it unchanged."""


class NotServed(ShortlistCallError):
    """The contract has it, this gateway does not serve it (yet), or there is no Shortlist at that address."""


class DeadlineExceeded(ShortlistCallError):
    """No reply came within the deadline."""


class Overloaded(ShortlistCallError):
    """Too many calls wait at the gateway. Wait `retry_delay_s` before another try; the client never retries this."""


class EventConflict(ShortlistCallError):
    """An event id is kept with other content; nothing was stored. A new event needs a new id."""


class StoreFull(ShortlistCallError):
    """The store of events has no room left; its operator has to make some."""


class MessageTooLarge(ShortlistCallError):
    """The request or the reply is larger than one side takes. Ask for less at a time."""


class Unavailable(ShortlistCallError):
    """The gateway can't be reached, or reached but not able to answer: no release is live, or its encoder is away."""


class GatewayFault(ShortlistCallError):
    """A fault of the gateway, or a reply that doesn't fit the request. Its log has more under the request id."""


class AccessDenied(ShortlistCallError):
    """The token or key is missing, not valid, or lacks the scope that the method needs."""
