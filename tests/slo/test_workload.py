import json
from collections import Counter

import numpy as np
import pytest

from datafiles.judgements import SearchQuery
from domain.errors import ConfigurationError
from shortlist.v1 import embedding_pb2, ranker_pb2, recommender_pb2
from slo.calls import CallKind, embed_call, text_call
from slo.request_files import (
    CallSizes,
    calls_of_queries,
    read_histories,
    read_recording,
    read_texts,
    write_recording,
)
from slo.workload import make_workload, parse_mix

TEXTS = [text_call(f"query {number}", 10) for number in range(200)]
EMBEDS = [embed_call(f"text {number}") for number in range(5)]


def draw(workload, count, seed=0):
    return [workload.calls[index] for index in workload.draw(count, np.random.default_rng(seed))]


def test_the_mix_has_its_shares_and_the_same_seed_the_same_calls():
    workload = make_workload(TEXTS + EMBEDS, {CallKind.TEXT: 3, CallKind.EMBED: 1}, 0)
    drawn = Counter(call.kind for call in draw(workload, 8000))
    assert drawn[CallKind.TEXT] / 8000 == pytest.approx(0.75, abs=0.02)
    assert draw(workload, 50) == draw(workload, 50)
    assert draw(workload, 50) != draw(workload, 50, seed=1)


def test_without_popularity_every_call_comes_once_before_any_comes_twice():
    workload = make_workload(TEXTS, {CallKind.TEXT: 1}, 0)
    counts = Counter(call.text for call in draw(workload, 450))
    assert set(counts.values()) == {2, 3}
    assert sum(count == 3 for count in counts.values()) == 50


def test_popularity_follows_zipf():
    workload = make_workload(TEXTS, {CallKind.TEXT: 1}, 1.0)
    counts = sorted(Counter(call.text for call in draw(workload, 50_000)).values(), reverse=True)
    harmonic = sum(1 / rank for rank in range(1, 201))
    assert counts[0] / 50_000 == pytest.approx(1 / harmonic, rel=0.05)
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.15)


def test_the_popular_call_is_a_matter_of_the_seed():
    workload = make_workload(TEXTS, {CallKind.TEXT: 1}, 2.0)
    favourites = {Counter(call.text for call in draw(workload, 500, seed)).most_common(1)[0][0] for seed in range(5)}
    assert len(favourites) > 1


def test_a_kind_without_calls_is_refused_by_the_flag_that_is_missing():
    with pytest.raises(ConfigurationError, match="--histories"):
        make_workload(TEXTS, {CallKind.HISTORY: 1}, 0)
    with pytest.raises(ConfigurationError, match="at least one kind"):
        make_workload(TEXTS, {CallKind.TEXT: 0}, 0)


def test_a_mix_is_read_or_refused():
    assert parse_mix("text=0.8, history=0.2") == {CallKind.TEXT: 0.8, CallKind.HISTORY: 0.2}
    for text in ("search=1", "text=much", "text=-1", "text=nan"):
        with pytest.raises(ConfigurationError, match="--mix"):
            parse_mix(text)


def test_queries_become_calls_of_every_kind():
    queries = [SearchQuery(str(number), f"words {number}") for number in range(7)]
    sizes = CallSizes(k=5, batch=3, candidates=4)
    calls = calls_of_queries(queries, list(CallKind), sizes, {"2": frozenset({"a"})})
    kinds = Counter(call.kind for call in calls)
    assert kinds == {CallKind.TEXT: 7, CallKind.EMBED: 7, CallKind.BATCH: 3, CallKind.RANK: 7}
    first = {kind: next(call for call in calls if call.kind == kind) for kind in kinds}
    text = recommender_pb2.RecommendRequest.FromString(first[CallKind.TEXT].message)
    assert (text.text, text.k) == ("words 0", 5)
    rank = ranker_pb2.RankRequest.FromString(first[CallKind.RANK].message)
    assert [one.text for one in rank.candidates] == ["words 1", "words 2", "words 3", "words 4"]
    batch = recommender_pb2.BatchRecommendRequest.FromString(first[CallKind.BATCH].message)
    assert [one.text for one in batch.requests] == ["words 0", "words 1", "words 2"]
    assert embedding_pb2.EmbedRequest.FromString(first[CallKind.EMBED].message).role == 1
    assert [call.answers for call in calls if call.text == "words 2" and call.kind == CallKind.TEXT] == [{"a"}]


def test_one_query_can_be_ranked():
    assert calls_of_queries([SearchQuery("1", "alone")], [CallKind.RANK], CallSizes(), {})


def test_texts_are_read_line_by_line(tmp_path):
    file = tmp_path / "queries.txt"
    file.write_text("first\n\n second \n")
    assert read_texts(file) == (SearchQuery("1", "first"), SearchQuery("3", "second"))
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="no queries"):
        read_texts(file)


def test_users_files_are_histories(tmp_path):
    file = tmp_path / "users.jsonl"
    event = {"item_id": "i7", "kind": "buy", "time": "2026-04-11T22:05:04Z", "text": "nice"}
    file.write_text(json.dumps({"id": "u", "events": [event]}) + "\n" + json.dumps({"item_ids": ["i1", "i2"]}))
    first, second = read_histories(file, 3)
    message = recommender_pb2.RecommendRequest.FromString(first.message)
    assert message.events[0].item_id == "i7" and message.events[0].time.seconds == 1775945104 and message.k == 3
    assert second.item_ids == ("i1", "i2") and second.kind == CallKind.HISTORY


@pytest.mark.parametrize(
    "line", ['{"id": "u"}', '{"events": []}', '{"events": ["i7"]}', '{"events": [{"item_id": "i", "kind": "sniff"}]}']
)
def test_a_line_without_a_history_is_refused_by_its_number(tmp_path, line):
    file = tmp_path / "users.jsonl"
    file.write_text('{"item_ids": ["i1"]}\n' + line)
    with pytest.raises(ConfigurationError, match="line 2"):
        read_histories(file, 3)


def test_a_recording_gives_back_what_was_written(tmp_path):
    file = tmp_path / "calls.jsonl"
    sent = [text_call("青い鳥", 7), *calls_of_queries([SearchQuery("1", "a")], [CallKind.BATCH], CallSizes(), {})]
    write_recording(file, [0.25, 1.0], sent)
    read = read_recording(file)
    assert read.times_s.tolist() == [0.25, 1.0]
    assert [(call.kind, call.message) for call in read.calls] == [(call.kind, call.message) for call in sent]


def test_times_alone_are_a_recording(tmp_path):
    file = tmp_path / "times.jsonl"
    file.write_text('{"time": "2026-01-31T08:00:00Z", "rpc": "Recommend"}\n{"time": "2026-01-31T08:00:01.5Z"}\n')
    read = read_recording(file)
    assert read.calls == () and np.diff(read.times_s) == [1.5]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "at least one line"),
        ('{"when": 1}', "at_s"),
        ('{"at_s": 2}\n{"at_s": 1}', "line 2: its time lies before"),
        ('{"at_s": 1, "request": {"text": "a"}}\n{"at_s": 2}', "on every line or on none"),
        ('{"at_s": 1, "call": "text", "request": {"words": "a"}}', "RecommendRequest"),
        ('{"at_s": 1, "call": "sing", "request": {}}', "one of text"),
    ],
)
def test_a_broken_recording_is_refused(tmp_path, content, expected):
    file = tmp_path / "calls.jsonl"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=expected):
        read_recording(file)
