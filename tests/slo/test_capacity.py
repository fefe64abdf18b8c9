import pytest

from slo.arrivals import Poisson, RateCurve
from slo.calls import CallKind, text_call
from slo.capacity import CapacitySearch, SearchSettings, Trial
from slo.grpc_target import GrpcTarget
from slo.plan import RunSettings, plan_arrivals
from slo.report import CapacityReport, capacity_sentence, outcome_of
from slo.rules import LatencyRule, Slo
from slo.session import LoadShape, Session
from slo.verdict import Outcome, Verdict
from slo.workload import make_workload
from tests.support.echo_server import Behaviour, grpc_server


class Knee:
    """A probe whose objectives hold below a rate; `moods` overrides outcomes by the number of the run."""

    def __init__(self, capacity, moods=None, confirming=None):
        self.capacity, self.moods, self.confirming = capacity, moods or {}, confirming
        self.rates = []

    def __call__(self, rate, confirms):
        self.rates.append((rate, confirms))
        limit = self.confirming if confirms and self.confirming else self.capacity
        natural = Outcome.HOLDS if rate <= limit else Outcome.BROKEN
        outcome = self.moods.get(len(self.rates), natural)
        return Trial(rate, None, Verdict(outcome, (), "late" if outcome is Outcome.NOT_JUDGED else ""), confirms)


def search(probe, **settings):
    return CapacitySearch(probe, SearchSettings(**settings)).run()


@pytest.mark.parametrize("capacity", [3.0, 20.0, 21.0, 137.0, 5000.0])
def test_the_capacity_is_found_to_the_resolution_and_confirmed(capacity):
    probe = Knee(capacity)
    found = search(probe, first_rate=20.0, resolution=0.05, most_trials=60)
    assert capacity / 1.05 <= found.rate <= capacity < found.broken_rate <= found.rate * 1.05
    assert probe.rates[-1] == (found.rate, True) and found.reason == ""


def test_one_bad_moment_does_not_break_a_rate():
    assert search(Knee(137.0, moods={2: Outcome.BROKEN}), most_trials=60).rate > 130


def test_a_rate_that_is_not_confirmed_is_stepped_down_from():
    found = search(Knee(137.0, confirming=90.0), most_trials=80)
    assert 90 / 1.2 < found.rate <= 90


def test_nothing_holds():
    found = search(Knee(0.0))
    assert found.rate is None and found.reason == "" and found.broken_rate < 1
    assert outcome_of(CapacityReport({}, found)) is Outcome.BROKEN
    assert "at no rate" in capacity_sentence(found)


def test_one_run_that_cannot_be_judged_is_made_again_and_three_end_the_search():
    assert search(Knee(137.0, moods={2: Outcome.NOT_JUDGED}), most_trials=60).rate > 130
    late = {number: Outcome.NOT_JUDGED for number in range(3, 99)}
    found = search(Knee(137.0, moods=late))
    assert found.rate is None and "at 80 calls/s late" in found.reason and len(found.trials) == 5
    assert outcome_of(CapacityReport({}, found)) is Outcome.NOT_JUDGED
    assert "held at 40.0" in capacity_sentence(found)


def test_the_number_of_runs_is_bounded():
    found = search(Knee(1e9), most_trials=10)
    assert len(found.trials) == 10 and found.rate is None and "10 runs" in found.reason


def test_a_capacity_below_the_least_is_broken():
    found = search(Knee(137.0), most_trials=60)
    report = CapacityReport({}, found)
    assert outcome_of(report, 100.0) is Outcome.HOLDS and outcome_of(report, 200.0) is Outcome.BROKEN


def test_the_knee_of_a_real_server_is_found():
    """Two places of 50 ms: 40 calls a second, beyond which the queue grows without end."""
    workload = make_workload([text_call("a", 3)], {CallKind.TEXT: 1}, 0)
    slo = Slo(latency=(LatencyRule(90, 300),), error_share=0.05, lag_p99_ms=1000)
    seen = []
    session = Session(workload, RunSettings(warm_up_s=0.3, deadline_s=1.0), slo, 1, lambda row: None)
    with grpc_server(Behaviour(service_s=0.05, places=2)) as address:
        found = session.find_capacity(
            GrpcTarget(address), LoadShape(1.1, poisson=False), SearchSettings(16.0, 1.0), seen.append
        )
    assert found.rate is not None and 16 <= found.rate <= 56, capacity_sentence(found)
    assert found.broken_rate is not None and found.broken_rate > 38
    assert seen == list(found.trials) and seen[-1].confirms


def test_the_plan_of_a_run_is_the_same_for_the_same_seed():
    workload = make_workload([text_call(str(one), 3) for one in range(9)], {CallKind.TEXT: 1}, 0.9)
    arrivals = Poisson(RateCurve.steady(50, 4))
    one, other = (plan_arrivals(arrivals, workload, RunSettings(seed=3), Slo()) for _ in range(2))
    assert one.offsets_s.tolist() == other.offsets_s.tolist() and one.calls.tolist() == other.calls.tolist()
