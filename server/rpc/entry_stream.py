"""Streams of entries: answered a window at a time, in order, each entry with an error of its own.

    messages -> (room in the window) -> admission -> answer -> in order -> replies, as fast as they are taken

Nothing is read while the window is full, and nothing more is answered while no reply is taken: HTTP/2's flow control
then holds the caller back, and a stream's memory is bounded by its window.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from google.protobuf.message import Message

from domain.errors import DeadlineExceeded, Overloaded
from server.admission.level import ServiceLevel
from server.deadline import Deadline
from server.rpc.call import Call, current_call
from server.rpc.status import CallStatus
from server.security.identity import Identity

_Request = TypeVar("_Request", bound=Message)
_Reply = TypeVar("_Reply", bound=Message)

Admit = Callable[[Call, int], AbstractContextManager[ServiceLevel]]


class StoppingError(Exception):
    """Refusal of a call, or end of a stream, because the gateway is stopping."""


@dataclass(frozen=True)
class StreamLimits:
    """Limits of a stream.

    Attributes:
        window: entries under way at once.
        idle_s: how long it may bring nothing while nothing is left to answer, or take no reply, seconds.
        entry_s: the time of one entry, seconds.
    """

    window: int = 32
    idle_s: float = 60.0
    entry_s: float = 60.0


@dataclass(frozen=True)
class EntryStream:
    """One stream in progress.

    Attributes:
        call: the stream's own.
        limits: of it.
        authorize: returns who makes the call now, as at its start; raises where its key or token holds no longer.
        admit: admits an entry of so many bytes.
        status_of: the status of an entry's error.
        check_size: refuses a reply that is too large.
        stopping: set once the gateway takes no more entries.
    """

    call: Call
    limits: StreamLimits
    authorize: Callable[[], Awaitable[Identity | None]]
    admit: Admit
    status_of: Callable[[Exception], CallStatus]
    check_size: Callable[[Message], None]
    stopping: asyncio.Event

    async def replies(
        self,
        requests: AsyncIterator[_Request],
        answer: Callable[[_Request], Awaitable[_Reply]],
        refuse: Callable[[CallStatus], _Reply],
    ) -> AsyncIterator[_Reply]:
        """Yields one reply for each request, in their order, with its `index`.

        Args:
            requests: of the caller.
            answer: makes the reply to one request.
            refuse: makes the reply that carries an error.

        Raises:
            StoppingError: the gateway is stopping; entries that were taken are answered before.
            DeadlineExceeded: the stream's own deadline passed, or nothing came for too long.
        """

        async def entry(request: _Request) -> _Reply:
            try:
                return await self._answered(request, answer)
            except Exception as error:  # an entry's error never fails the others
                return refuse(self.status_of(error))

        window = _Window(requests, entry, self.limits)
        try:
            index = 0
            while await window.progress(self.stopping, self.call.deadline):
                for reply in window.take():
                    reply.index = index  # type: ignore[attr-defined]
                    index += 1
                    yield reply
        finally:
            await window.aclose()

    async def _answered(self, request: _Request, answer: Callable[[_Request], Awaitable[_Reply]]) -> _Reply:
        deadline = min(Deadline.after(self.limits.entry_s), self.call.deadline)
        call = replace(self.call, deadline=deadline, started_s=time.monotonic())
        # A stream may outlive the key or the token that it was opened with.
        call = replace(call, identity=await self.authorize())
        while True:
            try:
                with self.admit(call, request.ByteSize()) as level:
                    current_call.set(replace(call, level=level))
                    async with asyncio.timeout_at(deadline.at_s):
                        reply = await answer(request)
                self.check_size(reply)
                return reply
            except TimeoutError as error:
                raise DeadlineExceeded("the entry was not answered in time") from error
            except Overloaded as error:
                # The window is full meanwhile, and the caller is held back.
                if error.retry_after_s >= deadline.remaining_s():
                    raise
                await asyncio.sleep(error.retry_after_s)


# Set by the interceptor for the stream's handler.
current_stream: ContextVar[EntryStream] = ContextVar("current_stream")


class _Window(Generic[_Request, _Reply]):
    """The entries of a stream that are under way, in order."""

    def __init__(
        self,
        requests: AsyncIterator[_Request],
        answer: Callable[[_Request], Awaitable[_Reply]],
        limits: StreamLimits,
    ) -> None:
        self._requests = requests
        self._answer = answer
        self._limits = limits
        self._under_way: deque[asyncio.Task[_Reply]] = deque()
        self._reading: asyncio.Task[_Request | None] | None = None
        self._ended = False

    async def progress(self, stopping: asyncio.Event, deadline: Deadline) -> bool:
        """Waits until the next reply is there, or a request has come; returns False once all is answered.

        Raises:
            StoppingError: all is answered that was taken, and the gateway is stopping.
            DeadlineExceeded: the time is up, or nothing came for too long.
        """
        if stopping.is_set() and not self._under_way:
            raise StoppingError
        self._read_on(stopping)
        waits: set[asyncio.Task[object]] = {*list(self._under_way)[:1], *([self._reading] if self._reading else [])}
        if not waits:
            return False
        stopped = asyncio.ensure_future(stopping.wait())
        # While entries are under way it is not the caller who keeps us waiting.
        patience_s = deadline.remaining_s() if self._under_way else min(self._limits.idle_s, deadline.remaining_s())
        try:
            done, _ = await asyncio.wait(
                {*waits, stopped} if not stopping.is_set() else waits,
                timeout=None if patience_s == float("inf") else max(0.0, patience_s),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            stopped.cancel()
        if not done:
            raise DeadlineExceeded(
                "the stream's deadline passed"
                if deadline.remaining_s() <= 0
                else f"no entry came for {self._limits.idle_s:g} s; open another stream when there is more"
            )
        self._receive()
        return True

    def take(self) -> list[_Reply]:
        """Returns the replies that are next in order and ready."""
        ready = []
        while self._under_way and self._under_way[0].done():
            ready.append(self._under_way.popleft().result())
        return ready

    async def aclose(self) -> None:
        """Ends what is under way."""
        tasks = [task for task in (*self._under_way, self._reading) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _read_on(self, stopping: asyncio.Event) -> None:
        full = len(self._under_way) >= self._limits.window
        if self._reading is None and not (full or self._ended or stopping.is_set()):
            self._reading = asyncio.ensure_future(anext(self._requests, None))

    def _receive(self) -> None:
        """Starts the entry that has come, if one has; raises what reading it raised."""
        if self._reading is None or not self._reading.done():
            return
        request, self._reading = self._reading.result(), None
        if request is None:
            self._ended = True
        else:
            self._under_way.append(asyncio.ensure_future(self._answer(request)))
