import pytest

from slo.calls import CallKind
from slo.generator import UNSENT, Sample
from slo.recorder import Recorder, RunScope
from slo.rules import GoodputRule, LatencyRule, RelevanceRule, Slo
from slo.verdict import Outcome, judge


def measured(count=1000, *, slow=0, failed=0, degraded=0, lag_s=0.0, hits=(), unsent=0):
    """A run of ten seconds: calls of 10 ms, of which the last `slow` take 500."""
    scope = RunScope(0.0, 10.0, count, within_ms=100)
    recorder = Recorder(scope, [CallKind.TEXT, CallKind.EMBED], [1 if hits else 0, 0])
    samples = [
        Sample(
            call_index=place % 2,
            intended_s=1.0,
            sent_s=1.0,
            done_s=1.0 + (0.5 if place >= count - slow else 0.01),
            lag_s=lag_s,
            code="UNAVAILABLE" if place < failed else UNSENT if place < failed + unsent else "OK",
            degradations=("RANKER_UNAVAILABLE",) if failed <= place < failed + degraded else (),
            hits=hits,
        )
        for place in range(count)
    ]
    recorder.record(0, samples, 0)
    return recorder.measurement(0.1)


def outcome(slo, **run):
    return judge(slo, measured(**run)).outcome


@pytest.mark.parametrize(
    ("slo", "good", "bad"),
    [
        (Slo(latency=(LatencyRule(99, 50),)), {"slow": 10}, {"slow": 11}),
        (Slo(latency=(LatencyRule(50, 5),)), None, {}),
        (Slo(latency=(LatencyRule(99.9, 50),)), {"slow": 1}, {"slow": 2}),
        (Slo(latency=(LatencyRule(99, 50, CallKind.EMBED),)), {"slow": 10}, {"slow": 12}),
        (Slo(latency=(LatencyRule(99, 50, CallKind.RANK),)), None, {}),
        (Slo(), {"failed": 1}, {"failed": 2}),
        (Slo(error_share=0.01), {"failed": 10}, {"failed": 11}),
        (Slo(degraded_share=0.01), {"degraded": 10}, {"degraded": 11}),
        (Slo(goodput=GoodputRule(100, share=0.99)), {"slow": 10}, {"slow": 11}),
        (Slo(goodput=GoodputRule(100, per_second=99)), {"slow": 10}, {"slow": 11}),
        (Slo(relevance=(RelevanceRule("ndcg", 10, 0.6),)), {"hits": (False, True)}, {"hits": (False, False, True)}),
        (Slo(relevance=(RelevanceRule("mrr", 10, 0.5),)), {"hits": (False, True)}, {"hits": (False, False, True)}),
        (Slo(relevance=(RelevanceRule("recall", 10, 0.5),)), {"hits": (True,)}, {}),
    ],
)
def test_each_rule_holds_up_to_its_bound_and_is_broken_beyond(slo, good, bad):
    if good is not None:
        assert outcome(slo, **good) is Outcome.HOLDS
    assert outcome(slo, **bad) is Outcome.BROKEN


def test_one_broken_rule_is_enough_and_each_is_told():
    verdict = judge(Slo(latency=(LatencyRule(50, 50), LatencyRule(100, 50))), measured(slow=1))
    assert verdict.outcome is Outcome.BROKEN
    assert [finding.holds for finding in verdict.findings] == [True, False, True]
    assert verdict.findings[1].rule == "p100 at most 50 ms" and verdict.findings[1].measured.startswith("500")


def test_a_late_generator_is_not_judged_whatever_the_figures():
    slo = Slo(latency=(LatencyRule(99, 50),), lag_p99_ms=5)
    for slow in (0, 500):
        verdict = judge(slo, measured(slow=slow, lag_s=0.006))
        assert verdict.outcome is Outcome.NOT_JUDGED and "p99 of 6.0 ms, at most 5 ms" in verdict.reason
    assert judge(slo, measured(lag_s=0.004)).outcome is Outcome.HOLDS


def test_without_a_bound_a_tenth_of_the_p99_is_tolerable():
    assert outcome(Slo(), lag_s=0.0045) is Outcome.HOLDS
    assert outcome(Slo(), lag_s=0.006) is Outcome.NOT_JUDGED
    assert outcome(Slo(), lag_s=0.045, slow=100) is Outcome.HOLDS  # p99 500 ms


def test_calls_that_were_never_sent_are_not_judged():
    verdict = judge(Slo(error_share=1), measured(unsent=1))
    assert verdict.outcome is Outcome.NOT_JUDGED and "gave up 1 of 1,000" in verdict.reason


def test_no_calls_are_not_judged():
    assert outcome(Slo(), count=0) is Outcome.NOT_JUDGED


def test_nothing_answered_breaks_a_latency_rule():
    assert outcome(Slo(latency=(LatencyRule(99, 50),), error_share=1), failed=1000) is Outcome.BROKEN
