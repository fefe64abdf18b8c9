import json
from dataclasses import replace

import numpy as np
import pytest

from core.events import EventSequence
from core.ranking.blend import (
    LIST_LENGTHS,
    Blend,
    ProxyBlend,
    ShortBlend,
    blend_scores,
    blended_list,
    history_order,
    list_length,
    score_candidates,
    weighted_sum,
)
from core.retrieval.popular import PopularSource
from core.retrieval.proxy_history import ProxyHistory
from core.retrieval.source import RecalledList, RecallSources, SourceQuery, SourceScores
from core.scaling import POPULATION, Population, ScoreScaler

ALL = np.arange(4)
EVENTS = EventSequence(np.array([0]), np.zeros(1, np.int64), np.zeros(1, np.float32))
PRIOR = PopularSource(np.log(np.array([0.1, 0.4, 0.3, 0.2], np.float32)))


class Fixed:
    """A source with these scores, mean 0 and spread 1."""

    reason = "it is fixed"

    def __init__(self, name, *scores, answers=True):
        self.name = name
        self._scores = np.array(scores, np.float32)
        self._answers = answers

    def can_answer(self, query):
        return self._answers and bool(len(query.events))

    def scores(self, query, rows, population):
        return SourceScores(self._scores[rows], ScoreScaler(0, 1, -5))


def sources(*more):
    return RecallSources((*more, PRIOR), Population.of(np.ones(4, bool)))


def test_weights_count_and_their_signs():
    both = sources(Fixed("a", 1, 2, 3, -np.inf), Fixed("b", 3, 1, 0, 0))
    query = SourceQuery(events=EVENTS)
    assert blend_scores(both, query, {"a": 1.0, "b": -0.5, "absent": 9.0}, ALL).tolist() == [-0.5, 1.5, 3, -5]
    assert blend_scores(both, query, {"b": 1.0}, np.array([2, 0])).tolist() == [0, 3]


def test_what_was_scored_once_serves_any_weights():
    both = sources(Fixed("a", 1, 2, 3, 4), Fixed("b", 3, 1, 0, 0))
    query = SourceQuery(events=EVENTS)
    scored = score_candidates(both.answering(query), query, ALL, both.population)
    assert list(scored) == ["a", "b", "popular"]
    for weights in ({"a": 1.0}, {"a": 0.5, "b": -2.0}, {"a": 1.0, "popular": 0.3}):
        assert np.array_equal(weighted_sum(scored, query, weights), blend_scores(both, query, weights, ALL))
    assert weighted_sum(scored, query, {"popular": 1.0}) is None
    assert weighted_sum(scored, query, {"absent": 1.0}) is None


def test_the_prior_alone_orders_nobodys_history_but_not_one_of_known_items():
    one = sources(Fixed("a", 1, 2, 3, 4, answers=False))
    weights = {"a": 1.0, "popular": 0.1}
    assert np.argsort(-blend_scores(one, SourceQuery(), weights, ALL)).tolist() == [1, 2, 3, 0]
    assert blend_scores(one, SourceQuery(events=EVENTS), weights, ALL) is None
    assert blend_scores(one, SourceQuery(), {"a": 1.0}, ALL) is None


def test_the_pool_is_what_sources_of_a_history_recalled():
    both = sources(Fixed("a", 1, 2, 3, 4), Fixed("semantic_text", 9, 9, 9, 9))
    lists = [
        RecalledList("a", np.array([1, 2]), np.zeros(2)),
        RecalledList("semantic_text", np.array([3]), np.zeros(1)),
        RecalledList("popular", np.array([0]), np.zeros(1)),
    ]
    query = SourceQuery(events=EVENTS)
    assert blended_list(both, query, Blend({"a": 1.0}), lists).rows.tolist() == [2, 1]
    assert blended_list(both, query, Blend({"a": 1.0, "popular": 1e-9}), lists).rows.tolist() == [2, 1, 0]
    assert blended_list(both, query, Blend({"a": 1.0, "popular": -1e-9}), lists).rows.tolist() == [2, 1]
    assert blended_list(both, query, Blend(), lists) is None
    assert blended_list(both, query, Blend({"a": 1.0}), lists[1:]) is None


def test_where_the_blend_cannot_order_reciprocal_ranks_do():
    both = sources(Fixed("a", 1, 2, 3, 4), Fixed("b", 1, 1, 1, 1))
    lists = [RecalledList("a", np.array([1, 2]), np.zeros(2)), RecalledList("b", np.array([2, 3]), np.zeros(2))]
    query = SourceQuery(events=EVENTS)
    assert history_order(both, query, Blend(), lists).rows.tolist() == [2, 1, 3]
    assert history_order(both, query, Blend(), lists[:1]).rows.tolist() == [1, 2]
    assert history_order(both, query, Blend(), []) is None
    assert history_order(both, query, Blend({"a": 1.0}), lists).rows.tolist() == [3, 2, 1]


def test_what_was_saved_is_read(tmp_path):
    blend = Blend({"user_tower": 1.0, "popular": -0.2}, {"user_tower": 30})
    proxy = replace(blend, proxy=ProxyBlend({"popular": 1.0, "collaborative": 0.1}, 20, 0.3))
    short = replace(proxy, short=ShortBlend({"popular": 1.0, "next_item": 1.0}, 3))
    for one in (blend, proxy, short):
        one.save(tmp_path / "blend.json")
        assert Blend.load(tmp_path / "blend.json") == one
    assert json.loads((tmp_path / "blend.json").read_text())["population"] == POPULATION
    assert short.source_names() == {"user_tower", "popular", "collaborative", "next_item"}


def test_short_and_proxy_histories_have_weights_of_their_own():
    blend = Blend({"user_tower": 1.0}, short=ShortBlend({"popular": 1.0}, 3), proxy=ProxyBlend({"next_item": 1}, 1, 1))

    def query(*rows):
        count = len(rows)
        return SourceQuery(events=EventSequence(np.array(rows), np.zeros(count, np.int64), np.zeros(count, np.float32)))

    queries = (query(1), query(1, 2, 3), query(1, 2, 3, 3, 1), query(1, 2, 3, 4))
    assert [blend.weights_for(one) for one in queries] == [{"popular": 1.0}] * 3 + [{"user_tower": 1.0}]
    assert replace(blend, short=None).weights_for(query(1)) == {"user_tower": 1.0}
    proxies = ProxyHistory(np.array([1]), np.ones(1))
    assert blend.weights_for(SourceQuery(proxy_history=proxies)) == {"next_item": 1}
    assert blend.weights_for(replace(query(1), proxy_history=proxies)) == {"popular": 1.0}


def test_list_lengths_grow_with_what_is_asked():
    assert [list_length(Blend(), name) for name in ("collaborative", "popular", "next_item")] == [200, 100, 100]
    assert list_length(Blend(), "popular", 400) == 400
    assert LIST_LENGTHS["popular"] == 50


@pytest.mark.parametrize(
    "content",
    [
        {"weights": {"a": "b"}},
        {"weights": {"a": float("nan")}},
        {"list_lengths": {"a": 0}},
        {"weights": 1},
        {"proxy": 1},
        {"short": 1},
        {"population": "everything"},
        {"population": None},
        {"short": {"weights": {}}},
        {"short": {"weights": {"a": "b"}, "most_events": 3}},
        {"short": {"weights": {}, "most_events": 0}},
        {"proxy": {"weights": {}, "nearest": 5}},
        {"proxy": {"weights": {"a": "b"}, "nearest": 5, "temperature": 1}},
        {"proxy": {"weights": {}, "nearest": 0, "temperature": 1}},
        {"proxy": {"weights": {}, "nearest": 5, "temperature": 0}},
        {"proxy": {"weights": {}, "nearest": 5, "temperature": True}},
    ],
)
def test_anything_else_is_refused(tmp_path, content):
    whole = {"population": POPULATION, "weights": {}, "list_lengths": {}}
    (tmp_path / "blend.json").write_text(json.dumps(whole))
    assert Blend.load(tmp_path / "blend.json") == Blend({}, {})
    (tmp_path / "blend.json").write_text(json.dumps({**whole, **content}))
    with pytest.raises(ValueError, match=r"blend\.json"):
        Blend.load(tmp_path / "blend.json")


@pytest.mark.parametrize("content", ["[1]", '{"user_tower": 1}', '{"weights": {}}'])
def test_another_format_is_refused(tmp_path, content):
    (tmp_path / "blend.json").write_text(content)
    with pytest.raises(ValueError, match=r"blend\.json"):
        Blend.load(tmp_path / "blend.json")
