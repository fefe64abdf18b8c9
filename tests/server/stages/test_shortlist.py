"""The list of a request: one order for every length, pages, wishes, a caller's own candidates, least relevance."""

from dataclasses import replace

import numpy as np
import pytest

from core.ranking.blend import Blend
from domain.condition import AnyOf, Condition, Range
from domain.errors import InvalidRequest
from domain.event import Event, EventKind
from domain.interpretation import TextInterpretation
from domain.recommendation import Page, Source
from server.stages.cold_start import cold_start
from tests.support.served import HISTORY, REASONS, reasons, sources
from tests.support.trained import COUNT

pytestmark = pytest.mark.xdist_group("workshop")

OFF = TextInterpretation.OFF
REQUESTS = [
    {"text": "word3 word21"},
    {"events": HISTORY},
    {"text": "word3 word21", "events": HISTORY},
    {"text": "word3", "preferences": (Condition("category", AnyOf(frozenset({"word1"}))),)},
    {"events": HISTORY, "preferences": (Condition("price", Range(None, 9)),)},
    {"text": "\u6d77"},
    {"item_ids": ("item-07",), "tell_history": True},
]


def ids(answer):
    return [item.id for item in answer.items]


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("query", REQUESTS, ids="+".join)
async def test_a_shorter_list_begins_a_longer_one(served, query, trained):
    if not trained:
        served.without("collaborative", "next_item", "popular", user_tower=None, ranker=None, blend=Blend())
    longest = await served.ask(**query, k=COUNT)
    for k in (1, 2, 5, 10, 20, COUNT - 1):
        answer = await served.ask(**query, k=k)
        assert ids(answer) == ids(longest)[:k]
        assert [item.score for item in answer.items] == [item.score for item in longest.items[:k]]
    scores = [item.score for item in longest.items]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("query", REQUESTS, ids="+".join)
async def test_pages_continue_a_list(served, query):
    whole = await served.ask(**query, k=COUNT)
    found, page = [], None
    while True:
        answer = await served.ask(**query, k=7, page=page)
        assert [item.rank for item in answer.items] == list(range(len(found) + 1, len(found) + 1 + len(answer.items)))
        found += ids(answer)
        if answer.next_offset is None:
            break
        page = Page(answer.release_id, answer.next_offset)
    assert found == ids(whole)


async def test_a_page_of_another_release_is_refused(served):
    with pytest.raises(InvalidRequest, match="begin the list again"):
        await served.ask(text="word3", page=Page("elsewhere", 10))


async def test_without_personalization_a_text_keeps_its_own_order(served):
    alone = await served.ask(text="word3 word21", k=20)
    both = await served.ask(text="word3 word21", events=HISTORY, personalization=0.0, k=20)
    seen = {"item-03", "item-20", "item-31"}
    assert ids(both) == [name for name in ids(await served.ask(text="word3 word21", k=23)) if name not in seen][:20]
    assert [item.relevance for item in alone.items] == sorted((item.relevance for item in alone.items), reverse=True)


async def test_the_history_counts_the_more_the_more_is_asked_for(served):
    found = {}
    for share in (0.0, 0.5, 1.0):
        answer = await served.ask(text="word3 word21", events=HISTORY, personalization=share, k=COUNT)
        found[share] = {item.id: item.score for item in answer.items if item.relevance is not None}
    raised = [name for name in found[0.0] if found[0.5][name] > found[0.0][name] + 1e-6]
    assert raised
    for name in raised:
        assert found[1.0][name] - found[0.0][name] == pytest.approx(2 * (found[0.5][name] - found[0.0][name]), abs=1e-5)


class TestWishes:
    async def test_what_meets_them_comes_first_and_the_rest_follows(self, served):
        wish = Condition("category", AnyOf(frozenset({"word1"})))
        answer = await served.ask(text="word3", preferences=(wish,), interpretation=OFF, k=COUNT)
        meets = [int(item.id[-2:]) % 4 == 1 for item in answer.items]
        assert meets == sorted(meets, reverse=True)
        assert sum(meets) == sum(number % 4 == 1 for number in range(COUNT))
        assert len(answer.items) == COUNT

    async def test_of_several_those_that_meet_most_come_first(self, served):
        wishes = (Condition("category", AnyOf(frozenset({"word1"}))), Condition("price", Range(None, 20)))
        answer = await served.ask(text="word3", preferences=wishes, interpretation=OFF, k=COUNT)
        met = [(int(i.id[-2:]) % 4 == 1) + (int(i.id[-2:]) <= 20) for i in answer.items]
        assert met == sorted(met, reverse=True)

    async def test_one_that_nothing_meets_changes_nothing(self, served):
        wish = Condition("category", AnyOf(frozenset({"nothing"})))
        assert ids(await served.ask(text="word3", preferences=(wish,))) == ids(await served.ask(text="word3"))

    async def test_one_that_fits_no_attribute_is_refused(self, served):
        with pytest.raises(InvalidRequest) as refusal:
            await served.ask(text="word3", preferences=(Condition("colour", AnyOf(frozenset({"red"}))),))
        assert [violation.field for violation in refusal.value.violations] == ["preferences[0].attribute"]

    async def test_each_that_fits_no_attribute_is_named_by_its_place(self, served):
        red, cheap = AnyOf(frozenset({"red"})), Condition("price", Range(None, 20))
        wishes = (cheap, Condition("colour", red), cheap, Condition("price", red))
        with pytest.raises(InvalidRequest) as refusal:
            await served.ask(text="word1 word3", preferences=wishes)
        fields = [violation.field for violation in refusal.value.violations]
        assert fields == ["preferences[1].attribute", "preferences[3]"]


class TestCandidates:
    LISTED = ("item-44", "item-03", "item-07", "nowhere", "item-21")

    @pytest.mark.parametrize(
        "query", [{"text": "word3 word21"}, {"events": HISTORY}, {"text": "word7", "events": HISTORY}]
    )
    async def test_only_these_and_all_of_these(self, served, query):
        answer = await served.ask(**query, candidate_item_ids=self.LISTED, k=5)
        assert sorted(ids(answer)) == ["item-03", "item-07", "item-21", "item-44"]
        assert answer.unknown_item_ids == ("nowhere",)
        assert answer.shortfall_count == 1
        if "events" in query:
            choices = [item.choice_probability for item in answer.items]
            assert sum(choices) == pytest.approx(1, abs=1e-6)
            assert all(item.match_probability is not None for item in answer.items)
        if "text" in query:
            assert all(item.relevance is not None for item in answer.items)

    async def test_their_order_is_that_of_the_whole_list(self, served):
        whole = ids(await served.ask(text="word3 word21", k=COUNT))
        answer = await served.ask(text="word3 word21", candidate_item_ids=tuple(reversed(whole)), k=COUNT)
        assert ids(answer) == whole

    async def test_conditions_and_exclusions_hold(self, served):
        answer = await served.ask(
            text="word3",
            candidate_item_ids=("item-03", "item-07", "item-21"),
            exclude_item_ids=("item-03",),
            conditions=(Condition("price", Range(10, None)),),
        )
        assert ids(answer) == ["item-21"]

    async def test_none_of_this_catalogue(self, served):
        answer = await served.ask(text="word3", candidate_item_ids=("a", "b"), k=2)
        assert (answer.items, answer.shortfall_count, answer.unknown_item_ids) == ((), 2, ("a", "b"))


class TestRelevance:
    async def test_what_is_below_the_least_is_left_out(self, served):
        whole = await served.ask(text="word3 word21", k=COUNT)
        middle = whole.items[5].relevance
        answer = await served.ask(text="word3 word21", min_relevance=middle, k=COUNT)
        assert ids(answer) == [i.id for i in whole.items if i.relevance is not None and i.relevance >= middle]
        assert answer.shortfall_count == COUNT - len(answer.items)

    async def test_a_text_that_nothing_matches_says_so(self, served):
        answer = await served.ask(text="\u6d77", k=3)
        assert REASONS.NOTHING_RELEVANT in reasons(answer)
        assert len(answer.items) == 3
        assert Source.SEMANTIC_TEXT not in sources(answer)

    async def test_a_history_alone_has_none(self, served):
        answer = await served.ask(events=HISTORY)
        assert {item.relevance for item in answer.items} == {None}
        assert reasons(answer) == []


class TestUnderstood:
    """Wishes of the text itself: its words are the catalogue's values."""

    @pytest.mark.parametrize(
        ("text", "flagged"), [("word1", False), ("word21", True), ("word21, not word1", True), ("word21 word1", False)]
    )
    async def test_what_has_the_value_that_the_text_names_is_relevant(self, served, text, flagged):
        served.without(relevance=replace(served.release.data.relevance, floor=1.0))
        answer = await served.ask(text=text, k=3)
        assert (REASONS.NOTHING_RELEVANT in reasons(answer)) is flagged

    async def test_a_value_in_the_text_is_preferred(self, served):
        answer = await served.ask(text="word1", k=COUNT)
        meets = [int(item.id[-2:]) % 4 == 1 for item in answer.items]
        assert meets == sorted(meets, reverse=True)
        (wish,) = answer.interpretation.wishes
        assert wish.condition == Condition("category", AnyOf(frozenset({"word1"})))

    async def test_enforced_it_leaves_the_rest_out(self, served):
        answer = await served.ask(text="word1", interpretation=TextInterpretation.ENFORCE, k=COUNT)
        assert {int(item.id[-2:]) % 4 for item in answer.items} == {1}

    async def test_switched_off_nothing_is_understood(self, served):
        answer = await served.ask(text="word1 under 20", interpretation=OFF)
        assert not answer.interpretation
        assert answer.interpretation.search_text == "word1 under 20"

    async def test_a_number_bounds_and_an_order_sorts(self, served):
        answer = await served.ask(text="cheapest word90 under 20", k=5)
        prices = [int(item.id[-2:]) for item in answer.items]
        assert max(prices) <= 20
        alone = await served.ask(text="cheapest", k=5)
        assert [int(item.id[-2:]) for item in alone.items] == [0, 1, 2, 3, 4]


class TestDislikes:
    DISLIKE = Event("item-43", EventKind.DISLIKE)

    async def test_beside_a_text_they_count_as_much_as_a_history(self, served):
        """Item 23 is like the disliked one."""
        text = "word23 word71"
        places = []
        for share in (0.0, 0.5, 1.0):
            answer = await served.ask(text=text, events=(self.DISLIKE,), personalization=share, k=COUNT)
            places.append(next(item.score for item in answer.items if item.id == "item-23"))
        alone = await served.ask(text=text, k=COUNT)
        assert places[0] == pytest.approx(next(item.score for item in alone.items if item.id == "item-23"))
        assert places[0] > places[1] > places[2]

    async def test_without_personalization_a_text_keeps_its_own_order(self, served):
        text = "word3 word21"
        answer = await served.ask(text=text, events=(self.DISLIKE,), personalization=0.0, k=COUNT)
        alone = await served.ask(text=text, k=COUNT)
        assert ids(answer) == [name for name in ids(alone) if name != "item-43"]

    async def test_alone_they_push_down_what_is_popular_and_like_them(self, served):
        popular = ids(await served.ask(k=COUNT))
        answer = await served.ask(events=(self.DISLIKE,), k=COUNT)
        assert ids(answer).index("item-23") > popular.index("item-23") + 10
        assert ids(await served.ask(events=(self.DISLIKE,), k=5)) == ids(answer)[:5]


class TestNobody:
    """Callers of whom nothing is known."""

    @pytest.mark.parametrize("missing", [(), ("popular",)])
    async def test_one_order_for_every_length(self, served, missing):
        served.without(*missing)
        longest = await served.ask(k=COUNT)
        assert len(set(ids(longest))) == COUNT
        for k in (1, 5, 30, COUNT - 1):
            answer = await served.ask(k=k)
            assert ids(answer) == ids(longest)[:k]
            assert [item.score for item in answer.items] == [item.score for item in longest.items[:k]]
            assert all(item.provenance for item in answer.items)

    async def test_only_what_comes_back_is_made(self, served):
        ordered = cold_start(served.release, np.zeros(COUNT, bool), 7)
        assert len(ordered.candidates) == 7
