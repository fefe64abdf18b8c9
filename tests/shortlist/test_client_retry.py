"""When a call is repeated, and when not."""

import asyncio
import threading

import grpc
import pytest

import shortlist
from shortlist import AsyncClient, Retry
from shortlist.retry import RetryBudget
from tests.support.fakes import Refusal, Relay

CODES = grpc.StatusCode
AWAY = Refusal(CODES.UNAVAILABLE, "away")


def test_a_call_is_repeated_once(client, gateway):
    gateway.plan = [AWAY]
    assert client.recommend("x", request_id="same").items
    assert [dict(one)["x-request-id"] for one in gateway.metadata] == ["same", "same"]


def test_a_call_is_not_repeated_twice(client, gateway):
    gateway.plan = [AWAY, AWAY]
    with pytest.raises(shortlist.Unavailable):
        client.recommend("x")
    assert len(gateway.requests) == 2


@pytest.mark.parametrize("call", ["batch_recommend", "embed"])
def test_the_other_calls_are_repeated_too(client, gateway, call):
    gateway.plan = [AWAY]
    given = ["x"] if call == "embed" else [shortlist.RecommendRequest("x")]
    assert getattr(client, call)(given)
    assert len(gateway.requests) == 2


@pytest.mark.parametrize(
    "code", [CODES.RESOURCE_EXHAUSTED, CODES.INVALID_ARGUMENT, CODES.INTERNAL, CODES.DEADLINE_EXCEEDED, CODES.ABORTED]
)
def test_other_failures_are_not_repeated(client, gateway, code):
    gateway.plan = [Refusal(code)]
    with pytest.raises(shortlist.ShortlistCallError):
        client.recommend("x")
    assert len(gateway.requests) == 1


def test_a_lost_connection_is_repeated(make_client, gateway):
    with Relay(gateway.address) as relay:
        client = make_client(relay.address, deadline_s=10.0)
        client.recommend("first")
        gateway.plan = [relay.drop]
        assert client.recommend("second").items
    assert [one.text for one in gateway.requests] == ["first", "second", "second"]


def test_a_gateway_that_came_back_is_found_again(make_client, gateway):
    client = make_client(gateway.address, deadline_s=10.0)
    client.recommend("x")
    gateway.stop()
    with pytest.raises(shortlist.Unavailable):
        client.recommend("x")
    gateway.start(gateway.address)
    for _ in range(100):
        try:
            assert client.recommend("x").items
            break
        except shortlist.Unavailable:
            threading.Event().wait(0.05)
    else:
        pytest.fail("the client did not find the gateway within 5 s of its return")


def test_no_repeat_where_none_is_wanted(make_client, gateway):
    gateway.plan = [AWAY]
    with pytest.raises(shortlist.Unavailable):
        make_client(gateway.address, deadline_s=5.0, retry=None).recommend("x")
    assert len(gateway.requests) == 1


def test_the_gateways_own_delay_must_fit_the_time_left(client, gateway):
    gateway.plan = [Refusal(CODES.UNAVAILABLE, retry_delay_s=60.0)]
    with pytest.raises(shortlist.Unavailable) as caught:
        client.recommend("x")
    assert caught.value.retry_delay_s == 60.0
    assert len(gateway.requests) == 1


def test_the_budget_bounds_repeats_over_all_calls(make_client, gateway):
    client = make_client(gateway.address, deadline_s=5.0, retry=Retry(burst_count=2, max_pause_s=0.0))
    gateway.plan = [AWAY] * 100
    for _ in range(30):
        with pytest.raises(shortlist.Unavailable):
            client.recommend("x")
    repeats = len(gateway.requests) - 30
    # Two to start with, and a tenth of what each of the 30 calls puts in (nothing while the bucket is full).
    assert repeats in (4, 5)


def test_a_cancelled_task_stays_cancelled(gateway):
    gateway.slow = True

    async def cancelled():
        async with AsyncClient(gateway.address, deadline_s=20.0) as client:
            task = asyncio.create_task(client.recommend("x"))
            while not gateway.requests:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancelled())


def test_a_pause_is_drawn_between_zero_and_the_most():
    budget = RetryBudget(Retry(burst_count=1000, max_pause_s=0.1))
    pauses_s = [budget.draw_pause_s(0.0, 1.0) for _ in range(200)]
    assert all(0.0 <= pause_s <= 0.1 for pause_s in pauses_s)
    assert max(pauses_s) - min(pauses_s) > 0.05


def test_a_repeat_without_time_left_costs_nothing():
    budget = RetryBudget(Retry(burst_count=1, max_pause_s=0.0))
    assert budget.draw_pause_s(0.5, 0.4) is None
    assert budget.draw_pause_s(0.0, 0.4) == 0.0
    assert budget.draw_pause_s(0.0, 0.4) is None


def test_calls_fill_the_budget_up_to_its_burst():
    budget = RetryBudget(Retry(budget_share=0.5, burst_count=1, max_pause_s=0.0))
    assert budget.draw_pause_s(0.0, 1.0) == 0.0
    budget.count_call()
    assert budget.draw_pause_s(0.0, 1.0) is None
    for _ in range(10):
        budget.count_call()
    assert budget.draw_pause_s(0.0, 1.0) == 0.0
    assert budget.draw_pause_s(0.0, 1.0) is None


@pytest.mark.parametrize(
    "settings", [{"budget_share": 1.5}, {"budget_share": -0.1}, {"burst_count": 0}, {"max_pause_s": -1.0}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Retry(**settings)
