"""Ranking requests: what is taken, and what is refused with its field."""

import math

import pytest

from domain.errors import InvalidRequest
from domain.event import Event, EventKind
from domain.recommendation import DEFAULT_PERSONALIZATION
from domain.text_ranking import RankQuery
from server.rpc.parse_rank import parse_rank
from server.settings import load_configuration
from shortlist.v1 import event_pb2
from shortlist.v1 import ranker_pb2 as pb

LIMITS = load_configuration(None, {}, {}).settings.request_limits()
BUY = event_pb2.EVENT_KIND_BUY
ONE = [{"text": "a kettle"}]


def parse(**fields):
    return parse_rank(pb.RankRequest(**{"candidates": ONE} | fields), LIMITS)


def test_a_query_alone_gets_the_defaults():
    assert parse(query="tea") == RankQuery(
        text="tea", candidates=("a kettle",), ids=("",), k=1, personalization=DEFAULT_PERSONALIZATION
    )


def test_every_field_is_taken():
    assert parse(
        query="tea",
        events=[{"item_id": "e", "kind": BUY, "item_title": "E"}],
        item_ids=["i"],
        candidates=[{"id": "x", "text": "one"}, {"text": "two"}, {"id": "y", "text": "two"}],
        k=2,
        personalization=0.0,
    ) == RankQuery(
        text="tea",
        events=(Event("e", EventKind.BUY, item_title="E"),),
        item_ids=("i",),
        candidates=("one", "two", "two"),
        ids=("x", "", "y"),
        k=2,
        personalization=0.0,
    )


def test_the_most_that_is_taken():
    many = [{"text": "x" * 8_192, "id": f"{number:0256}"} for number in range(1_000)]
    query = parse(query="x" * 8_192, candidates=many, item_ids=["i"] * 1_000, k=1_000, personalization=1.0)
    assert (len(query.candidates), query.k) == (1_000, 1_000)
    assert parse(query="海", candidates=[{"text": "海" * 2_730}]).candidates == ("海" * 2_730,)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"candidates": []}, {"candidates"}),
        ({"candidates": [{"text": "x"}] * 1_001}, {"candidates"}),
        ({"candidates": [{"text": "x"}, {"text": ""}]}, {"candidates[1].text"}),
        ({"candidates": [{"text": " \n\t\u3000"}]}, {"candidates[0].text"}),
        ({"candidates": [{"text": "x" * 8_193}]}, {"candidates[0].text"}),
        ({"candidates": [{"text": "海" * 2_731}]}, {"candidates[0].text"}),
        ({"candidates": [{"text": "a\0b"}]}, {"candidates[0].text"}),
        ({"candidates": [{"text": "a", "id": "x" * 257}]}, {"candidates[0].id"}),
        ({"candidates": [{"text": "a", "id": "x"}, {"text": "b", "id": "x"}]}, {"candidates"}),
        ({"query": ""}, {"query"}),
        ({"query": "  "}, {"query"}),
        ({"query": "x" * 8_193}, {"query"}),
        ({"query": "a\0b"}, {"query"}),
        ({"k": 0}, {"k"}),
        ({"k": -1}, {"k"}),
        ({"k": 2}, {"k"}),
        ({"personalization": -0.01}, {"personalization"}),
        ({"personalization": 1.01}, {"personalization"}),
        ({"personalization": math.nan}, {"personalization"}),
        ({"personalization": math.inf}, {"personalization"}),
        ({"item_ids": ["i"] * 1_001}, {"item_ids"}),
        ({"item_ids": ["i", ""]}, {"item_ids[1]"}),
        ({"item_ids": ["x" * 257]}, {"item_ids[0]"}),
        ({"events": [{"item_id": "e", "kind": BUY}] * 1_001}, {"events"}),
        ({"events": [{"item_id": "", "kind": BUY}]}, {"events[0].item_id"}),
        ({"events": [{"item_id": "e"}]}, {"events[0].kind"}),
        ({"k": 0, "personalization": 2, "query": " "}, {"k", "personalization", "query"}),
    ],
)
def test_each_field_out_of_range_is_named(fields, named):
    with pytest.raises(InvalidRequest) as refusal:
        parse(**{"query": "tea"} | fields)
    assert {violation.field for violation in refusal.value.violations} == named
    assert all(violation.description for violation in refusal.value.violations)


def test_no_more_violations_than_a_status_holds():
    with pytest.raises(InvalidRequest) as refusal:
        parse(query="tea", candidates=[{"text": " "}] * 100)
    assert len(refusal.value.violations) == 16
