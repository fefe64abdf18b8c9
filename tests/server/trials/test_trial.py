import pytest

from domain.errors import InvalidRequest, ReleaseRejected
from server.trials.trial import TrialKind, TrialPlan, chosen_split

CALLERS = [f"user-{number}" for number in range(20_000)]


def split(bucket, share):
    return TrialPlan(f"release of {bucket}", TrialKind.SPLIT, share, bucket)


def test_shares_are_those_asked_for_and_a_caller_stays():
    splits = [split("a", 0.2), split("b", 0.5)]
    found = [chosen_split(splits, caller) for caller in CALLERS]
    for plan, share in ((splits[0], 0.2), (splits[1], 0.5), (None, 0.3)):
        assert found.count(plan) / len(CALLERS) == pytest.approx(share, abs=0.015)
    assert found == [chosen_split(splits, caller) for caller in CALLERS]


def test_a_later_split_leaves_the_callers_of_an_earlier_one():
    before = {caller for caller in CALLERS if chosen_split([split("a", 0.2)], caller)}
    plans = [split("a", 0.2), split("b", 0.8)]
    assert {caller for caller in CALLERS if chosen_split(plans, caller) is plans[0]} == before
    assert all(chosen_split(plans, caller) for caller in CALLERS)


def test_another_bucket_draws_other_callers():
    one, other = ({caller for caller in CALLERS if chosen_split([split(name, 0.5)], caller)} for name in ("a", "b"))
    assert len(one & other) / len(CALLERS) == pytest.approx(0.25, abs=0.015)


@pytest.mark.parametrize(
    ("plan", "others", "expected"),
    [
        (split("a", 0.0), [], InvalidRequest),
        (split("a", 1.1), [], InvalidRequest),
        (split("a", float("nan")), [], InvalidRequest),
        (split("live", 0.1), [], InvalidRequest),
        (split("a b", 0.1), [], InvalidRequest),
        (split("a", 0.1), [TrialPlan("x", TrialKind.SPLIT, 0.1, "a")], InvalidRequest),
        (split("a", 0.6), [split("b", 0.5)], InvalidRequest),
        (split("a", 0.1), [split("a", 0.1)], ReleaseRejected),
        (TrialPlan("x", TrialKind.SHADOW, 0.1), [TrialPlan("y", TrialKind.SHADOW, 0.1)], ReleaseRejected),
    ],
)
def test_a_plan_that_cannot_be_is_refused(plan, others, expected):
    with pytest.raises(expected):
        plan.check(others)


def test_a_plan_that_can_be_is_not():
    split("a", 0.5).check([split("b", 0.5), TrialPlan("x", TrialKind.SHADOW, 1.0)])
