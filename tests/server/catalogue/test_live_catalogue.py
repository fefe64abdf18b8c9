"""The live catalogue through the whole recommender: every source and every stage sees a change at once."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from core.ranking.features import FEATURE_NAMES
from core.retrieval.trending import Trends
from domain.condition import AnyOf, Condition, Equals, Range
from domain.errors import InvalidRequest, ItemNotFound
from domain.event import Event, EventKind
from domain.recommendation import ItemMask, RecommendQuery, Source
from domain.timestamp import Timestamp
from server.catalogue.draft import Outcome
from server.deadline import Deadline
from server.recommender import Recommender
from server.release.trending import TrendingView
from server.trace import Trace
from tests.support.live import live_shop, product
from tests.support.trained import COUNT

HISTORY = (Event("item-03", EventKind.BUY, 1_700_000_000.0), Event("item-20", EventKind.LIKE, 1_700_100_000.0))


@pytest.fixture
async def shop(served, tmp_path):
    async with live_shop(served.release, tmp_path / "catalogue") as shop:
        yield shop


def outcomes(results):
    return [result.outcome for result in results]


async def test_a_new_item_is_found_by_meaning_and_by_words(shop):
    assert "new" not in await shop.found(text="word85 word86", k=COUNT)
    results = await shop.upsert(product("new", "word85 word86", category="word1", price=5))
    assert outcomes(results) == [Outcome.APPLIED] and results[0].version == 1
    answer = await shop.ask(text="word85 word86", explain=True, item_mask=ItemMask(frozenset({"title"})))
    best = answer.items[0]
    assert best.id == "new" and best.similarity > 0.95
    assert {view.source for view in best.provenance} == {Source.SEMANTIC_TEXT, Source.LEXICAL}
    assert "word85" in best.explanation.text and best.item.title == "word85 word86"


async def test_a_word_that_only_a_new_item_has_finds_it(shop):
    await shop.upsert(product("zircon", "zircon pendant"))
    assert (await shop.found(text="zircon"))[0] == "zircon"
    assert (await shop.found(text="zircon pendant"))[0] == "zircon"


async def test_a_changed_text_is_found_by_the_new_words_and_no_longer_by_the_old_ones(shop):
    assert (await shop.found(text="word5 word35"))[0] == "item-05"
    await shop.upsert(product("item-05", "quince jelly", category="word1", price=5))
    assert (await shop.found(text="quince jelly"))[0] == "item-05"
    answer = await shop.ask(text="word5 word35", k=COUNT)
    assert answer.items[0].id != "item-05"
    views = {item.id: item for item in answer.items}["item-05"].provenance
    # Its category shares "word" with every item, which says next to nothing.
    assert all(view.score < 0.1 for view in views if view.source is Source.LEXICAL)


async def test_a_deleted_item_is_found_by_nothing(shop):
    assert outcomes(await shop.delete("item-05", "never-there")) == [Outcome.APPLIED, Outcome.UNCHANGED]
    for query in (
        {"text": "word5 word35", "k": COUNT},
        {"events": HISTORY, "k": COUNT},
        {"k": COUNT, "conditions": (Condition("price", Range(0, 100)),)},
    ):
        found = await shop.found(**query)
        assert "item-05" not in found and len(found) > 40
    assert (await shop.ask(item_ids=("item-05",))).unknown_item_ids == ("item-05",)
    await shop.upsert(product("item-05", "word5 word35", category="word1", price=5))
    assert (await shop.found(text="word5 word35"))[0] == "item-05"


async def test_availability_is_set_without_the_encoder(shop, served):
    asked = len(served.triton.asked)
    assert (await shop.edit("item-05", available=False)).outcome is Outcome.APPLIED
    assert len(served.triton.asked) == asked
    assert "item-05" not in await shop.found(text="word5 word35", k=COUNT)
    assert (await shop.edit("item-05", available=True)).version == 2
    assert (await shop.found(text="word5 word35"))[0] == "item-05"
    assert (await shop.edit("item-05", available=True)).outcome is Outcome.UNCHANGED


async def test_conditions_hold_for_changed_and_new_items(shop):
    await shop.edit("item-05", attributes={"price": 900.0, "label": "rare", "vegan": True})
    await shop.upsert(product("new", "word85", price=905.0, category="word1", label="rare"))
    expensive = (Condition("price", Range(800, None)),)
    assert set(await shop.found(conditions=expensive)) == {"item-05", "new"}
    assert set(await shop.found(conditions=(Condition("label", AnyOf(frozenset({"rare"}))),))) == {"item-05", "new"}
    assert await shop.found(conditions=(Condition("vegan", Equals(True)),)) == ["item-05"]
    cheap = await shop.found(conditions=(Condition("price", Range(800, None), negate=True),), k=COUNT + 1)
    assert len(cheap) == COUNT - 1 and not {"item-05", "new"} & set(cheap)
    await shop.edit("item-05", removed=("price",))
    assert await shop.found(conditions=expensive) == ["new"]
    with pytest.raises(InvalidRequest, match="no item has"):
        await shop.found(conditions=(Condition("unheard", Range(0, None)),))


async def test_an_item_is_recommended_in_its_time_only(shop):
    def at(hours):
        return Timestamp.of(int((datetime.now(UTC) + timedelta(hours=hours)).timestamp()), 0)

    await shop.upsert(
        product("now", "plum", available_from=at(-1), available_until=at(1)),
        product("later", "plum", available_from=at(1)),
        product("over", "plum", available_until=at(-1)),
        product("always", "plum"),
    )
    found = await shop.found(text="plum", k=COUNT)
    assert {"now", "always"} <= set(found) and not {"later", "over"} & set(found)


async def test_a_changed_item_keeps_what_was_trained(shop):
    before = await shop.ask(events=HISTORY, k=COUNT)
    chosen = next(i for i in before.items if any(v.source == Source.COLLABORATIVE for v in i.provenance))
    await shop.edit(chosen.id, attributes={"price": 1.0})
    after = {item.id: item for item in (await shop.ask(events=HISTORY, k=COUNT)).items}[chosen.id]
    assert [v for v in after.provenance if v.source == Source.COLLABORATIVE] == [
        v for v in chosen.provenance if v.source == Source.COLLABORATIVE
    ]


async def test_a_history_of_new_items_counts_and_is_ranked(shop):
    await shop.upsert(product("new", "word20 word50", category="word0", price=20), product("other", "word21 word57"))
    history = (*HISTORY, Event("new", EventKind.BUY, 1_700_200_000.0))
    answer = await shop.ask(events=history, explain=True, k=20)
    assert answer.unknown_item_ids == () and "new" not in [item.id for item in answer.items]
    assert answer.items[0].match_probability is not None
    assert all(item.explanation.text for item in answer.items)
    assert "other" in await shop.found(events=history, k=COUNT + 2)
    assert (await shop.found(text="word21", events=history))[0]


async def test_the_ranker_s_features_of_a_live_copy_are_those_of_the_release(shop):
    """An item with the same attributes and text as one of the release differs in what was trained alone."""
    release = shop.serving.view()
    twin = release.catalogue.items_of([7])[0]
    await shop.upsert(product("twin", twin.title, twin.text, **twin.attributes))
    view = shop.serving.view()
    rows = view.catalogue.rows_of(["item-07", "twin"])
    facts = view.ranker.facts
    for name in ("categories", "brands", "log_price", "numbers", "vectors"):
        values = getattr(facts, name)
        if values is not None:
            pair = values[np.asarray([rows["item-07"], rows["twin"]])]
            assert np.allclose(pair[0], pair[1], atol=1e-5, equal_nan=True), name
    assert facts.neighbour_rows[np.asarray([rows["twin"]])].max() == -1
    assert len(FEATURE_NAMES) > 20


async def test_new_items_trend_and_deleted_ones_do_not(shop):
    await shop.upsert(product("new", "word85 word86"))
    await shop.delete("item-07")
    trends = Trends(("item-07", "new", "item-33"), (9.0, 5.0, 4.0))
    live, trending = TrendingView().over(shop.serving.view(), trends), frozenset({"trending"})
    recommender = Recommender(lambda: live, shop.recommender.searchers, 0.3)
    for history in ((), HISTORY):
        query = RecommendQuery(events=history, k=2, sources=trending)
        answer = await recommender.recommend(query, Deadline.after(10), Trace())
        assert {item.id for item in answer.items} == {"new", "item-33"}


async def test_a_view_never_changes(shop):
    await shop.upsert(product("new", "plum"))
    catalogue = shop.store.current
    before = (catalogue.blocked_by(()).copy(), catalogue.rows_of(["new", "item-05", "late"]), catalogue.item_count)
    await shop.delete("item-05", "new")
    await shop.upsert(product("late", "plum"))
    assert (catalogue.blocked_by(()) == before[0]).all()
    assert catalogue.rows_of(["new", "item-05", "late"]) == before[1]
    assert catalogue.item_count == before[2] and [i.id for i in catalogue.items_of([COUNT])] == ["new"]


async def test_versions_make_calls_repeatable(shop):
    first = await shop.upsert(product("new", "plum"), version=5)
    again = await shop.upsert(product("new", "pear"), version=5)
    older = await shop.delete("new", version=4)
    assert outcomes(first + again + older) == [Outcome.APPLIED, Outcome.UNCHANGED, Outcome.UNCHANGED]
    assert (await shop.found(text="plum"))[0] == "new"
    assert outcomes(await shop.delete("new", version=7)) == [Outcome.APPLIED]
    assert outcomes(await shop.upsert(product("new", "plum"), version=6)) == [Outcome.UNCHANGED]
    assert "new" not in await shop.found(text="plum", k=COUNT)
    assert (await shop.upsert(product("new", "plum")))[0].version == 8


async def test_the_same_id_twice_in_one_call_ends_as_the_last_one(shop):
    results = await shop.upsert(product("item-05", "plum"), product("item-05", "word5 word35"), product("a", "pear"))
    assert outcomes(results) == [Outcome.APPLIED] * 3
    row = shop.store.current.rows_of(["item-05"])["item-05"]
    assert shop.store.current.items_of([row])[0].title == "word5 word35"
    assert (await shop.found(text="word5 word35"))[0] == "item-05"


async def test_what_does_not_fit_is_refused_alone(shop):
    results = await shop.upsert(product("bad", "plum", price="cheap"), product("good", "plum", price=1.0))
    assert outcomes(results) == [Outcome.REFUSED, Outcome.APPLIED]
    assert isinstance(results[0].error, InvalidRequest) and "price" in str(results[0].error)
    missing = await shop.edit("nowhere", available=False)
    assert missing.outcome is Outcome.REFUSED and isinstance(missing.error, ItemNotFound)


async def test_a_price_change_by_upsert_is_not_embedded_again(shop, served):
    asked = served.triton.asked.count("encoder")
    item = shop.store.current.items_of([5])[0]
    await shop.upsert(product(item.id, item.title, item.text, category=item.attributes["category"], price=77.0))
    assert served.triton.asked.count("encoder") == asked
    assert await shop.found(conditions=(Condition("price", Range(77, 77)),)) == ["item-05"]


async def test_changes_are_there_after_a_restart(served, tmp_path):
    async with live_shop(served.release, tmp_path / "catalogue") as shop:
        await shop.upsert(product("new", "zircon plum", label="rare"), product("item-07", "quince", price=3.0))
        await shop.edit("item-08", attributes={"label": "rare"})
        await shop.delete("item-05")
    asked = served.triton.asked.count("encoder")
    async with live_shop(served.release, tmp_path / "catalogue") as shop:
        assert served.triton.asked.count("encoder") == asked
        assert (await shop.found(text="zircon plum"))[0] == "new"
        assert (await shop.found(text="quince"))[0] == "item-07"
        assert set(await shop.found(conditions=(Condition("label", AnyOf(frozenset({"rare"}))),))) == {"new", "item-08"}
        assert "item-05" not in await shop.found(text="word5", k=COUNT)
        assert (await shop.upsert(product("new", "zircon plum")))[0].version == 2


async def test_an_added_item_is_new_from_then_on_and_a_changed_one_is_not(served, tmp_path):
    async with live_shop(served.release, tmp_path / "catalogue") as shop:
        before = await shop.ask(k=COUNT)
        assert not any(view.source == Source.FRESH for item in before.items for view in item.provenance)
        await shop.upsert(product("new", "word85 word86"), product("item-05", "quince jelly"))
        at = shop.store.current.first_seen_s(served.release.data.appeared_s)
        assert (~np.isnan(at)).sum() == 1
        await shop.upsert(product("new", "word85 word87"))
    # The month is counted from the first change, also after a start.
    async with live_shop(served.release, tmp_path / "catalogue") as shop:
        again = shop.store.current.first_seen_s(served.release.data.appeared_s)
        assert np.array_equal(again, at, equal_nan=True)
        answer = await shop.ask(k=12)
        new = {item.id for item in answer.items for view in item.provenance if view.source == Source.FRESH}
        assert new == {"new"}
