"""What the recommender does with the store of events: joins it, and goes on without it."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from domain.errors import InvalidRequest, NotServed, StoreUnavailable
from domain.event import Event, EventKind
from domain.recommendation import DegradationReason, RecommendQuery
from domain.user_history import Caller, Impression, SeenRule, UserHistory
from server.deadline import Deadline
from server.recommender import Recommender
from server.stages.stored import with_stored
from server.users.event_log import StoredUser
from server.users.settings import EventSettings

ANN = Caller("ann")
NOW_S = 1_800_000_000.0


class Log:
    settings = EventSettings("", "")

    def __init__(self, wait_s=0.0, error=None, stored=None):
        self.wait_s = wait_s
        self.error = error
        self.stored = stored or StoredUser()

    async def user(self, caller, token, *, with_shown):
        await asyncio.sleep(self.wait_s)
        if self.error is not None:
            raise self.error
        return self.stored


async def joined(log, deadline_s=1.0, **query):
    recommender = Recommender(lambda: None, None, 0.3, wordings=None, events=log)
    return await recommender._with_stored(RecommendQuery(caller=ANN, **query), Deadline.after(deadline_s))


async def test_a_slow_store_is_not_waited_for():
    started_s = time.monotonic()
    query, degradations = await joined(Log(wait_s=30), deadline_s=0.3, text="tea")
    assert time.monotonic() - started_s < 0.25
    assert (query.text, [one.reason for one in degradations]) == ("tea", [DegradationReason.USER_HISTORY_UNAVAILABLE])


async def test_remembering_what_is_shown_does_not_hold_up_the_reply():
    class Slow(Log):
        async def show(self, caller, item_ids):
            await asyncio.sleep(30)

    recommender = Recommender(lambda: None, None, 0.3, wordings=None, events=Slow())
    deadline = Deadline.after(0.3)
    degradations = await recommender._shown(RecommendQuery(caller=ANN), [SimpleNamespace(id="a")], deadline)
    assert deadline.remaining_s() > 0
    assert [one.reason for one in degradations] == [DegradationReason.USER_HISTORY_UNAVAILABLE]


async def test_a_store_that_is_away_degrades_and_another_stores_token_refuses():
    _, degradations = await joined(Log(error=StoreUnavailable("away")))
    assert [one.reason for one in degradations] == [DegradationReason.USER_HISTORY_UNAVAILABLE]
    with pytest.raises(InvalidRequest):
        await joined(Log(error=InvalidRequest()))
    with pytest.raises(NotServed):
        await joined(None, event_token="t")


def stored(*events, impressions=(), shown=()):
    return StoredUser(UserHistory(tuple(events), (), tuple(impressions)), frozenset(shown))


def test_what_is_kept_joins_what_is_passed_along():
    kept = Event("a", EventKind.BUY, NOW_S - 100, event_id="1")
    passed = (Event("b", EventKind.LIKE, NOW_S - 200), Event("a", EventKind.BUY, NOW_S - 100, event_id="1"))
    query = with_stored(RecommendQuery(events=passed), stored(kept), (), 60.0, NOW_S)
    assert [event.item_id for event in query.events] == ["b", "a"]


def test_rules_decide_what_of_it_may_return():
    events = [
        Event("bought", EventKind.BUY, NOW_S - 1e7),
        Event("viewed", EventKind.VIEW, NOW_S - 100),
        Event("long ago", EventKind.VIEW, NOW_S - 1e6),
        Event("passed", EventKind.VIEW, NOW_S - 1e6),
    ]
    rules = (SeenRule(EventKind.BUY), SeenRule(EventKind.VIEW, 86_400.0))
    query = RecommendQuery(events=(Event("passed", EventKind.VIEW),))
    assert with_stored(query, stored(*events), rules, 60.0, NOW_S).returnable_item_ids == {"long ago"}
    own = RecommendQuery(seen_rules=(SeenRule(EventKind.BUY, 0.0),))
    found = with_stored(own, stored(*events), rules, 60.0, NOW_S).returnable_item_ids
    assert found == {"bought", "viewed", "long ago", "passed"}


def test_what_was_shown_counts_until_it_is_touched_or_old():
    impressions = [Impression(item, NOW_S - age_s) for item, age_s in (("a", 10), ("a", 20), ("b", 10), ("c", 1e6))]
    touched = Event("b", EventKind.VIEW, NOW_S - 5)
    query = with_stored(RecommendQuery(), stored(touched, impressions=impressions, shown=["z"]), (), 60.0, NOW_S)
    assert dict(query.ignored) == {"a": 2}
    assert query.exclude_item_ids == ("z",)
