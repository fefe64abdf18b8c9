"""The blend orders candidates where no ranker does."""

from dataclasses import replace

import numpy as np
import pytest

from core.events import history_weights
from core.ranking.blend import Blend, ShortBlend
from core.vectors import history_query
from domain.event import EventKind
from domain.recommendation import Source
from tests.support.served import HISTORY, REASONS, reasons, sources
from tests.support.trained import COUNT

pytestmark = pytest.mark.xdist_group("workshop")


class TestBlendedWithoutARanker:
    """Where no ranker was kept, or it does not answer, the sources count as training found best."""

    @pytest.mark.parametrize("half_lives", [{}, {"collaborative": 1.0, "semantic_history": 0.5}])
    async def test_the_order_is_that_of_training(self, served, half_lives):
        weights = {"semantic_history": 1.0, "collaborative": 0.4, "popular": -0.2}
        served.without(ranker=None, user_tower=None, blend=Blend(weights, half_lives=half_lives))
        answer = await served.ask(events=HISTORY, k=20)
        data = served.release.data
        table, prior = data.tables["collaborative"].table, data.tables["popular"].log_prior
        together = np.zeros(COUNT)
        # HISTORY is item 3, then 20, then 31.
        recent = {name: 0.5 ** (np.array([2, 1, 0]) / half_life) for name, half_life in half_lives.items()}
        for row, recency in zip((3, 20, 31), recent.get("collaborative", np.ones(3)), strict=True):
            real = table.rows[row] >= 0
            np.add.at(together, table.rows[row][real], recency * table.weights[row][real])
        kinds = np.array([list(EventKind).index(event.kind) for event in HISTORY])
        weights_by_item = history_weights(np.array([3, 20, 31]), kinds) * recent.get("semantic_history", 1.0)
        cosines = data.index.vectors @ history_query(data.index.vectors[[3, 20, 31]], data.mean, weights_by_item)
        chosen = prior > prior.min()
        expected = weights["semantic_history"] * (cosines - cosines[chosen].mean()) / cosines[chosen].std()
        expected += weights["popular"] * (prior - prior[chosen].mean()) / prior[chosen].std()
        some = together[chosen & (together > 0)]
        filled = np.where(together > 0, together, some.min())
        expected += weights["collaborative"] * (filled - some.mean()) / some.std()
        expected[[3, 20, 31]] = -np.inf
        best = np.argsort(-expected, kind="stable")[:20]
        assert [item.id for item in answer.items] == [f"item-{row:02}" for row in best]
        assert [item.score for item in answer.items] == pytest.approx(expected[best].tolist(), abs=1e-4)
        assert Source.COLLABORATIVE in sources(answer)

    async def test_one_source_can_have_the_whole_say(self, served):
        served.without(ranker=None, user_tower=None, blend=Blend({"next_item": 1.0}))
        answer = await served.ask(events=HISTORY, k=3)
        assert {item.id for item in answer.items} == {"item-04", "item-21", "item-32"}

    async def test_a_short_history_has_weights_of_its_own(self, served):
        short = ShortBlend({"collaborative": 1.0}, len(HISTORY))
        served.without(ranker=None, user_tower=None, blend=Blend({"collaborative": 1.0}))
        expected = (await served.ask(events=HISTORY)).items
        for blend, same in ((Blend({"next_item": 1.0}, short=short), True), (Blend({"next_item": 1.0}), False)):
            served.without(blend=blend)
            assert ((await served.ask(events=HISTORY)).items == expected) is same
        served.without(blend=Blend({"next_item": 1.0}, short=replace(short, most_events=len(HISTORY) - 1)))
        assert (await served.ask(events=HISTORY)).items != expected

    async def test_it_stands_in_for_a_ranker_that_is_away(self, served):
        served.without(blend=Blend({"next_item": 1.0}))
        served.triton.away = {"ranker"}
        answer = await served.ask(events=HISTORY, k=3)
        assert reasons(answer) == [REASONS.RANKER_UNAVAILABLE]
        assert {item.id for item in answer.items} == {"item-04", "item-21", "item-32"}

    async def test_a_text_leads_and_the_history_refines(self, served):
        served.without(ranker=None, blend=Blend({"collaborative": 1.0}, history_strength=0.05))
        alone = await served.ask(text="word3 word21", k=20)
        answer = await served.ask(text="word3 word21", events=HISTORY, k=20)
        assert sources(answer) >= {Source.SEMANTIC_TEXT, Source.COLLABORATIVE}
        gained = {item.id: item.score for item in answer.items}
        before = {item.id: item.score for item in alone.items}
        differences = [gained[name] - before[name] for name in set(gained) & set(before)]
        assert min(differences) >= -1e-6
        assert 0 < max(differences) <= 0.05 + 1e-6

    async def test_without_the_source_that_counts_all_count_alike(self, served):
        served.without(ranker=None, user_tower=None, blend=Blend({"user_tower": 1.0}))
        answer = await served.ask(events=HISTORY)
        served.without(blend=Blend())
        assert (await served.ask(events=HISTORY)).items == answer.items
