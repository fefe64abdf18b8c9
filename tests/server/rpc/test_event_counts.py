"""What RecordEvents counts: the events that were stored, and no others of their message."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from server.rpc.event import EventServicer
from server.settings import load_configuration
from server.users.event_log import Recorded
from server.users.replies import RecentReplies
from shortlist.v1 import event_pb2 as pb

LIMITS = load_configuration(None, {}, {}).settings.request_limits()


class Log:
    def prepared(self, events, now_s, replies):
        return list(events)

    async def record(self, caller, events):
        return Recorded(1, 2, "token", True, 0, (1,))


class SlowLog(Log):
    """Stores only when it is let."""

    def __init__(self):
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def record(self, caller, events):
        self.reached.set()
        await self.go.wait()
        return await super().record(caller, events)


async def test_what_a_caller_sent_who_left_is_stored_and_counted_alike():
    log, counted = SlowLog(), []
    observer = SimpleNamespace(event_recorded=lambda kind, place: counted.append(kind))
    catalogue = SimpleNamespace(rows_of=lambda ids: {})
    with ThreadPoolExecutor(1) as executor:
        servicer = EventServicer(
            log, lambda: SimpleNamespace(catalogue=catalogue), LIMITS, executor,
            replies=RecentReplies(), observer=observer,
        )  # fmt: skip
        request = pb.RecordEventsRequest(
            user_id="u", events=[pb.Event(item_id=name, kind=pb.EVENT_KIND_VIEW) for name in "ab"]
        )

        async def stream():
            yield request
            await asyncio.Event().wait()

        for call in (servicer.RecordEvents(request, None), servicer.RecordEventsStream(stream(), None)):
            log.reached.clear()
            log.go.clear()
            counted.clear()
            task = asyncio.create_task(call)
            await log.reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert counted == []
            log.go.set()
            async with asyncio.timeout(5):
                while not counted:
                    await asyncio.sleep(0)
            assert counted == ["view"]


async def test_only_what_was_stored_is_counted_and_ids_are_looked_up_once():
    counted, looked_up = [], []
    observer = SimpleNamespace(event_recorded=lambda kind, place: counted.append(kind))
    catalogue = SimpleNamespace(rows_of=lambda ids: looked_up.append(set(ids)) or {"a": 0})
    with ThreadPoolExecutor(1) as executor:
        servicer = EventServicer(
            Log(), lambda: SimpleNamespace(catalogue=catalogue), LIMITS, executor,
            replies=RecentReplies(), observer=observer,
        )  # fmt: skip
        kinds = (pb.EVENT_KIND_VIEW, pb.EVENT_KIND_BUY, pb.EVENT_KIND_LIKE)
        events = [pb.Event(item_id=name, kind=kind) for name, kind in zip("aab", kinds, strict=True)]
        reply = await servicer.RecordEvents(pb.RecordEventsRequest(user_id="u", events=events), None)
    assert counted == ["buy"]
    assert looked_up == [{"a", "b"}]
    assert list(reply.unknown_item_ids) == ["b"]
