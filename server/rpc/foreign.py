"""Guard around the services that others wrote, health and reflection: typed statuses, never a traceback."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio
import structlog

from domain.errors import DeadlineExceeded
from server.rpc.first_message import parsed, read_message
from server.rpc.status import INTERNAL, MalformedMessage, status_of

_Check = Callable[[grpc.aio.ServicerContext], Awaitable[object]]


def guarded(
    handler: grpc.RpcMethodHandler, method: str, timeout_s: float, check: _Check | None = None
) -> grpc.RpcMethodHandler:
    """Returns a handler that answers malformed, missing and late messages with a status of their own.

    Args:
        handler: unary or streaming on either side.
        method: its full name, for the log.
        timeout_s: how long to wait for each message of a call without a deadline, in seconds.
        check: of the caller, before its first message is read.
    """

    async def serve(_: object, context: grpc.aio.ServicerContext) -> Any:  # noqa: ANN401 -- any reply message
        try:
            if check is not None:
                await check(context)
            return await _served(handler, context, timeout_s)
        except grpc.aio.BaseError:  # a status was sent already, or the server was stopped
            raise
        except Exception as error:
            status = status_of(error)
            if status is None:
                structlog.get_logger("call").error("internal error", method=method, exc_info=error)
                status = INTERNAL
            await context.abort(status.code, status.message)

    make = grpc.stream_stream_rpc_method_handler if handler.response_streaming else grpc.stream_unary_rpc_method_handler
    return make(serve, None, handler.response_serializer)


async def _served(handler: grpc.RpcMethodHandler, context: grpc.aio.ServicerContext, timeout_s: float) -> Any:  # noqa: ANN401
    if handler.request_streaming:
        call = handler.stream_stream if handler.response_streaming else handler.stream_unary
        request = _messages(handler, context, timeout_s)
    else:
        call = handler.unary_stream if handler.response_streaming else handler.unary_unary
        request = parsed(handler.request_deserializer, await read_message(context, _wait_s(context, timeout_s)))
    if inspect.isasyncgenfunction(call):
        # What a handler holds is given back as soon as its caller leaves.
        async with aclosing(call(request, context)) as replies:
            async for reply in replies:
                await context.write(reply)
        return None
    return await call(request, context)


async def _messages(
    handler: grpc.RpcMethodHandler, context: grpc.aio.ServicerContext, timeout_s: float
) -> AsyncIterator[Any]:
    """Yields the messages of a stream until the caller closes its side."""
    first = True
    while True:
        try:
            raw = await read_message(context, _wait_s(context, timeout_s))
        except MalformedMessage:
            if first:
                raise
            return
        first = False
        yield parsed(handler.request_deserializer, raw)


def _wait_s(context: grpc.aio.ServicerContext, timeout_s: float) -> float:
    left_s = context.time_remaining()
    if left_s is None:
        return timeout_s
    if left_s <= 0:
        raise DeadlineExceeded("the deadline had passed when the call arrived; give the call more time")
    return float(left_s)
