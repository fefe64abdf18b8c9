import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import ConfigurationError
from slo.arrivals import Constant, Poisson, RateCurve, Recorded

POINTS = st.lists(
    st.tuples(st.floats(0.1, 20), st.one_of(st.just(0.0), st.floats(0.01, 500))), min_size=1, max_size=5
).filter(lambda points: any(rate > 0 for _, rate in points))


def curve_of(points, first):
    times = np.cumsum([0.0, *(length for length, _ in points)])
    return RateCurve(tuple(times), (first, *(rate for _, rate in points)))


def rate_at(curve, seconds):
    return np.interp(seconds, curve.times_s, curve.rates)


def count_until(curve, seconds):
    """L(t) by fine trapezoids, exact for a curve that is linear between its points."""
    knots = np.unique([*[one for one in curve.times_s if one < seconds], 0.0, seconds])
    return np.trapezoid(rate_at(curve, knots), knots)


@settings(max_examples=100, deadline=None)
@given(POINTS, st.floats(0, 300), st.floats(0, 0.999))
def test_the_time_of_a_count_is_the_inverse_of_the_expected_count(points, first, share):
    curve = curve_of(points, first)
    count = share * curve.expected_count
    seconds = curve.times_of(np.array([count]))[0]
    assert 0 <= seconds <= curve.duration_s
    assert count_until(curve, seconds) == pytest.approx(count, rel=1e-6, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(POINTS, st.floats(0, 300), st.integers(0, 2**32))
def test_arrivals_ascend_within_the_run_and_repeat_by_seed(points, first, seed):
    curve = curve_of(points, first)
    for arrivals in (Constant(curve), Poisson(curve)):
        offsets = arrivals.offsets_s(np.random.default_rng(seed))
        assert (np.diff(offsets) >= 0).all()
        assert ((offsets >= 0) & (offsets <= arrivals.duration_s)).all()
        assert np.array_equal(offsets, arrivals.offsets_s(np.random.default_rng(seed)))


def test_constant_pacing_is_even_and_a_ramp_gets_denser():
    even = Constant(RateCurve.steady(50, 2)).offsets_s(np.random.default_rng(0))
    assert np.allclose(even, np.arange(100) / 50)
    ramp = Constant(RateCurve.parse("0..100", 10)).offsets_s(np.random.default_rng(0))
    assert len(ramp) == 500
    assert np.allclose(ramp, np.sqrt(np.arange(500) / 5))  # L(t) = 5 t^2


def test_poisson_counts_and_gaps_have_the_rate():
    curve = RateCurve.parse("0:10,50:200,100:200", 100)
    counts = [len(Poisson(curve).offsets_s(np.random.default_rng(seed))) for seed in range(200)]
    mean, expected = np.mean(counts), curve.expected_count
    assert abs(mean - expected) < 4 * np.sqrt(expected / 200)
    assert 0.7 < np.var(counts) / expected < 1.4  # a Poisson count: variance is the mean
    steady = Poisson(RateCurve.steady(500, 60)).offsets_s(np.random.default_rng(1))
    gaps = np.diff(steady)
    assert np.mean(gaps) == pytest.approx(1 / 500, rel=0.03)
    assert np.std(gaps) == pytest.approx(np.mean(gaps), rel=0.05)  # exponential gaps
    in_ramp = Poisson(curve).offsets_s(np.random.default_rng(2))
    assert (in_ramp < 25).sum() == pytest.approx(count_until(curve, 25), rel=0.15)


def test_two_seeds_differ():
    curve = RateCurve.steady(100, 5)
    one, other = (Poisson(curve).offsets_s(np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.array_equal(one[:50], other[:50])


def test_a_replay_keeps_the_gaps_and_the_speed_divides_them():
    times = np.array([100.0, 100.5, 103.0])
    assert Recorded(times).offsets_s(np.random.default_rng(0)).tolist() == [0, 0.5, 3]
    fast = Recorded(times, speed=2)
    assert fast.offsets_s(np.random.default_rng(0)).tolist() == [0, 0.25, 1.5]
    assert 1.5 < fast.duration_s < 1.51


@pytest.mark.parametrize(
    "text", ["fast", "-3", "0", "1..x", "5:10,9:20", "0:10", "0:5,3:5,2:5", "0:0,5:0", "nan", "inf", ""]
)
def test_a_rate_that_cannot_be_is_refused_by_its_words(text):
    with pytest.raises(ConfigurationError, match="give a rate"):
        RateCurve.parse(text, 10)


def test_the_three_ways_to_write_a_rate():
    assert RateCurve.parse("20", 5) == RateCurve((0.0, 5), (20.0, 20.0))
    assert RateCurve.parse("20..80", 5) == RateCurve((0.0, 5), (20.0, 80.0))
    assert RateCurve.parse("0:20,3:80,9:80", 5) == RateCurve((0.0, 3.0, 9.0), (20.0, 80.0, 80.0))
