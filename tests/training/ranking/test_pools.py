"""Pools of recalled candidates stand for the whole catalogue, in less memory."""

from dataclasses import replace

import numpy as np
import pytest

from core.ranking.blend import Blend
from core.ranking.item_facts import ItemFacts
from core.retrieval.popular import PopularSource
from core.retrieval.source import SourceQuery
from tests.support.histories import part, random_histories
from training.collaborative.ease import EaseSettings
from training.ranking.blend import BlendScorer, blend_ndcg
from training.ranking.blend_cases import BlendCases, BlendSettings
from training.ranking.pools import source_ndcg
from training.ranking.recall_settings import RecallSettings
from training.ranking.sources import RecallRecipe, SourceScorer, fit_sources
from training.splits.validation import ndcg_by_case, validation_ndcg

ITEMS = 400


@pytest.fixture(scope="module")
def fitted():
    drawn = np.random.default_rng(0).normal(size=(ITEMS, 8)).astype(np.float32)
    vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    facts = replace(ItemFacts(count=ITEMS), vectors=vectors, mean=vectors.mean(axis=0))
    settings = RecallSettings(ease=EaseSettings(regularisation=5.0), low_rank=0.0)
    return fit_sources(random_histories(150, ITEMS, 3, taste_count=40), RecallRecipe(facts, settings))


@pytest.fixture(scope="module")
def asked():
    drawn = random_histories(60, ITEMS, 4, taste_count=40)
    return part(
        ITEMS, *((tuple(one.rows[:-2].tolist()), tuple(one.rows[-2:].tolist())) for one in drawn if len(one) > 2)
    )


def test_pools_give_the_figure_of_what_would_be_served(fitted, asked):
    cases = BlendCases.of(fitted, asked)
    assert cases.whole.mask.shape[1] < ITEMS
    blend = Blend({"collaborative": 1.0, "semantic_history": 0.2, "popular": 0.1}, fitted.list_lengths)
    served = validation_ndcg(BlendScorer(fitted, blend), asked)
    assert blend_ndcg(blend, cases.whole).mean() == pytest.approx(served, abs=0.002)


def test_a_source_alone_is_ranked_as_over_the_whole_catalogue(fitted, asked):
    queries = fitted.queries([case.history for case in asked.cases])
    cases = BlendCases.of(fitted, asked)
    for source in fitted.sources:
        whole = SourceScorer(fitted, source.name).scores([case.history for case in asked.cases])
        assert source_ndcg(source, queries, asked) == pytest.approx(ndcg_by_case(whole, asked).mean(), abs=1e-6)
        pooled = cases.whole.ndcg(cases.whole.z_scores[source.name]).mean()
        # Behind a table's few neighbours all others tie: among fewer candidates they stand higher.
        assert pooled >= ndcg_by_case(whole, asked).mean() - 1e-6
        if source.name == "semantic_history":
            assert pooled == pytest.approx(ndcg_by_case(whole, asked).mean(), abs=1e-6)


def test_the_order_of_the_rows_is_no_merit_of_a_source():
    constant = PopularSource(np.log(np.where(np.arange(ITEMS) < ITEMS - 1, 2.0, 1.0)))
    early = part(ITEMS, ((5,), (0,)), ((6,), (1, 2)))
    assert source_ndcg(constant, [SourceQuery(events=case.history) for case in early.cases], early) == 0.0


def test_cases_are_capped_by_a_stated_number_and_halved_by_their_parents(fitted, asked):
    cases = BlendCases.of(fitted, asked, BlendSettings(case_limit=11))
    assert (len(cases.whole), len(cases.short)) == (11, 11)
    again = BlendCases.of(fitted, asked, BlendSettings(case_limit=11))
    assert np.array_equal(cases.whole.mask, again.whole.mask)
    first, second = cases.half(0), cases.half(1)
    assert (len(first.whole), len(second.whole)) == (6, 5)
    assert len(first.short) + len(second.short) == 11
    assert set(first.short_parent) <= set(range(6))
    assert np.array_equal(first.whole.target_count, cases.whole.target_count[::2])
    ndcg = cases.whole.ndcg(cases.whole.z_scores["collaborative"])
    assert np.array_equal(first.whole.ndcg(first.whole.z_scores["collaborative"]), ndcg[::2])
