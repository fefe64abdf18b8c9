"""One call: its deadline, its request id, whether it is repeated. The clients only add the sending and the waiting."""

import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import grpc

from shortlist.errors import Failure, GatewayFault, ShortlistCallError, Unavailable
from shortlist.replies import MismatchedReply
from shortlist.retry import Retry, RetryBudget
from shortlist.status import error_of

REQUEST_ID_KEY = "x-request-id"
_CRITICALITY_KEY = "x-criticality"

_Reply = TypeVar("_Reply")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Caller:
    """Facts about the caller that go along with each call.

    Attributes:
        criticality: `critical`, `default` or `sheddable`: under overload the gateway refuses sheddable calls first.

        token: API key or JSON Web Token, or a function that returns the one in force.

    Raises:
        ValueError: there is no such class.
    """

    criticality: str | None = None
    token: str | Callable[[], str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.criticality not in (None, "critical", "default", "sheddable"):
            raise ValueError(f"criticality is critical, default or sheddable, not {self.criticality!r}")

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Returns what is sent with each call."""
        criticality = () if self.criticality is None else ((_CRITICALITY_KEY, self.criticality),)
        if self.token is None:
            return criticality
        token = self.token if isinstance(self.token, str) else self.token()
        return (*criticality, ("authorization", f"Bearer {token}"))


class Calls:
    """Begins a client's calls, all on one retry budget."""

    def __init__(self, deadline_s: float, retry: Retry | None, caller: Caller | None = None) -> None:
        self._deadline_s = _positive(deadline_s)
        self._caller = caller or Caller()
        self._budget = RetryBudget(retry)
        self._closed = False

    def begin(self, deadline_s: float | None, request_id: str | None) -> "Call":
        """Begins a call; its deadline runs from here.

        Raises:
            RuntimeError: the client is closed.
            ValueError: the deadline is not above 0, or the request id not 1 to 128 printable ASCII characters.
        """
        if self._closed:
            raise RuntimeError("this client is closed")
        self._budget.count_call()
        return Call(
            self._deadline_s if deadline_s is None else _positive(deadline_s),
            request_id,
            self._budget,
            self._caller.metadata(),
        )

    def begin_stream(self, deadline_s: float | None, request_id: str | None) -> "Call":
        """Begins a stream, which has no deadline unless one is given. Raises as `begin`."""
        call = self.begin(deadline_s, request_id)
        if deadline_s is None:
            call.unlimited()
        return call

    def close(self) -> None:
        """Begins no more calls."""
        self._closed = True


class Call:
    """One call, over both its attempts.

    Attributes:
        metadata: what to send along.
    """

    def __init__(
        self, deadline_s: float, request_id: str | None, budget: RetryBudget, metadata: tuple[tuple[str, str], ...]
    ) -> None:
        self._request_id = uuid.uuid4().hex if request_id is None else _checked(request_id)
        self._ends_s = time.monotonic() + deadline_s
        self._budget = budget
        self._repeated = False
        self.metadata = ((REQUEST_ID_KEY, self._request_id), *metadata)

    def remaining_s(self) -> float:
        """The time left, in seconds; a millisecond where none is, so that the attempt ends as a passed deadline."""
        return max(self._ends_s - time.monotonic(), 0.001)

    def unlimited(self) -> None:
        """Takes the deadline away."""
        self._ends_s = math.inf

    def timeout_s(self) -> float | None:
        """The same for gRPC, where None is no deadline."""
        return None if math.isinf(self._ends_s) else self.remaining_s()

    def error(self, failed: grpc.RpcError) -> ShortlistCallError:
        """Returns the error of a call that is not repeated."""
        return error_of(failed, self._request_id)

    def lost(self) -> ShortlistCallError:
        """Returns the error of a stream whose own status was lost."""
        words = "the stream ended while an entry was being sent; send what has no outcome in another one"
        return Unavailable(Failure("UNAVAILABLE", words), self._request_id)

    def pause_before_repeat_s(self, failed: grpc.RpcError) -> float:
        """Decides whether a failed attempt is repeated, and after how many seconds.

        Raises:
            ShortlistCallError: it is not; this is the call's error.
        """
        error = error_of(failed, self._request_id)
        if error.code == "UNAVAILABLE" and not self._repeated:
            pause_s = self._budget.draw_pause_s(error.retry_delay_s or 0.0, self.remaining_s())
            if pause_s is not None:
                self._repeated = True
                return pause_s
        raise error from failed

    def read(self, reader: Callable[[_Reply], _Result], reply: _Reply) -> _Result:
        """Reads the reply.

        Raises:
            GatewayFault: it does not fit the request.
        """
        try:
            return reader(reply)
        except MismatchedReply as error:
            raise GatewayFault(Failure("INTERNAL", str(error)), self._request_id) from error


def _positive(deadline_s: float) -> float:
    if not (deadline_s > 0 and math.isfinite(deadline_s)):
        raise ValueError(f"deadline_s is a number of seconds above 0, not {deadline_s}")
    return deadline_s


def _checked(request_id: str) -> str:
    if not (0 < len(request_id) <= 128 and request_id.isascii() and request_id.isprintable()):
        raise ValueError(f"a request id is 1 to 128 printable ASCII characters, not {request_id[:140]!r}")
    return request_id
