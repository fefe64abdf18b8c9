"""EventService: protobuf in, protobuf out, nothing else."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import Executor

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from domain.errors import NoRelease, NotServed
from domain.user_history import Caller
from server.rpc import off_loop
from server.rpc.check import Check, RequestLimits
from server.rpc.parse_event import check_new_events, parse_caller, parse_elicit
from server.stages.elicit import elicit
from server.stages.release import ServingRelease
from server.users.event_log import EventLog, EventObserver, Recorded
from server.users.reading import read_events
from server.users.record import NewEvent
from server.users.replies import RecentReplies
from server.users.tokens import Attribution
from server.users.trending import Trending
from shortlist.v1 import event_pb2 as pb
from shortlist.v1 import event_pb2_grpc as pb_grpc

_MOST_UNKNOWN_IDS = 100
# Messages of a stream that wait for the store at once.
_WINDOW = 64
_KIND_NAMES = {number: name.removeprefix("EVENT_KIND_").lower() for name, number in pb.EventKind.items()}

_Stored = tuple[Recorded, Mapping[str, int] | None]


class EventServicer(pb_grpc.EventServiceServicer):
    """Servicer of what is kept of users."""

    def __init__(  # noqa: PLR0913 -- each is a part of the gateway
        self,
        events: EventLog | None,
        live: Callable[[], ServingRelease],
        limits: RequestLimits,
        executor: Executor,
        *,
        replies: RecentReplies,
        observer: EventObserver,
        trending: Trending | None = None,
    ) -> None:
        self._events = events
        self._live = live
        self._limits = limits
        self._executor = executor
        self._replies = replies
        self._observer = observer
        self._trending = trending
        self._under_way: set[asyncio.Task[_Stored]] = set()

    async def RecordEvents(  # noqa: D102 -- the contract's name and comment
        self, request: pb.RecordEventsRequest, context: grpc.aio.ServicerContext
    ) -> pb.RecordEventsResponse:
        log = self._log()
        caller, events = await self._checked(request, log)
        done, known = await asyncio.shield(self._storing(log, caller, events, request))
        return pb.RecordEventsResponse(
            recorded_count=done.recorded,
            duplicate_count=done.duplicates,
            event_token=done.token,
            durable=done.durable,
            expired_count=done.expired,
            unknown_item_ids=[] if known is None else _unknown_ids(request.events, known),
        )

    async def RecordEventsStream(  # noqa: D102
        self, requests: AsyncIterator[pb.RecordEventsRequest], context: grpc.aio.ServicerContext
    ) -> pb.RecordEventsStreamResponse:
        log = self._log()
        reply = pb.RecordEventsStreamResponse(durable=True)
        waiting: deque[asyncio.Task[_Stored]] = deque()
        async for request in requests:
            caller, events = await self._checked(request, log)
            waiting.append(self._storing(log, caller, events, request))
            if len(waiting) >= _WINDOW:
                await _add(reply, waiting.popleft())
        while waiting:
            await _add(reply, waiting.popleft())
        reply.event_token = log.token()
        return reply

    async def GetUser(  # noqa: D102
        self, request: pb.GetUserRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetUserResponse:
        log = self._log()
        events, shown_count, updated_s = await log.events(_caller(request))
        reply = pb.GetUserResponse(
            events=events, found=updated_s is not None or shown_count > 0, shown_count=shown_count
        )
        if updated_s is not None:
            moment = Timestamp()
            moment.FromMicroseconds(int(updated_s * 1e6))
            reply.update_time.CopyFrom(moment)
        return reply

    async def DeleteUser(  # noqa: D102
        self, request: pb.DeleteUserRequest, context: grpc.aio.ServicerContext
    ) -> pb.DeleteUserResponse:
        log = self._log()
        return pb.DeleteUserResponse(found=await log.forget(_caller(request)))

    async def MergeSession(  # noqa: D102
        self, request: pb.MergeSessionRequest, context: grpc.aio.ServicerContext
    ) -> pb.MergeSessionResponse:
        log = self._log()
        check = Check()
        check.item_id(request.session_id, "session_id")
        check.item_id(request.user_id, "user_id")
        check.raise_any()
        done = await log.merge(request.session_id, request.user_id)
        return pb.MergeSessionResponse(merged_count=done.recorded, event_token=done.token)

    async def Elicit(  # noqa: D102
        self, request: pb.ElicitRequest, context: grpc.aio.ServicerContext
    ) -> pb.ElicitResponse:
        release = self._live()
        caller, passed, k = parse_elicit(request, self._limits)
        history = passed
        if caller is not None and self._events is not None:
            history = (await self._events.user(caller)).history.joined(passed)
        answered = [event.item_id for event in history.events]
        # What they met without an opinion is not asked about again, but settles nothing.
        excluded = [*request.exclude_item_ids, *(met.item_id for met in history.impressions)]
        found = await asyncio.get_running_loop().run_in_executor(self._executor, elicit, release, answered, excluded, k)
        items = [pb.ElicitedItem(id=one.id, title=one.title, expected_gain=one.expected_gain) for one in found]
        return pb.ElicitResponse(items=items, release_id=release.release_id)

    def _log(self) -> EventLog:
        if self._events is None:
            raise NotServed("", "this gateway keeps no events: its event_store is off; pass them along in Recommend")
        return self._events

    def _storing(
        self, log: EventLog, caller: Caller, events: list[NewEvent], request: pb.RecordEventsRequest
    ) -> "asyncio.Task[_Stored]":
        """Stores events beside the call: what is on its way is stored and counted, also when the caller leaves."""
        task = asyncio.create_task(self._stored(log, caller, events, request))
        self._under_way.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: "asyncio.Task[_Stored]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # where the caller left, nobody else takes it

    async def _stored(
        self, log: EventLog, caller: Caller, events: list[NewEvent], request: pb.RecordEventsRequest
    ) -> _Stored:
        """Stores events; those that the store acknowledged, and did not have before, count for what is trending.

        Also returns the items among theirs that the live release has; None without a release.
        """
        done = await log.record(caller, events)
        self._count(request.events, done)
        try:
            known = self._live().catalogue.rows_of({event.item_id for event in request.events if event.item_id})
        except NoRelease:
            return done, None
        if self._trending is not None and done.places:
            self._trending.add(read_events(request.events[place] for place in done.places).events, known, caller)
        return done, known

    async def _checked(self, request: pb.RecordEventsRequest, log: EventLog) -> tuple[Caller, list[NewEvent]]:
        """Returns the caller and the events as they are stored; masking texts is left to a thread, it takes long."""
        if any(event.comment or event.text or event.item_title for event in request.events):
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._parsed, request, log)
        return await off_loop.check(self._executor, self._parsed, request, log)

    def _parsed(self, request: pb.RecordEventsRequest, log: EventLog) -> tuple[Caller, list[NewEvent]]:
        now_s = time.time()
        check = Check()
        caller = parse_caller(request, check)
        check.raise_any()
        check_new_events(request.events, self._limits, now_s)
        assert caller is not None
        return caller, log.prepared(request.events, now_s, self._replies)

    def _count(self, events: Sequence[pb.Event], done: Recorded) -> None:
        for event in (events[place] for place in done.places):
            place = Attribution.of(event.attribution_token) if event.attribution_token else None
            if place is None and event.rank and event.request_id:
                place = self._replies.attribution(event.request_id, event.rank)
            self._observer.event_recorded(_KIND_NAMES[event.kind], place)


async def _add(reply: pb.RecordEventsStreamResponse, task: "asyncio.Task[_Stored]") -> None:
    done, _ = await asyncio.shield(task)
    reply.request_count += 1
    reply.recorded_count += done.recorded
    reply.duplicate_count += done.duplicates
    reply.expired_count += done.expired
    reply.durable &= done.durable


def _caller(request: pb.GetUserRequest | pb.DeleteUserRequest) -> Caller:
    check = Check()
    caller = parse_caller(request, check)
    check.raise_any()
    assert caller is not None
    return caller


def _unknown_ids(events: Iterable[pb.Event], known: Container[str]) -> list[str]:
    ids = dict.fromkeys(event.item_id for event in events if event.item_id and not event.item_title)
    return [item_id for item_id in ids if item_id not in known][:_MOST_UNKNOWN_IDS]
