"""Streams of the clients: entries out, outcomes in, in order."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Generic, TypeVar

import grpc
from google.protobuf.message import Message

from shortlist.call import Call

# Of grpc.aio, in place of the gateway's own status, where the stream ends while an entry is being written (1 in 150).
_LOST = "Internal error from Core"

_Entry = TypeVar("_Entry")
_Reply = TypeVar("_Reply")
_Result = TypeVar("_Result")


class _Outgoing(Generic[_Entry]):
    """The messages of a stream; what the caller's own iterator raises is kept, not lost in a thread of gRPC."""

    def __init__(self, entries: Iterable[_Entry] | AsyncIterable[_Entry], build: Callable[[_Entry], Message]) -> None:
        self._entries = entries
        self._build = build
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[Message]:
        try:
            for entry in self._entries:  # type: ignore[union-attr]
                yield self._build(entry)
        except Exception as error:
            self.failure = error

    async def messages(self) -> AsyncIterator[Message]:
        try:
            if isinstance(self._entries, AsyncIterable):
                async for entry in self._entries:
                    yield self._build(entry)
            else:
                for entry in self._entries:
                    yield self._build(entry)
        except Exception as error:
            self.failure = error


def stream(
    rpc: Callable[..., grpc.Call],
    entries: Iterable[_Entry],
    build: Callable[[_Entry], Message],
    reader: Callable[[_Reply], _Result],
    call: Call,
) -> Iterator[_Result]:
    """Sends entries as far as the gateway takes them, and yields an outcome for each, in order.

    Raises:
        ShortlistCallError: the call failed; entries without an outcome may be sent again.
        Exception: what the entries' own iterator raised.
    """
    outgoing = _Outgoing(entries, build)
    replies = rpc(iter(outgoing), timeout=call.timeout_s(), metadata=call.metadata)
    try:
        for reply in replies:
            yield call.read(reader, reply)
    except grpc.RpcError as error:
        raise call.error(error) from error
    finally:
        replies.cancel()
    if outgoing.failure is not None:
        raise outgoing.failure


async def async_stream(
    rpc: Callable[..., grpc.aio.StreamStreamCall],
    entries: Iterable[_Entry] | AsyncIterable[_Entry],
    build: Callable[[_Entry], Message],
    reader: Callable[[_Reply], _Result],
    call: Call,
) -> AsyncIterator[_Result]:
    """Does the same on an event loop. Raises as `stream`."""
    outgoing = _Outgoing(entries, build)
    replies = rpc(outgoing.messages(), timeout=call.timeout_s(), metadata=call.metadata)
    try:
        async for reply in replies:
            yield call.read(reader, reply)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.INTERNAL and error.details() == _LOST:
            raise call.lost() from error
        raise call.error(error) from error
    finally:
        replies.cancel()
    if outgoing.failure is not None:
        raise outgoing.failure
