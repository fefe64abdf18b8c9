"""The message that a call begins with, read under the call's own deadline.

grpc hands a unary handler nothing before the message is there: a caller who opens a stream and says nothing would be
waited for until the connection ends, and one who closes its side at once would get no status at all. So every method is
served as a streaming one, and its message is read here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio
from google.protobuf.message import DecodeError

from domain.errors import DeadlineExceeded
from server.rpc.status import MalformedMessage


async def read_message(context: grpc.aio.ServicerContext, timeout_s: float) -> bytes:
    """Returns the next message of a call, as bytes.

    Args:
        context: of a call with a streaming handler and no deserializer.
        timeout_s: how long to wait for it, in seconds.

    Raises:
        MalformedMessage: the caller closed its side without one.
        DeadlineExceeded: none came in time.
    """
    raw = await read_following(context, timeout_s)
    if raw is None:
        raise MalformedMessage("the call ended without a message; send one of this method's request type")
    return raw


async def read_following(context: grpc.aio.ServicerContext, timeout_s: float) -> bytes | None:
    """Returns the next message of a call, as bytes; None where the caller closed its side.

    Args:
        context: as for `read_message`.
        timeout_s: how long to wait for it, in seconds.

    Raises:
        DeadlineExceeded: none came in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            raw = await context.read()
    except TimeoutError as error:
        raise DeadlineExceeded("no message arrived within the call's deadline; send one with the call") from error
    return None if raw is grpc.aio.EOF else bytes(raw)


async def messages_of(deserialize: Callable[[bytes], Any], context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
    """Yields the messages of a stream until the caller closes its side.

    Raises:
        MalformedMessage: bytes are not a message.
    """
    while (raw := await context.read()) is not grpc.aio.EOF:
        yield parsed(deserialize, bytes(raw))


def parsed(deserialize: Callable[[bytes], Any], raw: bytes) -> Any:  # noqa: ANN401 -- any request message
    """Returns bytes as a message.

    Raises:
        MalformedMessage: they are not one.
    """
    try:
        return deserialize(raw)
    except DecodeError as error:
        raise MalformedMessage("the bytes are not a message of this method's request type") from error
