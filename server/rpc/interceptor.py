"""Interceptor of every call: deadline, request id, parsing, errors to statuses, metrics and the access log."""

import asyncio
import math
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import grpc
import structlog
from google.protobuf.message import Message

from domain.errors import DeadlineExceeded, Overloaded, ReplyTooLarge
from server.admission.admission import Admission
from server.admission.level import ServiceLevel
from server.deadline import Deadline
from server.rpc.arrival import arrival_of
from server.rpc.call import Call, current_call
from server.rpc.entry_stream import EntryStream, StoppingError, StreamLimits, current_stream
from server.rpc.first_message import messages_of, parsed, read_following, read_message
from server.rpc.foreign import guarded
from server.rpc.status import DETAILS_KEY, INTERNAL, CallStatus, status_of
from server.security.authentication import Authenticator

_OURS = "/shortlist.v1."
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_STOPPING = "the gateway is stopping; try another replica"
# A caller who was just answered comes again within this time, and gets that answer rather than grpc's own end.
_QUIET_S = 0.1
_POLL_S = 0.02


class CallObserver(Protocol):
    """Counter of calls."""

    def call_ended(self, method: str, code: str, seconds: float) -> None:
        """Counts one call."""


@dataclass(frozen=True)
class DeadlineLimits:
    """Limits on callers' deadlines.

    Attributes:
        default_s: for a call without one.
        longest_s: a longer one is cut to this; not that of a stream.
        streams: limits of each bulk stream.
    """

    default_s: float
    longest_s: float
    streams: StreamLimits = field(default_factory=StreamLimits)


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Interceptor of the handlers of `shortlist.v1`; of health and reflection it only checks the messages."""

    def __init__(  # noqa: PLR0913, PLR0917 -- the parts of the edge
        self,
        limits: DeadlineLimits,
        max_calls: int,
        max_reply_bytes: int,
        observer: CallObserver,
        admission: Admission | None = None,
        authenticator: Authenticator | None = None,
    ) -> None:
        """Keeps the limits.

        Args:
            limits: on callers' deadlines.
            max_calls: calls at once, those without a message yet among them; further ones are refused.
            max_reply_bytes: a larger reply is refused here, with a reason. Not above what the server may send: grpc
                itself refuses without one, after the call was counted as answered.
            observer: counts calls.
            admission: decides about each call; None admits all.
            authenticator: of callers; None lets everybody in.
        """
        self._authenticator = authenticator or Authenticator()
        # Set once no more calls are taken.
        self.stopping = asyncio.Event()
        self._admission = admission
        self._limits = limits
        self._max_calls = max_calls
        self._max_reply_bytes = max_reply_bytes
        self._observer = observer
        self._log = structlog.get_logger("call")
        self._open = 0
        self._under_way = 0
        self._draining = False
        self._wrapped: dict[str, tuple[grpc.RpcMethodHandler, grpc.RpcMethodHandler]] = {}

    @property
    def open_calls(self) -> int:
        """Number of calls under way."""
        return self._open

    async def drain(self, longest_s: float) -> None:
        """Answers UNAVAILABLE to every call that comes from now on; returns once those under way are answered.

        To be done before grpc's own stop, which ends a call that it took from the wire, but did not hand over yet, as
        CANCELLED: a caller would take that for its own doing and not go elsewhere.

        Args:
            longest_s: the most to wait for calls under way, in seconds.
        """
        self._draining = True
        self.stopping.set()
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
        known = self._wrapped.get(details.method)
        if known is None or known[0] is not handler:
            known = self._wrapped[details.method] = handler, self._wrap(handler, details.method)
        return known[1]

    def _wrap(self, handler: grpc.RpcMethodHandler, method: str) -> grpc.RpcMethodHandler:
        ours = method.startswith(_OURS)
        if ours and handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                self._intercepted(handler, method), None, handler.response_serializer
            )
        unary = handler.unary_unary is not None or handler.stream_unary is not None
        if not unary or not ours:
            return guarded(handler, method, self._limits.default_s, self._check_of(method))
        # No deserializer: bytes that are not a message must not surface as UNKNOWN, so `_answer` parses them.
        return grpc.stream_unary_rpc_method_handler(
            self._intercepted(handler, method), None, handler.response_serializer
        )

    def _check_of(self, method: str) -> Callable[[grpc.aio.ServicerContext], Awaitable[object]] | None:
        """Returns the check before a method that is served as a stream; health and reflection are for everybody."""
        return partial(self._authenticator.authorized, method) if method.startswith(_OURS) else None

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
                streams = handler.stream_stream is not None
                call = Call(method, request_id, self._deadline(context, streams=streams), started_s)
                reply = await (self._streamed if streams else self._reply)(handler, context, call)
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
            except StoppingError:
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
            StoppingError: the gateway takes no more calls.
            Overloaded: it has too many.
            Exception: what the handler raised.
        """
        self._check_open()
        if self._authenticator.asks:
            call = replace(call, identity=await self._authenticator.authorized(call.method, context))
        raw = await read_message(context, call.deadline.remaining_s())
        if self._draining:
            raise StoppingError
        self._under_way += 1
        try:
            with self._admitted(call, len(raw), context) as level:
                if level is not call.level:
                    call = replace(call, level=level)
                current_call.set(call)
                if handler.stream_unary is not None:
                    messages = _messages(handler, raw, context, self._limits.longest_s)
                    reply = await handler.stream_unary(messages, context)
                else:
                    reply = await _answer(handler, raw, context, call)
            self._check_size(reply)
            return reply
        finally:
            self._under_way -= 1

    async def _streamed(self, handler: grpc.RpcMethodHandler, context: grpc.aio.ServicerContext, call: Call) -> None:
        """Writes the replies of a stream as fast as they are taken. Raises as `_reply`."""
        self._check_open()
        call = replace(call, identity=await self._authenticator.authorized(call.method, context))
        self._under_way += 1
        try:
            current_call.set(call)
            current_stream.set(
                EntryStream(
                    call=call,
                    limits=self._limits.streams,
                    authorize=lambda: self._authenticator.authorized(call.method, context),
                    admit=lambda entry, size: self._admitted(entry, size, context),
                    status_of=lambda error: self._status(error, call.method),
                    check_size=self._check_size,
                    stopping=self.stopping,
                )
            )
            requests = messages_of(handler.request_deserializer, context)
            async with aclosing(handler.stream_stream(requests, context)) as replies:
                async for reply in replies:
                    await self._write(reply, context)
        finally:
            self._under_way -= 1

    async def _write(self, reply: Message, context: grpc.aio.ServicerContext) -> None:
        try:
            async with asyncio.timeout(self._limits.streams.idle_s):
                await context.write(reply)
        except TimeoutError as error:
            raise DeadlineExceeded("no reply was taken for too long; read while you write") from error

    def _check_open(self) -> None:
        if self._draining:
            raise StoppingError
        if self._open > self._max_calls:
            raise Overloaded(f"the gateway has {self._max_calls:,} calls at once already; try again later")

    def _admitted(
        self, call: Call, size: int, context: grpc.aio.ServicerContext
    ) -> AbstractContextManager[ServiceLevel]:
        if self._admission is None:
            return nullcontext(ServiceLevel.FULL)
        return self._admission.admitted(arrival_of(call, size, context))

    def _check_size(self, reply: Message) -> None:
        size = reply.ByteSize()
        if size > self._max_reply_bytes:
            raise ReplyTooLarge(
                f"the reply would be {size:,} bytes, the gateway sends at most {self._max_reply_bytes:,}; ask for "
                "fewer items, entries or details at a time"
            )

    def _deadline(self, context: grpc.aio.ServicerContext, *, streams: bool = False) -> Deadline:
        left_s = context.time_remaining()
        if left_s is None and streams:
            return Deadline.after(math.inf)
        if left_s is None:
            return Deadline.after(self._limits.default_s)
        if left_s <= 0:
            raise DeadlineExceeded("the deadline had passed when the call arrived; give the call more time")
        return Deadline.after(left_s if streams else min(left_s, self._limits.longest_s))

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


async def _messages(
    handler: grpc.RpcMethodHandler, first: bytes, context: grpc.aio.ServicerContext, longest_s: float
) -> AsyncIterator[Message]:
    """Yields the messages of a stream; each must come within the call's deadline, and within the longest one."""
    raw: bytes | None = first
    while raw is not None:
        yield parsed(handler.request_deserializer, raw)
        left_s = context.time_remaining()
        raw = await read_following(context, longest_s if left_s is None else min(left_s, longest_s))


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
