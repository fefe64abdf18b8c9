"""Words and meaning give a text's order; history and comments refine it."""

from dataclasses import replace

import numpy as np
import pytest

from core.aspects.extract import ASPECTS
from core.ranking.blend import Blend
from core.retrieval.source import SourceQuery
from server.stages.recall import RecalledList
from server.stages.text_order import TextRequest, order_candidates, strength_of, text_candidates
from tests.support.counted_source import Counted, with_sources
from tests.support.served import HISTORY, REASONS, reasons
from tests.support.trained import COUNT

pytestmark = pytest.mark.xdist_group("workshop")

TEXT = "word3 word21"
STRENGTH = 0.08
COMPLAINT = (*HISTORY[:2], replace(HISTORY[2], comment="far too expensive, not worth the price"))


def with_reviews(served, **prices):
    """Reviews that praise or blame the price of some items."""
    matrix = np.zeros((COUNT, len(ASPECTS)), np.float32)
    for name, score in prices.items():
        matrix[int(name.removeprefix("item")), ASPECTS.index("price")] = score
    served.without(ranker=None, user_tower=None, aspects=matrix)


def scores(answer):
    return {item.id: item.score for item in answer.items if item.relevance is not None}


async def test_each_source_of_the_history_scores_the_candidates_once(served):
    weighted, unweighted = Counted("weighted"), Counted("unweighted")
    served.without(ranker=None, user_tower=None, blend=Blend({"weighted": 1.0}))
    with_sources(served, weighted, unweighted)
    answer = await served.ask(text=TEXT, events=HISTORY, k=5)
    assert (weighted.scored, unweighted.scored) == (1, 1)
    found = {view.source for item in answer.items for view in item.provenance}
    assert {"weighted", "unweighted"} <= found


@pytest.mark.parametrize("personalization", [0.5, 1.0])
async def test_comments_count_beside_a_text(served, personalization):
    with_reviews(served)
    before = await served.ask(text=TEXT, events=COMPLAINT, k=COUNT, personalization=personalization)
    praised, blamed = before.items[8].id, before.items[1].id
    with_reviews(served, **{praised.replace("-", ""): 0.9, blamed.replace("-", ""): -0.9})
    after = await served.ask(text=TEXT, events=COMPLAINT, k=COUNT, personalization=personalization)
    was, now = scores(before), scores(after)
    changed = {name for name in was if abs(now[name] - was[name]) > 1e-6}
    assert changed == {praised, blamed}
    assert now[praised] > was[praised]
    assert now[blamed] < was[blamed]
    places = [[item.id for item in answer.items].index(praised) for answer in (before, after)]
    assert places[1] < places[0]
    assert max(abs(now[name] - was[name]) for name in changed) <= 2 * personalization * STRENGTH + 1e-6


async def test_comments_alone_count_and_not_without_personalization(served):
    item = replace(HISTORY[0], item_id="elsewhere", comment="far too expensive, not worth the price")
    with_reviews(served)
    plain = await served.ask(text=TEXT, events=(item,), k=COUNT)
    name = plain.items[5].id
    with_reviews(served, **{name.replace("-", ""): 1.0})
    assert scores(await served.ask(text=TEXT, events=(item,), k=COUNT))[name] > scores(plain)[name]
    assert scores(await served.ask(text=TEXT, events=(item,), k=COUNT, personalization=0))[name] == scores(plain)[name]


async def test_the_best_relevance_is_of_all_candidates_not_of_those_returned(served):
    """What the history puts first may fit the text worse than what comes second."""
    served.without(ranker=None, user_tower=None, blend=Blend({"weighted": 1.0}, history_strength=5.0))
    with_sources(served, Counted("weighted"))
    request = TextRequest(SourceQuery(text_vector=served.release.data.index.vectors[0], events=events()))
    rows = np.arange(COUNT)
    lists = (RecalledList("lexical", rows, np.zeros(COUNT)),)
    first = order_candidates(request, lists, text_candidates(request, rows, served.release), served.release, 1)
    assert first.candidates[0].row != 0
    assert first.best_relevance > first.relevance[0]
    none = text_candidates(request, np.empty(0, np.int64), served.release)
    nothing = order_candidates(request, (), none, served.release, 1)
    assert (nothing.candidates, nothing.best_relevance) == ([], None)


async def test_something_relevant_behind_the_first_page_is_not_nothing_relevant(served):
    scale = served.release.data.relevance
    served.without(ranker=None, user_tower=None, blend=Blend({"weighted": 1.0}, history_strength=5.0))
    with_sources(served, Counted("weighted"))
    best = (await served.ask(text=TEXT, events=HISTORY, k=1, personalization=0)).items[0].relevance
    first = (await served.ask(text=TEXT, events=HISTORY, k=1)).items[0].relevance
    assert first < best
    for floor, expected in (((first + best) / 2, []), ((1 + best) / 2, [REASONS.NOTHING_RELEVANT])):
        served.without(relevance=replace(scale, floor=floor))
        assert reasons(await served.ask(text=TEXT, events=HISTORY, k=1)) == expected


async def test_the_release_says_how_words_and_meaning_count(served):
    plain = scores(await served.ask(text=TEXT, k=COUNT))
    scale = served.release.data.relevance
    blend = replace(scale.blend, title_coverage=scale.blend.title_coverage + 1)
    served.without(relevance=replace(scale, blend=blend))
    changed = scores(await served.ask(text=TEXT, k=COUNT))
    gain = {name: changed[name] - plain[name] for name in plain}
    assert gain["item-03"] == max(gain.values()) > 0.4
    assert min(gain.values()) >= -1e-6


def test_strength_follows_what_the_caller_asks_for():
    blend = Blend(history_strength=0.06)
    assert [strength_of(share, blend) for share in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0, 0.03, 0.06, 0.12])


def events():
    from core.events import EventSequence

    return EventSequence(np.array([3]), np.zeros(1, np.int64), np.zeros(1, np.float32))
