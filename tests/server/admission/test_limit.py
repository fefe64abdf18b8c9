"""Admission in simulated time, and its invariants for any course of calls."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidRequest, Overloaded, QuotaExceeded
from server.admission.admission import Admission, Arrival, SilentAdmission
from server.admission.level import Criticality, ServiceLevel
from server.admission.limit import LimitSettings
from server.admission.quota import CallerQuotas, Quota
from tests.support.overloaded_server import Batching, Clock, simulate

NO_QUOTA = Quota(0, 1)
ENGINES = [Batching(), Batching(0.002, 0.001), Batching(0.005, 0.02)]
IDS = ["batches pay", "fast", "each text costs"]


def arrival(kind=Criticality.DEFAULT, remaining_s=1.0, **others):
    return Arrival(others.pop("caller", "one"), kind, remaining_s, **others)


def make(clock, limits=None, quota=NO_QUOTA, observer=None):
    return Admission(limits or LimitSettings(), quota, observer or SilentAdmission(), clock)


@pytest.mark.parametrize("engine", ENGINES, ids=IDS)
@pytest.mark.parametrize("load", [2, 3, 5])
def test_overload_costs_only_the_excess(engine, load):
    seconds = 12
    outcome = simulate(lambda _: load * engine.capacity, seconds, engine=engine, window=(3, seconds))
    assert outcome.in_window["full"] / (seconds - 3) >= 0.9 * engine.capacity
    settled = sorted(outcome.latencies_s[len(outcome.latencies_s) // 4 :])
    assert settled[len(settled) // 2] <= 0.6
    assert settled[int(0.99 * len(settled))] <= 0.85
    assert outcome.share(Criticality.DEFAULT, "words") <= 0.25


def test_half_of_the_capacity_is_answered_in_full():
    engine = Batching()
    outcome = simulate(lambda _: 0.5 * engine.capacity, 20, engine=engine)
    assert outcome.share(Criticality.DEFAULT, "full") == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_critical_calls_are_answered_at_twice_the_capacity(seed):
    engine = Batching()
    kinds = ((Criticality.CRITICAL, 1), (Criticality.SHEDDABLE, 1))
    outcome = simulate(lambda _: 2 * 0.85 * engine.capacity, 15, engine=engine, kinds=kinds, seed=seed)
    assert outcome.share(Criticality.CRITICAL, "full", "words") >= 0.999
    assert outcome.share(Criticality.SHEDDABLE, "full") >= 0.05


def test_it_is_normal_again_soon_after_an_overload():
    engine = Batching()
    outcome = simulate(lambda s: (4 if s < 8 else 0.6) * engine.capacity, 18, engine=engine, window=(13, 18))
    assert outcome.in_window["full"] >= 0.9 * 0.6 * 5 * engine.capacity


def test_a_stall_of_the_engine_is_survived():
    engine = Batching(slow=(5.0, 7.0, 20.0))
    outcome = simulate(lambda _: 0.7 * engine.capacity, 20, engine=engine, window=(12, 20))
    assert outcome.in_window["full"] >= 0.95 * 0.7 * 8 * engine.capacity
    assert min(limit for _, limit in outcome.limits) >= LimitSettings().least


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(Criticality), st.floats(0.001, 2), st.integers(1, 64), st.floats(0, 0.5), st.booleans()
        ),
        max_size=120,
    )
)
def test_any_course_of_calls(course):
    """The limit keeps its bounds, what is under way is never negative, and an idle gateway refuses nobody."""
    clock, seen = Clock(), []

    class Observer(SilentAdmission):
        def admission(self, limit, in_flight, level):
            seen.append((limit, in_flight))

    limits = LimitSettings(first=4.0, least=2.0, most=50.0)
    admission = make(clock, limits, observer=Observer())
    under_way = []
    for kind, remaining_s, units, pause_s, ends in course:
        clock.now_s += pause_s
        call = admission.admitted(arrival(kind, remaining_s, units=units))
        try:
            call.__enter__()
        except Overloaded as error:
            assert 0.1 <= error.retry_after_s <= 5.0
        else:
            under_way.append(call)
        if ends and under_way:
            under_way.pop(0).__exit__(None, None, None)
    for call in under_way:
        call.__exit__(None, None, None)
    assert all(limits.least <= limit <= limits.most and in_flight >= -1e-9 for limit, in_flight in seen)
    clock.now_s += 10
    for kind in Criticality:
        with admission.admitted(arrival(kind, units=64)):
            pass
    assert seen[-1][1] == pytest.approx(0)


def test_steps_come_in_order_before_a_refusal():
    clock = Clock()
    admission = make(clock, LimitSettings(first=4.0, least=4.0, most=4.0))
    held = [admission.admitted(arrival()) for _ in range(4)]
    assert [call.__enter__() for call in held] == [ServiceLevel.FULL] * 4
    levels = []
    for _ in range(5):  # words have a budget of their own
        with admission.admitted(arrival()) as level:
            levels.append(level)
    assert set(levels) == {ServiceLevel.WORDS_ONLY}
    with pytest.raises(Overloaded, match="more calls than it can answer") as refused:
        admission.admitted(arrival()).__enter__()
    assert not isinstance(refused.value, QuotaExceeded)
    with pytest.raises(Overloaded):  # what cannot be answered from words
        admission.admitted(arrival(by_words=False)).__enter__()
    with admission.admitted(arrival(Criticality.CRITICAL)) as level:
        assert level is ServiceLevel.FULL
    held.pop().__exit__(None, None, None)
    with admission.admitted(arrival()) as level:
        assert level is ServiceLevel.NO_EXPLANATIONS
    for call in held:
        call.__exit__(None, None, None)
    clock.now_s += 2.5
    with admission.admitted(arrival()) as level:
        assert level is ServiceLevel.FULL


def test_a_flood_of_sheddable_calls_leaves_others_the_full_service():
    clock = Clock()
    admission = make(clock, LimitSettings(first=10.0, least=10.0, most=10.0))
    with contextlib.ExitStack() as held:
        for _ in range(7):
            held.enter_context(admission.admitted(arrival(Criticality.SHEDDABLE)))
        for _ in range(20):
            clock.now_s += 0.2
            with pytest.raises(Overloaded):
                admission.admitted(arrival(Criticality.SHEDDABLE, by_words=False)).__enter__()
        with admission.admitted(arrival(caller="another")) as level:
            assert level is ServiceLevel.FULL


def test_a_call_that_would_be_late_is_refused_at_once():
    clock = Clock()
    admission = make(clock)
    for _ in range(20):
        with admission.admitted(arrival()):
            clock.now_s += 0.2
    with admission.admitted(arrival(remaining_s=1.0)):
        pass
    with pytest.raises(Overloaded, match="within the call's deadline"):
        admission.admitted(arrival(remaining_s=0.05, by_words=False)).__enter__()


def test_a_caller_who_has_most_under_way_waits_first():
    clock = Clock()
    admission = make(clock, LimitSettings(first=10.0, least=10.0, most=10.0))
    with admission.admitted(arrival(caller="small")):
        held = [admission.admitted(arrival(caller="greedy")) for _ in range(6)]
        for call in held:
            call.__enter__()
        with pytest.raises(Overloaded):
            admission.admitted(arrival(caller="greedy", by_words=False)).__enter__()
        with admission.admitted(arrival(caller="small")) as level:
            assert level is not ServiceLevel.WORDS_ONLY
        for call in held:
            call.__exit__(None, None, None)


class TestQuotas:
    def test_a_caller_gets_its_rate_and_others_theirs(self):
        clock = Clock()
        quotas, quota = CallerQuotas(clock), Quota(10.0, 5.0)
        taken = 0
        for _ in range(200):
            if quotas.wait_s("one", quota) == 0.0:
                quotas.take("one", quota)
                taken += 1
            clock.now_s += 0.01
        assert 24 <= taken <= 26  # 5 at once and 10 in each of two seconds
        assert quotas.wait_s("two", quota) == 0.0

    def test_the_hint_is_the_time_until_the_next_call(self):
        clock = Clock()
        admission = make(clock, quota=Quota(2.0, 1.0))
        with admission.admitted(arrival()):
            pass
        with pytest.raises(QuotaExceeded) as refused:
            admission.admitted(arrival()).__enter__()
        assert refused.value.retry_after_s == pytest.approx(0.5)
        clock.now_s += refused.value.retry_after_s
        with admission.admitted(arrival()):
            pass

    def test_what_is_refused_for_the_load_does_not_count(self):
        admission = make(Clock(), LimitSettings(first=1.0, least=1.0, most=1.0), Quota(1.0, 3.0))
        with admission.admitted(arrival()):
            for _ in range(5):
                with pytest.raises(Overloaded) as refused:
                    admission.admitted(arrival(by_words=False)).__enter__()
                assert not isinstance(refused.value, QuotaExceeded)
        for _ in range(2):
            with admission.admitted(arrival()):
                pass
        with pytest.raises(QuotaExceeded):
            admission.admitted(arrival()).__enter__()

    def test_many_callers_take_bounded_memory(self):
        quotas = CallerQuotas(Clock())
        for number in range(10_100):
            quotas.take(str(number), Quota(1.0, 1.0))
        assert len(quotas._buckets) == 10_000


def test_a_class_that_does_not_exist_is_named():
    with pytest.raises(InvalidRequest, match="critical, default, sheddable"):
        Criticality.parse("urgent")


def test_words_answer_while_an_engine_hangs():
    """Nothing ends, so the limit is full; ten calls a second are answered from words all the same."""
    clock = Clock()
    admission = make(clock, LimitSettings(first=4.0, least=4.0, most=4.0))
    for call in (held := [admission.admitted(arrival()) for _ in range(4)]):
        call.__enter__()
    answered = 0
    for _ in range(200):
        clock.now_s += 0.02
        with contextlib.suppress(Overloaded), admission.admitted(arrival()) as level:
            answered += level is ServiceLevel.WORDS_ONLY
    assert 40 <= answered <= 50
    for call in held:
        call.__exit__(None, None, None)


def test_a_call_without_units_is_never_refused_for_the_load_and_takes_no_place():
    clock, seen = Clock(), []

    class Observer(SilentAdmission):
        def admission(self, limit, in_flight, level):
            seen.append(in_flight)

    admission = make(clock, LimitSettings(first=2.0, least=2.0, most=2.0), Quota(1.0, 4.0), Observer())
    with admission.admitted(arrival()), admission.admitted(arrival()):
        for _ in range(2):
            with admission.admitted(arrival(units=0)) as level:
                assert level is ServiceLevel.FULL and seen[-1] == 2
        with pytest.raises(QuotaExceeded):
            admission.admitted(arrival(units=0)).__enter__()
