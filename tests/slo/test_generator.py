"""The generator against real servers: its times, both clocks, its lateness, several processes."""

import asyncio
import multiprocessing
import time
from collections import Counter

import numpy as np
import pytest

from domain.errors import WorkerLost
from slo.arrivals import Constant, Poisson, RateCurve
from slo.calls import CallKind, batch_call, embed_call, rank_call, text_call
from slo.generator import UNSENT, Generator, Sample, Share
from slo.grpc_target import GrpcTarget
from slo.plan import RunSettings, plan_arrivals, plan_callers
from slo.processes import GeneratorPool
from slo.recorder import Recorder, RunScope
from slo.report import clocks
from slo.rules import Slo
from slo.target import DEADLINE_EXCEEDED, OK, Reply
from slo.workload import make_workload
from tests.support.echo_server import Behaviour, grpc_server

CALLS = tuple(text_call(f"query {number}", 10, frozenset({"i2"})) for number in range(20))
WORKLOAD = make_workload(CALLS, {CallKind.TEXT: 1}, 0)


def share(offsets, **others):
    fields = {"deadline_s": 1.0, "in_flight_limit": 1000, "callers": 0, "duration_s": 5.0} | others
    starts_at_s = fields.pop("starts_at_s", time.monotonic() + 0.05)
    return Share(starts_at_s, offsets_s=np.array(offsets), calls=np.zeros(len(offsets), np.int64), **fields)


async def samples_of(connection, one_share, calls=CALLS):
    blocks = []
    await Generator(connection, calls, one_share).run(blocks.append)
    return [sample for block in blocks for sample in block.samples]


class Scripted:
    """A connection that answers after the time that a function gives for each call."""

    def __init__(self, seconds):
        self._seconds = seconds
        self.sent = 0

    async def send(self, call_index, timeout_s):
        self.sent += 1
        await asyncio.sleep(self._seconds(self.sent))
        return Reply(OK, item_ids=("i1", "i2"))

    async def close(self):
        pass


async def test_calls_go_out_when_they_are_due_though_none_has_come_back():
    samples = await samples_of(Scripted(lambda _: 0.3), share(np.arange(20) / 100))
    assert len(samples) == 20
    assert sorted(sample.intended_s for sample in samples) == pytest.approx(np.arange(20) / 100)
    for sample in samples:
        assert 0 <= sample.lag_s <= sample.sent_s - sample.intended_s + 1e-6 < 0.15
        assert sample.done_s - sample.sent_s >= 0.299 and sample.hits == (False, True)


async def test_a_late_generator_gives_up_what_is_past_its_deadline():
    connection = Scripted(lambda _: 0.0)
    late = share([0.0, 0.1, 1.95], starts_at_s=time.monotonic() - 2.0, deadline_s=1.0)
    samples = await samples_of(connection, late)
    assert Counter(sample.code for sample in samples) == {UNSENT: 2, OK: 1}
    assert connection.sent == 1 and max(sample.lag_s for sample in samples) >= 1.9


async def test_a_call_that_finds_no_place_until_its_deadline_is_not_answered():
    samples = await samples_of(Scripted(lambda _: 0.5), share([0.0, 0.01], deadline_s=0.3, in_flight_limit=1))
    assert [sample.code for sample in samples] == [OK, DEADLINE_EXCEEDED]
    assert samples[1].lag_s < 0.1  # the wait was not the generator's fault


async def test_callers_send_again_when_the_last_answer_is_back():
    calls = np.zeros(1000, np.int64)
    closed = Share(time.monotonic() + 0.05, 0.5, np.empty(0), calls, 1.0, 2, callers=2)
    samples = await samples_of(Scripted(lambda _: 0.05), closed)
    assert 10 <= len(samples) <= 22
    by_time = sorted(samples, key=lambda sample: sample.sent_s)
    for one, next_but_one in zip(by_time, by_time[2:], strict=False):
        assert next_but_one.sent_s >= one.done_s - 1e-3


def test_a_server_that_stands_still_shows_on_the_intended_clock_alone():
    """Coordinated omission: four places, so while the server stands still the other calls are not even sent."""
    settings = RunSettings(warm_up_s=0.0, deadline_s=5.0, in_flight_limit=4)
    plan = plan_arrivals(Constant(RateCurve.steady(150, 3.0)), WORKLOAD, settings, Slo())
    with (
        grpc_server(Behaviour(stall=(1.0, 1.0))) as address,
        GeneratorPool(GrpcTarget(address), WORKLOAD.calls, 1) as pool,
    ):
        measured = pool.run(plan, lambda row: None)
    intended, sent = measured.latency.intended, measured.latency.sent
    assert measured.answered_count == 450
    assert intended.percentile_ms(99) > 700
    assert sent.percentile_ms(98) < 300 < intended.percentile_ms(90)
    assert sent.percentile_ms(100) > 700  # the few that were on their way
    assert "coordinated omission" in clocks(measured)
    assert measured.lag.percentile_ms(50) < 100


def test_processes_share_a_run_and_send_every_call_once():
    plan = plan_arrivals(
        Poisson(RateCurve.steady(150, 2.0)), WORKLOAD, RunSettings(warm_up_s=0.5, deadline_s=5.0), Slo()
    )
    rows = []
    behaviour = Behaviour(fail_every=10, degrade_every=7)
    with grpc_server(behaviour) as address, GeneratorPool(GrpcTarget(address), WORKLOAD.calls, 2) as pool:
        first = pool.run(plan, rows.append)
        pool.run(plan, lambda row: None)
    assert first.call_count == plan.scope.offered_count == (plan.offsets_s >= 0.5).sum()
    assert set(first.codes) == {OK, "RESOURCE_EXHAUSTED"}
    assert first.error_share == pytest.approx(0.1, abs=0.03) and first.degraded_share == pytest.approx(1 / 7, abs=0.05)
    assert [row.second for row in rows] == list(range(len(rows)))
    assert sum(row.answered + row.failed for row in rows) == len(plan.offsets_s)
    assert first.relevance("mrr", 10) == 0.5
    assert 0 < first.generator_cores < 2


def test_a_late_generator_is_named_as_what_makes_the_clocks_differ():
    recorder = Recorder(RunScope(0.0, 5.0, 100), [CallKind.TEXT], [0])
    recorder.record(0, [Sample(0, 1.0, 1.05, 1.06, 0.05, OK, (), ())] * 100, 0)
    assert "generator itself took calls up late, by 50.0 ms" in clocks(recorder.measurement(0.1))


def test_closed_loop_callers_reach_what_the_places_allow():
    plan = plan_callers(4, 2.0, WORKLOAD, RunSettings(warm_up_s=0.5, deadline_s=5.0), Slo())
    with (
        grpc_server(Behaviour(service_s=0.05, places=2)) as address,
        GeneratorPool(GrpcTarget(address), WORKLOAD.calls, 1) as pool,
    ):
        measured = pool.run(plan, lambda row: None)
    assert measured.offered_rate is None and 15 < measured.answered_rate < 42  # 2 places / 50 ms
    assert "closed-loop" in clocks(measured)


def test_a_process_that_is_killed_ends_the_run_and_the_others():
    plan = plan_arrivals(Constant(RateCurve.steady(20, 20.0)), WORKLOAD, RunSettings(), Slo())
    before = set(multiprocessing.active_children())

    def kill_one(row):
        (set(multiprocessing.active_children()) - before).pop().kill()

    started_s = time.monotonic()
    with (
        grpc_server(Behaviour()) as address,
        pytest.raises(WorkerLost, match="a generator process ended"),
        GeneratorPool(GrpcTarget(address), WORKLOAD.calls, 2) as pool,
    ):
        pool.run(plan, kill_one)
    assert time.monotonic() - started_s < 18 and set(multiprocessing.active_children()) == before


def test_every_kind_of_call_is_answered_and_a_refused_entry_fails_its_batch():
    calls = (
        text_call("a", 3),
        embed_call("a"),
        rank_call("a", ["b", "c"], 10),
        batch_call(["a", "b"], 3),
        batch_call(["a", "refuse"], 3),
    )

    async def ask(address):
        connection = await GrpcTarget(address, channel_count=2).connect(calls)
        try:
            return [await connection.send(index, 5.0) for index in range(len(calls))]
        finally:
            await connection.close()

    with grpc_server(Behaviour(degrade_every=1)) as address:
        replies = asyncio.run(ask(address))
        gone = address
    assert [reply.code for reply in replies] == [OK, OK, OK, OK, "INVALID_ARGUMENT"]
    assert replies[0] == Reply(OK, ("DEGRADATION_REASON_ENCODER_UNAVAILABLE",), ("i1", "i2", "i3"))
    assert replies[3].degradations == ("DEGRADATION_REASON_ENCODER_UNAVAILABLE",)
    assert {reply.code for reply in asyncio.run(ask(gone))} == {"UNAVAILABLE"}
