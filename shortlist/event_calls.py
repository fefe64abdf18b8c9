"""The calls about what is kept of users, for both clients."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from shortlist.call import Call, Calls
from shortlist.event_messages import (
    delete_message,
    elicit_message,
    get_message,
    merge_message,
    read_elicited,
    read_merged,
    read_recorded,
    read_recorded_stream,
    read_user,
    record_message,
    with_id,
)
from shortlist.requests import Event
from shortlist.results import ElicitedItem, Merged, Recorded, RecordedStream, StoredUser
from shortlist.v1 import event_pb2
from shortlist.v1.event_pb2_grpc import EventServiceStub

_Reply = TypeVar("_Reply")
_Result = TypeVar("_Result")

# A message of a stream is stored as a whole, and may hold so many.
_EVENTS_A_MESSAGE = 1_000
# Events among which those of one user are put together: a message costs ten times what an event costs.
_STRETCH = 10_000
_STREAM_DEADLINE_S = 60.0


class EventCalls:
    """Calls of `Client` about what is kept of users."""

    _calls: Calls
    _events: EventServiceStub

    def record_events(
        self,
        events: Iterable[Event],
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> Recorded:
        """Stores events of one user or session: all of them or, with an error, none. They are durable when it returns.

        Args:
            events: 1 to 1,000 events. With an `event_id` each, repeating the call is harmless; those without get one,
                so that the client's own repeat is.
            user_id: the user.
            session_id: the session; exactly one of the two must be given.
            deadline_s: how long the call may take, in seconds; None takes the client's.
            request_id: the id for the gateway's log; None makes one.

        Raises:
            ShortlistCallError: nothing was stored; EventConflict where an id is kept with other content.
            ValueError, TypeError: as `recommend`.
        """
        call = self._calls.begin(deadline_s, request_id)
        return self._send(self._events.RecordEvents, record_message(user_id, session_id, events), read_recorded, call)

    def record_events_stream(
        self, events: Iterable[tuple[str, Event]], *, of_sessions: bool = False, deadline_s: float = _STREAM_DEADLINE_S
    ) -> RecordedStream:
        """Stores events of many users, in one stream, as fast as the gateway takes them.

        Args:
            events: pairs of user id and event; those of one user keep their order.
            of_sessions: whether the ids are those of sessions.
            deadline_s: how long the stream may take, in seconds.

        Raises:
            ShortlistCallError: some may be stored: send the same again, with ids.
            ValueError, TypeError: as `record_events`.
        """
        call = self._calls.begin(deadline_s, None)
        messages: Any = _Messages(events, of_sessions=of_sessions)

        def send(message: Any, **more: Any) -> event_pb2.RecordEventsStreamResponse:  # noqa: ANN401 -- grpc's own
            reply: event_pb2.RecordEventsStreamResponse = self._events.RecordEventsStream(iter(message), **more)
            return reply

        return self._send(send, messages, read_recorded_stream, call)

    def get_user(
        self, *, user_id: str | None = None, session_id: str | None = None, deadline_s: float | None = None
    ) -> StoredUser:
        """Returns what is kept of a user or session."""
        call = self._calls.begin(deadline_s, None)
        return self._send(self._events.GetUser, get_message(user_id, session_id), read_user, call)

    def delete_user(
        self, *, user_id: str | None = None, session_id: str | None = None, deadline_s: float | None = None
    ) -> bool:
        """Forgets a user or session for good; returns whether anything was kept."""
        call = self._calls.begin(deadline_s, None)
        return self._send(self._events.DeleteUser, delete_message(user_id, session_id), _found, call)

    def merge_session(self, session_id: str, user_id: str, *, deadline_s: float | None = None) -> Merged:
        """Gives a session's events to a user, as after a login; repeating it is harmless."""
        call = self._calls.begin(deadline_s, None)
        return self._send(self._events.MergeSession, merge_message(session_id, user_id), read_merged, call)

    def elicit(  # noqa: PLR0913 -- each is a field of the request
        self,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        events: Sequence[Event] = (),
        exclude_item_ids: Sequence[str] = (),
        k: int = 1,
        deadline_s: float | None = None,
    ) -> tuple[ElicitedItem, ...]:
        """Returns the items that it tells most to ask a new caller about, the most telling first."""
        call = self._calls.begin(deadline_s, None)
        message = elicit_message(user_id, session_id, events, exclude_item_ids, k)
        return self._send(self._events.Elicit, message, read_elicited, call)

    def _send(
        self, rpc: Callable[..., _Reply], message: Message, reader: Callable[[_Reply], _Result], call: Call
    ) -> _Result:
        raise NotImplementedError


class AsyncEventCalls:
    """Calls of `AsyncClient` about what is kept of users."""

    _calls: Calls
    _events: Any

    async def record_events(
        self,
        events: Iterable[Event],
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        deadline_s: float | None = None,
        request_id: str | None = None,
    ) -> Recorded:
        """Stores events of one user or session, as Client.record_events."""
        call = self._calls.begin(deadline_s, request_id)
        message = record_message(user_id, session_id, events)
        return await self._send(self._events.RecordEvents, message, read_recorded, call)

    async def record_events_stream(
        self, events: Iterable[tuple[str, Event]], *, of_sessions: bool = False, deadline_s: float = _STREAM_DEADLINE_S
    ) -> RecordedStream:
        """Stores events of many users, as Client.record_events_stream."""
        call = self._calls.begin(deadline_s, None)
        messages: Any = _Messages(events, of_sessions=of_sessions)
        return await self._send(self._events.RecordEventsStream, messages, read_recorded_stream, call)

    async def get_user(
        self, *, user_id: str | None = None, session_id: str | None = None, deadline_s: float | None = None
    ) -> StoredUser:
        """Returns what is kept of a user or session."""
        call = self._calls.begin(deadline_s, None)
        return await self._send(self._events.GetUser, get_message(user_id, session_id), read_user, call)

    async def delete_user(
        self, *, user_id: str | None = None, session_id: str | None = None, deadline_s: float | None = None
    ) -> bool:
        """Forgets a user or session for good; returns whether anything was kept."""
        call = self._calls.begin(deadline_s, None)
        return await self._send(self._events.DeleteUser, delete_message(user_id, session_id), _found, call)

    async def merge_session(self, session_id: str, user_id: str, *, deadline_s: float | None = None) -> Merged:
        """Gives a session's events to a user, as after a login; repeating it is harmless."""
        call = self._calls.begin(deadline_s, None)
        return await self._send(self._events.MergeSession, merge_message(session_id, user_id), read_merged, call)

    async def elicit(  # noqa: PLR0913 -- each is a field of the request
        self,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        events: Sequence[Event] = (),
        exclude_item_ids: Sequence[str] = (),
        k: int = 1,
        deadline_s: float | None = None,
    ) -> tuple[ElicitedItem, ...]:
        """Returns the items that it tells most to ask a new caller about, as Client.elicit."""
        call = self._calls.begin(deadline_s, None)
        message = elicit_message(user_id, session_id, events, exclude_item_ids, k)
        return await self._send(self._events.Elicit, message, read_elicited, call)

    async def _send(
        self, rpc: Callable[..., Awaitable[_Reply]], message: Message, reader: Callable[[_Reply], _Result], call: Call
    ) -> _Result:
        raise NotImplementedError


class _Messages:
    """Messages of a stream: of each stretch of events, those of one user go together. A repeated call begins anew."""

    def __init__(self, events: Iterable[tuple[str, Event]], *, of_sessions: bool = False) -> None:
        self._of_sessions = of_sessions
        # Ids are given here: a repeated call must send the same ones.
        self._pairs = [(caller, with_id(event)) for caller, event in events]

    def __iter__(self) -> Iterator[event_pb2.RecordEventsRequest]:
        for start in range(0, len(self._pairs), _STRETCH):
            by_caller: dict[str, list[Event]] = {}
            for caller, event in self._pairs[start : start + _STRETCH]:
                by_caller.setdefault(caller, []).append(event)
            for caller, events in by_caller.items():
                user_id, session_id = (None, caller) if self._of_sessions else (caller, None)
                for first in range(0, len(events), _EVENTS_A_MESSAGE):
                    yield record_message(user_id, session_id, events[first : first + _EVENTS_A_MESSAGE])


def _found(message: event_pb2.DeleteUserResponse) -> bool:
    return bool(message.found)
