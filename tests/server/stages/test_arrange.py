"""Arrangement of a list in the whole recommender: rules, pages, what a reply says of them."""

from dataclasses import replace

import numpy as np
import pytest

from core.retrieval.fresh import Dates, FreshSource
from domain.arrangement import Arrangement, ArrangementRule, Boost, Cap, Pin
from domain.condition import AnyOf, Condition, Range
from domain.errors import InvalidRequest
from domain.interpretation import TextInterpretation
from domain.recommendation import ItemMask, Page
from tests.support.served import HISTORY, REASONS, reasons
from tests.support.trained import COUNT

pytestmark = pytest.mark.xdist_group("workshop")

RULES = Arrangement(
    diversity=0.5,
    caps=(Cap("category", 2, 5),),
    pins=(Pin("item-09", 3),),
    boosts=(Boost(0.4, condition=Condition("price", Range(30, None))),),
    new_share=0.2,
    exploration=0.2,
    seed=7,
    novelty=0.2,
)
REQUESTS = [
    {"text": "word3 word21"},
    {"events": HISTORY},
    {"text": "word3 word21", "events": HISTORY},
    {"text": "word3", "preferences": (Condition("category", AnyOf(frozenset({"word1"}))),)},
    {},
]


def ids(answer):
    return [item.id for item in answer.items]


def with_fresh(served):
    """Adds the fresh source: a larger number of the id is a newer item."""
    sources = served.release.sources
    fresh = FreshSource(Dates(np.arange(COUNT, dtype=np.float64), np.zeros(COUNT, bool)))
    served.release = replace(served.release, sources=replace(sources, sources=(*sources.sources, fresh)))


@pytest.mark.parametrize("query", REQUESTS, ids="+".join)
async def test_a_shorter_arranged_list_begins_a_longer_one_and_pages_continue_it(served, query):
    with_fresh(served)
    longest = await served.ask(**query, k=COUNT, arrangement=RULES)
    assert len(set(ids(longest))) == len(longest.items) > 20
    assert ids(longest)[2] == "item-09"
    for k in (1, 2, 5, 20):
        assert ids(await served.ask(**query, k=k, arrangement=RULES)) == ids(longest)[:k]
    first = await served.ask(**query, k=7, arrangement=RULES)
    second = await served.ask(
        **query, k=7, arrangement=RULES, page=Page(first.release_id, first.next_offset, first.seed)
    )
    assert ids(first) + ids(second) == ids(longest)[:14]
    assert [item.rank for item in second.items] == list(range(8, 15))


async def test_an_empty_arrangement_changes_nothing(served):
    plain = await served.ask(text="word3 word21", k=20)
    none = await served.ask(text="word3 word21", k=20, arrangement=Arrangement(diversity=0.0, exploration=0.0))
    assert none.items == plain.items
    assert not any(item.arranged_by or item.ranked_place for item in plain.items)


async def test_a_pinned_item_says_so_and_what_may_not_be_recommended_is_named(served):
    pins = (Pin("item-40", 2), Pin("item-03", 1), Pin("nowhere", 4), Pin("item-20", 5))
    answer = await served.ask(
        events=HISTORY, k=5, explain=True, arrangement=Arrangement(pins=pins), exclude_item_ids=("item-50",)
    )
    assert ids(answer)[1] == "item-40"
    assert answer.items[1].arranged_by == (ArrangementRule.PIN,)
    assert answer.items[1].explanation.text.endswith("It is pinned to this place.")
    # Of the history, and unknown.
    assert set(answer.unplaced_item_ids) == {"item-03", "nowhere", "item-20"}
    assert answer.items[0].arranged_by == ()
    assert answer.items[0].ranked_place == 1


async def test_a_cap_holds_in_every_stretch_and_the_list_ends_where_it_permits_no_more(served):
    mask = ItemMask(frozenset(), frozenset({"category"}))
    arrangement = Arrangement(caps=(Cap("category", 2, 4),))
    answer = await served.ask(text="word3", k=20, item_mask=mask, arrangement=arrangement)
    values = [item.item.attributes["category"] for item in answer.items]
    assert len(values) == 20
    assert all(max(map(values[at : at + 4].count, values[at : at + 4])) <= 2 for at in range(17))
    held = await served.ask(text="word3", k=20, arrangement=Arrangement(caps=(Cap("category", 2),)))
    assert (len(held.items), held.shortfall_count, held.next_offset) == (8, 12, None)


async def test_boosts_move_what_was_found_and_scores_say_so(served):
    plain = await served.ask(text="word3 word21", k=COUNT)
    last = plain.items[9].id
    up = Arrangement(boosts=(Boost(1.0, (last,)),))
    boosted = await served.ask(text="word3 word21", k=COUNT, arrangement=up, explain=True)
    assert ids(boosted).index(last) < 9
    moved = boosted.items[ids(boosted).index(last)]
    assert moved.arranged_by == (ArrangementRule.BOOST,)
    assert "a boost moved it" in moved.explanation.text.lower()
    scores = [item.score for item in boosted.items]
    assert scores == sorted(scores, reverse=True)
    with pytest.raises(InvalidRequest) as refused:
        wrong = Boost(0.5, condition=Condition("colour", AnyOf(frozenset({"red"}))))
        await served.ask(text="word3", arrangement=Arrangement(boosts=(Boost(1.0, (last,)), wrong)))
    assert refused.value.violations[0].field == "arrangement.boosts[1].condition.attribute"


async def test_new_items_get_their_share_of_a_list_that_would_have_none(served):
    with_fresh(served)
    new = {f"item-{number}" for number in range(54, 60)}
    answer = await served.ask(events=HISTORY, k=12, arrangement=Arrangement(new_share=0.5), explain=True)
    found = ids(answer)
    for count in range(1, 13):
        assert len(new & set(found[:count])) >= count // 2
    brought = [item for item in answer.items if ArrangementRule.NEW in item.arranged_by]
    assert brought
    assert not answer.degradations


async def test_rules_without_effect_are_named(served):
    served.without("popular", "fresh")
    answer = await served.ask(events=HISTORY, arrangement=Arrangement(new_share=0.3, novelty=0.5))
    (limited,) = answer.degradations
    assert limited.reason == REASONS.ARRANGEMENT_LIMITED
    assert "novelty had no effect" in limited.detail
    assert "no item is known to be new" in limited.detail
    with_fresh(served)
    answer = await served.ask(events=HISTORY, k=20, arrangement=Arrangement(new_share=0.9))
    assert "too few new items" in answer.degradations[0].detail


async def test_draws_repeat_with_the_seed_that_the_reply_names(served):
    draws = Arrangement(exploration=0.5)
    first = await served.ask(events=HISTORY, k=20, arrangement=draws)
    other = await served.ask(events=HISTORY, k=20, arrangement=draws)
    assert first.seed != other.seed
    assert ids(first) != ids(other)
    again = await served.ask(events=HISTORY, k=20, arrangement=replace(draws, seed=first.seed))
    assert again.items == first.items
    page = Page(first.release_id, first.next_offset, first.seed)
    continued = await served.ask(events=HISTORY, k=5, arrangement=draws, page=page)
    whole = await served.ask(events=HISTORY, k=25, arrangement=replace(draws, seed=first.seed))
    assert ids(first) + ids(continued) == ids(whole)


async def test_novelty_moves_up_what_few_chose(served):
    shares = served.release.sources.get("popular").chosen_shares
    found = []
    for novelty in (0.0, 0.5, 1.0):
        answer = await served.ask(events=HISTORY, k=10, arrangement=Arrangement(novelty=novelty))
        rows = served.release.catalogue.rows_of(ids(answer)).values()
        found.append(float(np.mean(shares[list(rows)])))
    assert found[0] > found[1] >= found[2]
    assert any(ArrangementRule.NOVELTY in item.arranged_by for item in answer.items)


async def test_wishes_come_before_diversity(served):
    wish = (Condition("category", AnyOf(frozenset({"word1"}))),)
    mask = ItemMask(frozenset(), frozenset({"category"}))
    answer = await served.ask(
        text="word3",
        preferences=wish,
        interpretation=TextInterpretation.OFF,
        k=10,
        item_mask=mask,
        arrangement=Arrangement(diversity=1.0),
    )
    assert {item.item.attributes["category"] for item in answer.items} == {"word1"}
    assert reasons(answer) in ([], [REASONS.NOTHING_RELEVANT])
