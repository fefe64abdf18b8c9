"""A caller's events, as the recommender reads them."""

from dataclasses import replace

import pytest

from core.ranking.blend import Blend
from domain.condition import Condition, Range
from domain.event import Event, EventKind
from domain.recommendation import Source
from server.stages import order
from tests.support.served import HISTORY, REASONS, reasons, sources
from tests.support.trained import COUNT

pytestmark = pytest.mark.xdist_group("workshop")


async def test_a_told_history_is_read_as_text_and_not_ranked(served):
    answer = await served.ask(events=HISTORY, tell_history=True)
    assert not sources(answer) & {Source.COLLABORATIVE, Source.NEXT_ITEM, Source.USER_TOWER}
    assert {item.match_probability for item in answer.items} == {None}


@pytest.mark.parametrize(
    "events", [(Event("unknown", EventKind.BUY),), (Event("item-02", EventKind.DISLIKE),)], ids=["unknown", "disliked"]
)
async def test_a_caller_of_whom_nothing_is_known_gets_what_is_popular(served, events):
    answer = await served.ask(events=events, explain=True, k=5)
    expected = [f"item-{row:02}" for row in range(6) if f"item-{row:02}" != events[0].item_id][:5]
    assert [item.id for item in answer.items] == expected
    assert sources(answer) == {Source.POPULAR}
    assert [item.score for item in answer.items] == sorted((item.score for item in answer.items), reverse=True)
    assert answer.items[0].explanation.text == "It was chosen by many."
    assert (REASONS.COLD_START in reasons(answer)) == (events[0].kind is EventKind.BUY)
    served.without("popular")
    answer = await served.ask(events=events, k=5)
    assert len(answer.items) == 5
    assert events[0].item_id not in {item.id for item in answer.items}


async def test_nothing_said_is_answered_by_what_is_popular(served):
    answer = await served.ask(k=COUNT)
    assert reasons(answer) == [REASONS.COLD_START]
    assert len(answer.items) == COUNT
    assert Source.POPULAR in {view.source for view in answer.items[0].provenance}
    wished = await served.ask(k=10, conditions=(Condition("price", Range(40, None)),))
    assert {int(item.id[-2:]) >= 40 for item in wished.items} == {True}


async def test_the_last_word_on_an_item_counts(served):
    like, dislike = Event("item-03", EventKind.LIKE, 1.0), Event("item-03", EventKind.DISLIKE, 2.0)
    view = Event("item-03", EventKind.VIEW, 3.0)
    served.without(ranker=None, user_tower=None)
    cold = await served.ask(events=(like, dislike, view), k=20)
    assert sources(cold) == {Source.POPULAR}
    liked = await served.ask(events=(dislike, replace(like, time_s=4.0)), k=20)
    assert Source.SEMANTIC_HISTORY in sources(liked)
    assert "item-03" not in {item.id for item in liked.items}


async def test_what_is_like_a_disliked_item_sinks(served):
    """Items 23 and 43 have a centred cosine of .93; 23 leads what is like 11."""
    served.without("collaborative", "next_item", "popular", ranker=None, user_tower=None, blend=Blend())
    liked = Event("item-11", EventKind.LIKE)
    before = [item.id for item in (await served.ask(events=(liked,), k=COUNT)).items]
    assert before[0] == "item-23"
    events = (liked, Event("item-43", EventKind.DISLIKE))
    after = [item.id for item in (await served.ask(events=events, k=COUNT)).items]
    assert after.index("item-23") >= 10
    assert "item-43" not in after


@pytest.mark.parametrize("with_ranker", [True, False])
async def test_only_candidates_that_come_back_are_made(served, monkeypatch, with_ranker):
    """And each list begins every longer one, whatever was made for it."""
    if not with_ranker:
        served.without(ranker=None)
    made = []

    def counted(function):
        def call(*arguments):
            made.append(function(*arguments))
            return made[-1]

        return call

    for name in ("candidates_of", "fuse"):
        monkeypatch.setattr(order, name, counted(getattr(order, name)))
    whole = await served.ask(events=HISTORY, k=COUNT)
    made.clear()
    few = await served.ask(events=HISTORY, k=4)
    assert few.items == whole.items[:4]
    assert [len(some) for some in made] == [5]
