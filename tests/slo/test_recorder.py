import base64

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from slo.calls import CallKind
from slo.generator import UNSENT, Sample
from slo.histogram import LatencyHistogram
from slo.recorder import Recorder, RunScope

KINDS = [CallKind.TEXT, CallKind.EMBED, CallKind.TEXT]


def sample(call=0, intended=1.0, latency=0.010, waited=0.0, code="OK", **others):
    fields = {"lag_s": 0.001, "degradations": (), "hits": ()} | others
    return Sample(call, intended, intended + waited, intended + latency, code=code, **fields)


def recorder(answer_counts=(0, 0, 0), **scope):
    fields = {"warm_up_s": 0.0, "duration_s": 10.0, "offered_count": 100} | scope
    return Recorder(RunScope(**fields), KINDS, answer_counts)


def recorded(samples, **others):
    one = recorder(**others)
    one.record(0, samples, 0)
    return one.measurement(0.5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(1e-6, 300), min_size=1, max_size=400), st.sampled_from([1, 25, 50, 90, 99, 99.9, 100]))
def test_percentiles_are_those_of_numpy_to_three_digits(seconds, percentile):
    histogram = LatencyHistogram()
    for start in range(0, len(seconds), 7):
        histogram.record(seconds[start : start + 7])
    expected = np.percentile(seconds, percentile, method="inverted_cdf") * 1e3
    assert histogram.percentile_ms(percentile) == pytest.approx(expected, rel=2e-3, abs=1e-3)
    assert histogram.count == len(seconds)
    assert histogram.max_ms() == pytest.approx(max(seconds) * 1e3, rel=2e-3, abs=1e-3)
    assert histogram.mean_ms() == pytest.approx(np.mean(seconds) * 1e3, rel=2e-3, abs=1e-3)


def test_other_tools_read_the_histogram():
    histogram = LatencyHistogram()
    histogram.record([0.001, 0.002, 0.5])
    base64.b64decode(histogram.encoded(), validate=True)
    read = HdrHistogram.decode(histogram.encoded())
    assert read.get_total_count() == 3 and read.get_value_at_percentile(100) == pytest.approx(500_000, rel=1e-3)


def test_nothing_recorded_has_no_percentile():
    assert np.isnan(LatencyHistogram().percentile_ms(99))


def test_the_warm_up_is_not_counted_but_shown():
    measured = recorded([sample(intended=0.5), sample(intended=2.5)], warm_up_s=2.0)
    assert measured.answered_count == 1 and measured.latency.intended.count == 1
    assert [row.answered for row in measured.seconds] == [2]
    assert measured.scope.counted_s == 8 and measured.answered_rate == 1 / 8


def test_both_clocks_and_every_kind():
    measured = recorded([sample(0, latency=0.5, waited=0.3), sample(1, latency=0.02)])
    assert measured.latency.intended.percentile_ms(100) == pytest.approx(500, rel=1e-3)
    assert measured.latency.sent.percentile_ms(100) == pytest.approx(200, rel=1e-3)
    assert measured.by_kind[CallKind.EMBED].intended.percentile_ms(50) == pytest.approx(20, rel=1e-3)
    assert measured.by_kind[CallKind.TEXT].intended.count == 1


def test_failures_have_no_latency_and_count_as_errors():
    measured = recorded([sample(), sample(code="UNAVAILABLE", latency=9.0), sample(code=UNSENT), sample()])
    assert measured.error_share == 0.5 and measured.unsent_count == 1
    assert measured.latency.intended.percentile_ms(100) < 11
    assert measured.codes == {"OK": 2, "UNAVAILABLE": 1, UNSENT: 1}


def test_good_answers_are_those_in_time():
    samples = [sample(latency=0.05), sample(latency=0.15), sample(latency=0.05, code="INTERNAL")]
    assert recorded(samples, within_ms=100).good_count == 1
    assert recorded(samples).good_count == 2


def test_what_the_request_brings_about_is_not_degraded():
    samples = [
        sample(degradations=("DEGRADATION_REASON_COLD_START",)),
        sample(degradations=("DEGRADATION_REASON_ENCODER_UNAVAILABLE", "DEGRADATION_REASON_TEXT_TRUNCATED")),
        sample(degradations=("SOMETHING_NEW",)),
        sample(),
    ]
    assert recorded(samples).degraded_share == 0.5
    assert recorded(samples, degradation_reasons=frozenset({"DEGRADATION_REASON_COLD_START"})).degraded_share == 0.25
    assert recorded(samples).degradations["DEGRADATION_REASON_TEXT_TRUNCATED"] == 1


def test_relevance_is_over_judged_replies():
    samples = [
        sample(0, hits=(True, False, True)),
        sample(0, hits=(False, True)),
        sample(0, hits=()),
        sample(1, hits=()),
        sample(0, hits=(True,), code="UNAVAILABLE"),
    ]
    measured = recorded(samples, answer_counts=(2, 0, 0))
    gains = [1 / np.log2(rank + 1) for rank in (1, 2, 3)]
    ideal = gains[0] + gains[1]
    assert len(measured.hits) == 3
    assert measured.relevance("ndcg", 10) == pytest.approx(
        np.mean([(gains[0] + gains[2]) / ideal, gains[1] / ideal, 0])
    )
    assert measured.relevance("recall", 10) == pytest.approx((1 + 0.5 + 0) / 3)
    assert measured.relevance("recall", 1) == pytest.approx(1 / 3)
    assert measured.relevance("hit_rate", 10) == pytest.approx(2 / 3)
    assert measured.relevance("mrr", 10) == pytest.approx((1 + 0.5) / 3)
    assert np.isnan(recorded([sample()]).relevance("ndcg", 10))
