"""Interceptor of every call: deadline, request id, parsing, errors to statuses, metrics and the access log."""

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import structlog
from google.protobuf.message import Message

from domain.errors import DeadlineExceeded, Overloaded, ReplyTooLarge
from server.deadline import Deadline
from server.rpc.call import Call, current_call
from server.rpc.first_message import parsed, read_message
from server.rpc.foreign import guarded
from server.rpc.status import DETAILS_KEY, INTERNAL, CallStatus, status_of

_OURS = "/shortlist.v1."
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_STOPPING = "the gateway is stopping; try another replica"
# A caller who was just answered comes again within this time, and gets that answer rather than grpc's own end.
_QUIET_S = 0.1
_POLL_S = 0.02


class _StoppingError(Exception):
    """Refusal of a call because the gateway is stopping."""


class CallObserver(Protocol):
    """Counter of calls."""

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """Counts one call."""


@dataclass(frozen=True)
class DeadlineLimits:
    """Limits on callers' deadlines.

    Attributes:
        default_s: for a call without one.
        longest_s: a longer one is cut to this.
    """

    default_s: float
    longest_s: float


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Interceptor of the unary handlers of `shortlist.v1`; of health and reflection it only checks the messages."""

    def __init__(self, limits: DeadlineLimits, max_calls: int, max_reply_bytes: int, observer: CallObserver) -> None:
        """Keeps the limits.

        Args:
            limits: on callers' deadlines.
            max_calls: calls at once, those without a message yet among them; further ones are refused.
            max_reply_bytes: a larger reply is refused here, with a reason. Not above what the server may send: grpc
                itself refuses without one, after the call was counted as answered.
            observer: counts calls.
        """
        self._limits = limits
        self._max_calls = max_calls
        self._max_reply_bytes = max_reply_bytes
        self._observer = observer
        self._log = structlog.get_logger("call")
        self._open = 0
        self._under_way = 0
        self._draining = False

    async def drain(self, longest_s: float) -> None:
        """Answers UNAVAILABLE to every call that comes from now on; returns once those under way are answered.

        To be done before grpc's own stop, which ends a call that it took from the wire, but did not hand over yet, as
        CANCELLED: a caller would take that for its own doing and not go elsewhere.

        Args:
            longest_s: the most to wait for calls under way, in seconds.
        """
        self._draining = True
        loop = asyncio.get_running_loop()
        end_s = loop.time() + longest_s
        quiet_s = 0.0
        while quiet_s < _QUIET_S and loop.time() < end_s:
            await asyncio.sleep(_POLL_S)
            quiet_s = 0.0 if self._under_way else quiet_s + _POLL_S

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Returns the handler, intercepted where it is ours."""
        handler = await continuation(details)
        if handler is None:
            return handler
        if handler.unary_unary is None or not details.method.startswith(_OURS):
            return guarded(handler, details.method, self._limits.default_s)
        # No deserializer: bytes that are not a message must not surface as UNKNOWN, so `_answer` parses them.
        return grpc.stream_unary_rpc_method_handler(
            self._intercepted(handler, details.method), None, handler.response_serializer
        )

    def _intercepted(
        self, handler: grpc.RpcMethodHandler, method: str
    ) -> Callable[[object, grpc.aio.ServicerContext], Awaitable[Any]]:
        async def serve(_: object, context: grpc.aio.ServicerContext) -> Any:  # noqa: ANN401 -- any reply message
            started_s = time.monotonic()
            request_id = _request_id(context)
            # Every line that this call's task logs, and every piece of work in threads, carries it.
            structlog.contextvars.bind_contextvars(request_id=request_id)
            outcome = "OK"
            self._open += 1
            try:
                reply = await self._reply(
                    handler, context, Call(method, request_id, self._deadline(context), started_s)
                )
                context.set_trailing_metadata((("x-request-id", request_id),))
                return reply
            except asyncio.CancelledError:
                outcome = "CANCELLED"
                if context.cancelled():
                    raise
                # Not the caller's doing: the server is stopping. Without a status the caller would wait for one.
                await context.abort(grpc.StatusCode.UNAVAILABLE, _STOPPING)
            except grpc.aio.BaseError:  # the server was stopped, or a status was sent already
                outcome = "CANCELLED"
                raise
            except _StoppingError:
                outcome = grpc.StatusCode.UNAVAILABLE.name
                await context.abort(grpc.StatusCode.UNAVAILABLE, _STOPPING)
            except Exception as error:
                status = self._status(error, method)
                outcome = status.code.name
                await _abort(context, status, request_id)
            finally:
                self._open -= 1
                seconds = time.monotonic() - started_s
                self._observer.call_ended(method, outcome, seconds)
                self._log.info("call", method=method, code=outcome, ms=round(seconds * 1e3, 2))

        return serve

    async def _reply(self, handler: grpc.RpcMethodHandler, context: grpc.aio.ServicerContext, call: Call) -> Any:  # noqa: ANN401
        """Returns the reply to a call.

        Raises:
            _StoppingError: the gateway takes no more calls.
            Overloaded: it has too many.
            Exception: what the handler raised.
        """
        if self._draining:
            raise _StoppingError
        if self._open > self._max_calls:
            raise Overloaded(f"the gateway has {self._max_calls:,} calls at once already; try again later")
        raw = await read_message(context, call.deadline.remaining_s())
        if self._draining:
            raise _StoppingError
        self._under_way += 1
        try:
            current_call.set(call)
            reply = await _answer(handler, raw, context, call)
            self._check_size(reply)
            return reply
        finally:
            self._under_way -= 1

    def _check_size(self, reply: Message) -> None:
        size = reply.ByteSize()
        if size > self._max_reply_bytes:
            raise ReplyTooLarge(
                f"the reply would be {size:,} bytes, the gateway sends at most {self._max_reply_bytes:,}; ask for "
                "fewer items, entries or details at a time"
            )

    def _deadline(self, context: grpc.aio.ServicerContext) -> Deadline:
        left_s = context.time_remaining()
        if left_s is None:
            return Deadline.after(self._limits.default_s)
        if left_s <= 0:
            raise DeadlineExceeded("the deadline had passed when the call arrived; give the call more time")
        return Deadline.after(min(left_s, self._limits.longest_s))

    def _status(self, error: Exception, method: str) -> CallStatus:
        status = status_of(error)
        if status is None:
            self._log.error("internal error", method=method, exc_info=error)
            return INTERNAL
        return status


async def _answer(handler: grpc.RpcMethodHandler, raw: bytes, context: grpc.aio.ServicerContext, call: Call) -> Any:  # noqa: ANN401
    request = parsed(handler.request_deserializer, raw)
    try:
        async with asyncio.timeout_at(call.deadline.at_s):
            return await handler.unary_unary(request, context)
    except TimeoutError as error:
        raise DeadlineExceeded("the call did not finish within its deadline; give it more time") from error


async def _abort(context: grpc.aio.ServicerContext, status: CallStatus, request_id: str) -> None:
    metadata = (
        (DETAILS_KEY, status.to_proto(request_id).SerializeToString()),
        ("x-request-id", request_id),
    )
    await context.abort(status.code, status.message, metadata)


def _request_id(context: grpc.aio.ServicerContext) -> str:
    """Returns the caller's `x-request-id` if it can be logged as it is, else a new one."""
    for key, value in context.invocation_metadata() or ():
        if key == "x-request-id" and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return uuid.uuid4().hex
