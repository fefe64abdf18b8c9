"""Overload over the real socket: the interceptor, admission and the batcher before an engine that is slow."""

from statistics import median

import pytest

from slo.arrivals import Poisson, RateCurve
from slo.calls import CallKind, text_call
from slo.grpc_target import GrpcTarget
from slo.plan import RunSettings, plan_arrivals
from slo.processes import GeneratorPool
from slo.rules import Slo
from slo.workload import make_workload
from tests.support.slow_engine import Engine, slow_gateway

WORKLOAD = make_workload((text_call("tea", 10, frozenset()),), {CallKind.TEXT: 1}, 0)


def run(pool, rate, seconds, warm_up_s):
    plan = plan_arrivals(Poisson(RateCurve.steady(rate, seconds)), WORKLOAD, RunSettings(warm_up_s=warm_up_s), Slo())
    return pool.run(plan, lambda row: None)


def full_rate(measured, seconds):
    return measured.answered_count * (1 - measured.degraded_share) / seconds


@pytest.fixture
def overloaded():
    engine = Engine()
    with slow_gateway(engine) as address, GeneratorPool(GrpcTarget(address), WORKLOAD.calls, 1) as pool:
        yield engine, pool


def test_at_three_times_the_capacity_the_excess_alone_is_refused_and_at_once(overloaded):
    """Beside what the engine and the event loop managed at the same time, on cores that others may use too.

    The figures of an idle machine, of C and in milliseconds, are `make chaos`'s.
    """
    engine, pool = overloaded
    run(pool, 3 * engine.capacity, 2.5, 1.0)  # until the limit has settled
    engine.forget()
    measured = run(pool, 3 * engine.capacity, 3.5, 0.0)
    assert full_rate(measured, 3.5) >= 0.8 * engine.capacity_now
    assert measured.codes["RESOURCE_EXHAUSTED"] > measured.answered_count
    refused_s = sorted(seconds for _, code, seconds in engine.ended if code == "RESOURCE_EXHAUSTED")
    late_s = sorted(engine.late_s)
    assert median(refused_s) <= 0.005 + median(late_s)
    # It is read, decided and written in a few turns of the loop.
    assert refused_s[int(0.95 * len(refused_s))] <= 0.010 + 2 * late_s[int(0.95 * len(late_s))]
    after = run(pool, 0.5 * engine.capacity_now, 3.0, 1.0)  # from one second after
    assert after.degraded_share + after.error_share <= 0.05
