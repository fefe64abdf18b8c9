"""The stage trace adds up what came one after another, and counts what ran at once only once."""

import asyncio
import threading
import time
from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.recommendation import Recommendation, StageTimes
from server.observability.metrics import Metrics
from server.trace import STAGES, Trace


def test_the_stages_are_those_of_the_reply():
    assert [f"{name}_s" for name in STAGES] == [field.name for field in fields(StageTimes)]


def test_a_block_is_timed_also_where_it_fails():
    trace = Trace()
    with pytest.raises(KeyError), trace.stage("recall"):
        time.sleep(0.02)
        raise KeyError
    assert 0.02 <= trace.times().recall_s < 1
    assert trace.times().rank_s == 0


def test_spans_that_follow_one_another_add_up():
    trace = Trace()
    trace.record("rank", 1, 2)
    trace.record("rank", 5, 5.5)
    trace.record("rank_triton", 3, 4)
    assert trace.times() == StageTimes(rank_s=1.5, rank_triton_s=1)


def test_spans_at_once_count_once():
    trace = Trace()
    for started_s, ended_s in ((3, 4), (1, 5), (4.5, 6), (6, 7)):
        trace.record("triton", started_s, ended_s)
    assert trace.seconds("triton") == 6


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10))))
def test_a_stage_is_open_as_long_as_one_of_its_spans(spans):
    trace = Trace()
    for started, length in spans:
        trace.record("triton", started, started + length)
    assert trace.seconds("triton") == len({tick for start, length in spans for tick in range(start, start + length)})


async def test_nested_stages_of_tasks_at_once():
    trace = Trace()

    async def ask():
        with trace.stage("triton"):
            await asyncio.sleep(0.02)

    with trace.stage("represent"):
        await asyncio.gather(ask(), ask(), ask())
    assert 0.015 < trace.seconds("triton") <= trace.seconds("represent")


def test_stages_of_threads():
    trace = Trace()

    def work():
        for _ in range(100):
            with trace.stage("recall"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trace.seconds("recall") > 0


def test_a_stage_that_does_not_exist_is_refused():
    with (
        pytest.raises(ValueError, match='"recal" is not a stage; expected one of parse, user, represent'),
        Trace().stage("recal"),
    ):
        pass


def test_the_times_are_a_value():
    trace = Trace()
    times = trace.times()
    trace.record("recall", 0, 1)
    assert times == StageTimes()
    with pytest.raises(FrozenInstanceError):
        times.recall_s = 1.0


def test_a_stage_that_did_not_run_has_no_sample():
    metrics = Metrics()
    trace = Trace()
    trace.record("queue", 0, 0.25)
    metrics.recommended(Recommendation((), "r1", trace.times()))
    samples = {
        sample.labels["stage"]: sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "shortlist_stage_seconds_sum"
    }
    assert samples == {"queue": 0.25}
