"""Scenes in the whole recommender: their sources, their fallback lists, and the sources that only they name."""

from dataclasses import replace

import numpy as np
import pytest

from core.events import EventSequence
from core.retrieval.category_popular import CategoryPopularSource, ItemCategories, names_categories
from core.retrieval.fresh import Dates, FreshSource, appeared_later, dates_of
from core.retrieval.source import SourceQuery
from core.retrieval.trending import Trends
from domain.item import AttributeType
from domain.recommendation import Source
from domain.scene import FallbackList
from server.release.trending import TrendingView
from tests.support.served import HISTORY, REASONS, reasons, sources
from tests.support.trained import COUNT

pytestmark = pytest.mark.xdist_group("workshop")


def ids(answer):
    return [item.id for item in answer.items]


async def test_a_history_is_looked_up_in_the_sources_of_its_scene(served):
    found = await served.ask(events=HISTORY, k=5, sources=frozenset({"collaborative"}))
    assert set(found.recalled_counts) == {"collaborative"}
    both = await served.ask(events=HISTORY, k=5, sources=frozenset({"collaborative", "category_popular"}))
    assert set(both.recalled_counts) == {"collaborative", "category_popular"}
    # A text has sources of its own.
    text = await served.ask(text="word3", events=HISTORY, k=5, sources=frozenset({"collaborative"}))
    assert set(text.recalled_counts) == {"semantic_text", "lexical"}
    plain = await served.ask(events=HISTORY, k=5)
    assert Source.CATEGORY_POPULAR not in plain.recalled_counts


async def test_a_caller_of_whom_nothing_is_known_gets_the_fallback_list(served):
    listed = FallbackList("best", ("item-07", "nowhere", "item-40", "item-01"))
    answer = await served.ask(k=6, fallback=listed, exclude_item_ids=("item-40",))
    assert ids(answer)[:2] == ["item-07", "item-01"]
    assert len(answer.items) == 6
    (cold,) = answer.degradations
    assert cold.reason == REASONS.COLD_START
    assert '"best"' in cold.detail
    plain = await served.ask(k=COUNT)
    assert set(ids(await served.ask(k=COUNT, fallback=listed))) == set(ids(plain))
    by_source = await served.ask(k=4, fallback=FallbackList("popular ones", sources=("popular",)))
    assert sources(by_source) >= {"popular"}
    assert reasons(await served.ask(events=HISTORY, fallback=listed)) == []


async def test_what_is_trending_leads_only_where_a_scene_says_so(served):
    plain = ids(await served.ask(k=8))
    release, view = served.release, TrendingView()
    trends = Trends(("nowhere", "item-33", "item-07", "item-40"), (9.0, 5.0, 4.0, 1.0))
    served.release = view.over(release, trends)
    assert view.over(release, trends) is served.release
    assert ids(await served.ask(k=8)) == plain
    trending = frozenset({"trending"})
    answer = await served.ask(k=8, sources=trending, exclude_item_ids=("item-07",), explain=True)
    assert ids(answer)[:2] == ["item-33", "item-40"]
    assert ids(answer)[2:] == [one for one in plain if one not in ("item-33", "item-40", "item-07")][:6]
    assert ("trending", 1) in [(view.source, view.rank) for view in answer.items[0].provenance]
    assert answer.degradations[0].reason == REASONS.COLD_START
    assert "of late" in answer.degradations[0].detail
    by_list = await served.ask(k=2, fallback=FallbackList("now", sources=("trending",)))
    assert ids(by_list) == ["item-33", "item-07"]
    assert "trending" in sources(by_list)
    found = await served.ask(events=HISTORY, k=3, sources=trending)
    assert set(ids(found)) == {"item-33", "item-07", "item-40"}
    assert found.recalled_counts == {"trending": 3}
    # Before anything is counted, such a scene has what is popular.
    served.release = view.over(release, Trends())
    assert ids(await served.ask(k=8, sources=trending)) == plain


async def test_a_scene_whose_sources_find_little_goes_on_with_what_suits_the_history(served):
    served.without("popular", ranker=None)
    view = TrendingView()
    served.release = view.over(served.release, Trends(("item-33", "item-07"), (5.0, 4.0)))
    asked = {"events": HISTORY, "sources": frozenset({"trending"})}
    listed = ids(await served.ask(k=20, **asked))
    suiting = [item_id for item_id in ids(await served.ask(events=HISTORY, k=COUNT)) if item_id not in listed[:2]]
    assert listed == ["item-33", "item-07", *suiting[:18]]
    assert ids(await served.ask(k=9, **asked)) == listed[:9]
    led = ids(await served.ask(k=20, **asked, fallback=FallbackList("best", (suiting[5],))))
    assert led[2] == suiting[5]


async def test_what_a_scene_names_is_ranked_beside_a_trained_source(served):
    alone = await served.ask(events=HISTORY, k=COUNT, sources=frozenset({"collaborative"}))
    found = {item.id for item in alone.items if item.choice_probability is not None}
    told = {event.item_id for event in HISTORY}
    other = next(name for name in (f"item-{place:02}" for place in range(COUNT)) if name not in found | told)
    served.release = TrendingView().over(served.release, Trends((other,), (9.0,)))
    answer = await served.ask(events=HISTORY, k=COUNT, sources=frozenset({"collaborative", "trending"}))
    assert {item.id: item.choice_probability for item in answer.items}[other] is not None


async def test_a_list_that_would_be_short_goes_on_with_the_fallback_list(served):
    served.without("popular")
    listed = FallbackList("best", ("item-07", "item-08"))
    answer = await served.ask(events=HISTORY, k=8, sources=frozenset({"next_item"}), fallback=listed)
    recalled = answer.recalled_counts["next_item"]
    if recalled < 6:
        assert set(ids(answer)[recalled : recalled + 2]) <= {"item-07", "item-08"}


def dated(since):
    return Dates(since, np.zeros(len(since), bool))


def test_what_few_chose_is_explored_first_among_equally_new_items():
    since = np.array([10.0, 10.0, 10.0, 1.0, np.nan])
    log_prior = np.log(np.array([9.0, 1.0, 4.0, 1.0, 1.0]) / 16)
    source = FreshSource(dated(since), log_prior)
    rows, scores = source.search(SourceQuery(), 9, np.zeros(5, bool))
    plain, _ = FreshSource(dated(since)).search(SourceQuery(), 9, np.zeros(5, bool))
    assert plain.tolist() == [0, 1, 2, 3]
    assert rows.tolist() == [1, 2, 0, 3]
    assert list(scores) == sorted(scores, reverse=True)
    assert source.new_items(None, 0.0).tolist() == [True, True, True, False, False]


def test_new_within_a_time_goes_by_the_clock():
    day = 86_400.0
    source = FreshSource(dated(np.array([0.0, 5.0, 9.5, 11.0, np.nan]) * day + 1e9))
    assert source.new_items(3 * day, 1e9 + 10 * day).tolist() == [False, False, True, False, False]
    numbers = {"year": np.array([1999.0, 2020.0, 2025.0])}
    years = FreshSource(dates_of({"year": AttributeType.NUMBER}, numbers, np.full(3, np.nan)))
    assert years.new_items(10 * 365 * day, 1.78e9).tolist() == [False, True, True]


def test_an_item_without_a_date_is_as_new_as_its_first_appearance():
    day, now_s = 86_400.0, 1.78e9
    appeared = appeared_later(now_s - np.array([90.0, 90.0, 40.0, 2.0, 1.0]) * day)
    assert np.isnan(appeared).tolist() == [True, True, False, False, False]  # of the first release
    numbers = {"released": np.array([now_s, np.nan, np.nan, np.nan, now_s - 3 * day])}
    dates = dates_of({"released": AttributeType.TIMESTAMP}, numbers, appeared)
    # A date of its own wins over the appearance.
    assert dates.first_seen.tolist() == [False, False, True, True, False]
    log_prior = np.log(np.array([2.0, 1.0, 1.0, 1.0, 9.0]) / 14)
    source = FreshSource(dates, log_prior, lambda: now_s)
    rows, _ = source.search(SourceQuery(), 9, np.zeros(5, bool))
    assert rows.tolist() == [0, 3, 4]  # after a month the appearance no longer makes new
    assert source.new_items(2.5 * day, now_s).tolist() == [True, False, False, True, False]
    alone = dates_of({}, {}, appeared)
    assert FreshSource(alone, None, lambda: now_s).search(SourceQuery(), 9, np.zeros(5, bool))[0].tolist() == [4, 3]
    assert dates_of({}, {}, np.full(5, np.nan)) is None


def test_popular_in_the_categories_of_a_history(served):
    popular = served.release.sources.get("popular")
    columns = {"category": {"tea": list(range(0, COUNT, 2)), "mugs": list(range(1, COUNT, 2))}}
    source = CategoryPopularSource(popular, ItemCategories.of(columns))
    events = EventSequence(np.array([2, 4]), np.zeros(2, np.int64), np.zeros(2, np.float32))
    asked = SourceQuery(events=events, named=frozenset({source.name}))
    assert not source.can_answer(replace(asked, named=frozenset()))
    rows, scores = source.search(asked, COUNT, np.zeros(COUNT, bool))
    assert (rows % 2 == 0).all()
    assert list(scores) == sorted(scores, reverse=True)
    chosen = np.flatnonzero(popular.chosen)
    assert set(rows) == set(chosen[chosen % 2 == 0])
    population = served.release.sources.population
    assert np.array_equal(source.scores(asked, rows, population).scores, scores)
    mixed = replace(asked, events=EventSequence(np.array([1, 2]), np.zeros(2, np.int64), np.zeros(2, np.float32)))
    assert {row % 2 for row in source.search(mixed, COUNT, np.zeros(COUNT, bool))[0]} == {0, 1}


def test_attributes_that_group_items():
    assert all(map(names_categories, ("category", "genres", "sub_category", "Topic")))
    assert not any(map(names_categories, ("price", "author", "categorical_note")))
