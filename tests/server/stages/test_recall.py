"""Candidates of a served release: popular items, thresholds, fill, and the sources of a proxy history."""

from dataclasses import replace

import numpy as np
import pytest

from core.ranking.blend import LIST_LENGTHS, Blend, ProxyBlend
from core.ranking.item_facts import ItemFacts
from domain.event import Event, EventKind
from domain.recommendation import Source
from tests.support.served import HISTORY, REASONS, reasons, sources, titles_of, vector_of
from tests.support.trained import COUNT
from training.evaluation.trained import BlendReader
from training.ranking.blend import BlendScorer
from training.ranking.sources import FittedSources

pytestmark = pytest.mark.xdist_group("workshop")

ELSEWHERE = (Event("elsewhere", EventKind.LIKE, item_title="word3 word21 word4 word28 word5 word35"),)
ELSEWHERE_TEXT = "Liked word3 word21 word4 word28 word5 word35."
PROXY_BLEND = ProxyBlend({"popular": 1.0, "collaborative": 0.7, "semantic_history": 0.4}, 4, 0.3)


class TestProxyHistory:
    """A history of items that the catalogue lacks: the items nearest to what is told stand in for it."""

    @pytest.fixture
    def proxied(self, served):
        served.without(blend=Blend({"collaborative": 1.0}, proxy=PROXY_BLEND))
        return served

    async def offline(self, served, blend):
        """The row that `shortlist evaluate` shows, over the parts of this release, by the release's own encoder."""
        data = served.release.data
        facts = replace(ItemFacts(COUNT), vectors=data.index.vectors, mean=data.mean)
        fitted = FittedSources.of(facts, data.tables, None, LIST_LENGTHS)
        query = await vector_of(served, ELSEWHERE_TEXT)
        reader = BlendReader(BlendScorer(fitted, Blend(proxy=blend)), lambda texts: query[None])
        return reader.text_scores([ELSEWHERE_TEXT])[0]

    async def test_what_is_served_is_what_was_judged(self, proxied):
        expected = await self.offline(proxied, PROXY_BLEND)
        answer = await proxied.ask(events=ELSEWHERE, k=20)
        best = np.argsort(-expected, kind="stable")[:20]
        assert [item.id for item in answer.items] == [f"item-{row:02}" for row in best]
        assert [item.score for item in answer.items] == pytest.approx(expected[best].tolist(), abs=1e-4)
        assert {item.match_probability for item in answer.items} == {None}

    async def test_who_asks_for_it_to_be_read_as_text_gets_likeness(self, proxied):
        answer = await proxied.ask(events=ELSEWHERE, k=20, tell_history=True)
        proxied.without(blend=Blend())
        assert (await proxied.ask(events=ELSEWHERE, k=20, tell_history=True)).items == answer.items

    async def test_without_learned_weights_likeness_answers_as_before(self, served):
        expected = await self.offline(served, None)
        answer = await served.ask(events=ELSEWHERE, k=20)
        assert sources(answer) == {Source.SEMANTIC_HISTORY}
        assert [item.id for item in answer.items] == [f"item-{row:02}" for row in np.argsort(-expected)[:20]]
        assert [item.score for item in answer.items] == pytest.approx(np.sort(expected)[::-1][:20].tolist(), abs=1e-5)

    async def test_thresholds_of_whole_histories_cut_nothing_off(self, proxied):
        answer = await proxied.ask(events=ELSEWHERE)
        proxied.without(thresholds={Source.COLLABORATIVE: 100.0, Source.SEMANTIC_HISTORY: 2.0})
        assert (await proxied.ask(events=ELSEWHERE)).items == answer.items

    async def test_every_source_recalls_and_says_why(self, proxied):
        query = await vector_of(proxied, ELSEWHERE_TEXT)
        near = {f"item-{row:02}" for row in np.argsort(-(proxied.release.data.index.vectors @ query))[:4]}
        titles = titles_of(proxied)
        answer = await proxied.ask(events=ELSEWHERE, k=COUNT, explain=True)
        assert sources(answer) >= {Source.SEMANTIC_HISTORY, Source.COLLABORATIVE, Source.POPULAR}
        for item in answer.items:
            by_neighbours = Source.COLLABORATIVE in {view.source for view in item.provenance}
            named = [name for name in near if f'who chose "{titles[name]}", among the closest' in item.explanation.text]
            assert len(named) == by_neighbours
            assert "of the history" not in item.explanation.text
            assert item.explanation.because_of_item_id == ""

    async def test_a_source_without_weight_is_not_asked(self, proxied):
        proxied.without(blend=Blend(proxy=replace(PROXY_BLEND, weights={"semantic_history": 1.0})))
        assert sources(await proxied.ask(events=ELSEWHERE, k=5)) == {Source.SEMANTIC_HISTORY}

    async def test_what_is_excluded_stands_in_but_does_not_come_back(self, proxied):
        before = await proxied.ask(events=ELSEWHERE, k=COUNT)
        first = before.items[0].id
        answer = await proxied.ask(events=ELSEWHERE, k=COUNT, exclude_item_ids=(first,))
        assert [(item.id, item.score) for item in answer.items] == [
            (item.id, item.score) for item in before.items if item.id != first
        ]

    async def test_a_search_stays_a_search(self, proxied):
        answer = await proxied.ask(text="word3 word21")
        assert sources(answer) == {Source.SEMANTIC_TEXT, Source.LEXICAL}
        proxied.without(blend=Blend())
        assert (await proxied.ask(text="word3 word21")).items == answer.items

    async def test_a_text_leads_a_told_history(self, proxied):
        alone = await proxied.ask(text="word40", k=20)
        answer = await proxied.ask(text="word40", events=ELSEWHERE, k=20)
        assert answer.items[0].id == alone.items[0].id
        assert [item.id for item in answer.items] != [item.id for item in alone.items]
        assert all(
            {Source.SEMANTIC_TEXT, Source.LEXICAL} & {v.source for v in item.provenance} for item in answer.items
        )

    async def test_what_is_known_beside_it_decides(self, proxied):
        answer = await proxied.ask(events=(*ELSEWHERE, *HISTORY))
        proxied.without(blend=Blend({"collaborative": 1.0}))
        assert (await proxied.ask(events=(*ELSEWHERE, *HISTORY))).items == answer.items

    async def test_the_student_reads_it_while_the_encoder_is_away(self, proxied):
        proxied.triton.away = {"encoder"}
        answer = await proxied.ask(events=ELSEWHERE, k=20)
        assert reasons(answer) == [REASONS.ENCODER_UNAVAILABLE]
        assert Source.COLLABORATIVE in sources(answer)
        proxied.without(student=None)
        answer = await proxied.ask(events=ELSEWHERE, k=20)
        assert Source.LEXICAL in sources(answer)
        assert Source.COLLABORATIVE not in sources(answer)


async def test_the_ranker_judges_as_many_popular_items_as_in_training(served):
    for count in (3, 1):
        lengths = {**served.release.blend.list_lengths, "popular": count}
        served.without(blend=replace(served.release.blend, list_lengths=lengths))
        answer = await served.ask(events=HISTORY, k=COUNT - len(HISTORY))
        found = [item.id for item in answer.items for view in item.provenance if view.source == Source.POPULAR]
        assert sorted(found) == ["item-00", "item-01", "item-02"][:count]


async def test_a_threshold_keeps_weak_candidates_behind_what_is_popular(served):
    served.without("collaborative", "next_item", user_tower=None, ranker=None, thresholds={"semantic_history": 2.0})
    answer = await served.ask(events=HISTORY, k=COUNT)
    found = [item.provenance[0].source for item in answer.items]
    popular = found.count(Source.POPULAR)
    # Nothing is as alike as 2, so all is weak; the least popular items, which nobody chose, are filled in by it.
    assert found == [Source.POPULAR] * popular + [Source.SEMANTIC_HISTORY] * (len(found) - popular)
    assert 0 < popular < len(found) == COUNT - 3
    served.without(thresholds={})
    assert (await served.ask(events=HISTORY, k=5)).items[0].provenance[0].source == Source.SEMANTIC_HISTORY
