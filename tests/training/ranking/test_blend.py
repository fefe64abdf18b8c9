from dataclasses import replace

import numpy as np
import pytest

from core.ranking.blend import Blend, ShortBlend, blend_scores
from core.ranking.item_facts import ItemFacts
from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.popular import PopularSource
from core.retrieval.source import RecalledList, RecallSources, SourceQuery
from core.scaling import Population
from tests.support.blends import fit_blend
from tests.support.histories import history, part, random_histories
from training.collaborative.ease import EaseSettings
from training.ranking.blend import BlendScorer, below, choose_weights, crossed_ndcg
from training.ranking.blend_cases import BlendCases, BlendSettings
from training.ranking.pools import CandidatePools
from training.ranking.recall_settings import RecallSettings
from training.ranking.sources import RecallRecipe, fit_sources
from training.splits.validation import validation_ndcg


@pytest.fixture
def recall():
    vectors = np.eye(3, dtype=np.float32)[np.arange(13) % 3]
    facts = replace(ItemFacts(count=13), vectors=vectors, mean=vectors.mean(axis=0))
    return fit_sources(
        random_histories(60, 12, 7), RecallRecipe(facts, RecallSettings(ease=EaseSettings(regularisation=5.0)))
    )


def test_t7_prior_and_likelihood():
    """log P(x | i) + beta log P(i): equal likelihood leaves the prior's order, beta 0 the likelihood's."""
    likelihood, prior = np.log([0.2, 0.5, 0.3]), np.log([0.6, 0.1, 0.3])
    table = NeighbourTable(np.array([[0, 1, 2], [-1] * 3, [-1] * 3], np.int32), np.array([likelihood] + [[0] * 3] * 2))
    tables = (CollaborativeSource(table), PopularSource(prior))
    sources = RecallSources(tables, Population.of(np.ones(3, bool)))
    query = SourceQuery(events=history(0))
    rows = np.arange(3)
    # In the units in which the blend adds, so that the sum is the one of the logarithms.
    beta = prior.std() / likelihood.std()
    blended = blend_scores(sources, query, {"collaborative": 1.0, "popular": beta}, rows)
    posterior = np.exp(blended.astype(np.float64) * likelihood.std())
    assert np.allclose(posterior / posterior.sum(), np.array([0.12, 0.05, 0.09]) / 0.26, atol=1e-6)
    alone = blend_scores(sources, query, {"collaborative": 1.0, "popular": 0.0}, rows)
    assert np.array_equal(np.argsort(alone), np.argsort(likelihood))
    equal = RecallSources(
        (CollaborativeSource(NeighbourTable(table.rows, np.ones((3, 3)))), tables[1]), sources.population
    )
    assert np.array_equal(
        np.argsort(blend_scores(equal, query, {"collaborative": 1.0, "popular": 0.5}, rows)), np.argsort(prior)
    )


def test_t7_one_order_for_cosine_product_and_distance_on_unit_vectors():
    rng = np.random.default_rng(0)
    items = rng.normal(size=(50, 8))
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    user = items[0] + rng.normal(size=8)
    user /= np.linalg.norm(user)
    product = items @ user
    cosine = product / (np.linalg.norm(items, axis=1) * np.linalg.norm(user))
    distance = np.linalg.norm(items - user, axis=1)
    assert np.array_equal(np.argsort(-product), np.argsort(-cosine))
    assert np.array_equal(np.argsort(-product), np.argsort(distance))
    assert np.allclose(distance**2, 2 - 2 * product, atol=1e-6)


def test_weights_are_judged_by_cases_that_did_not_choose_them(recall):
    cases = [((9, 2), (7, 4)), ((10, 9), (5, 4)), ((4, 5), (7, 6)), ((1, 2), (5, 8))]
    validation = part(13, *cases)
    one, other = part(13, *cases[0::2]), part(13, *cases[1::2])

    def ndcg(blend, part):
        return validation_ndcg(BlendScorer(recall, blend), part)

    expected = [ndcg(fit_blend(recall, a), b) for a, b in ((one, other), (other, one))]
    assert crossed_ndcg(BlendCases.of(recall, validation)) == pytest.approx(sum(expected) / 2)
    assert crossed_ndcg(BlendCases.of(recall, validation)) < ndcg(fit_blend(recall, validation), validation)
    alone = part(13, cases[0])
    assert crossed_ndcg(BlendCases.of(recall, alone)) == ndcg(fit_blend(recall, alone), alone)


def test_weights_gain_on_validation_or_stay_out(recall):
    validation = part(13, ((0, 3), (6, 9)), ((1, 4), (7, 10)), ((2, 5), (8, 11)))
    hybrid = fit_blend(recall, validation, BlendSettings(least_gain=1e9))
    assert list(hybrid.weights.values()) == [1.0]
    better = fit_blend(recall, validation)
    scorers = (BlendScorer(recall, better), BlendScorer(recall, hybrid))
    assert validation_ndcg(scorers[0], validation) >= validation_ndcg(scorers[1], validation)


def test_short_histories_are_blended_by_weights_that_short_histories_chose(recall):
    told, few = history(0, 3, 6, 9), history(0, 3, 6)
    hybrid = fit_blend(recall, part(13, ((0, 3, 6, 9), (1, 4)), ((1, 4, 7, 10), (2, 5))))
    assert hybrid.short is not None
    assert hybrid.short.most_events == 3
    other = BlendScorer(recall, replace(hybrid, short=ShortBlend({"next_item": 1.0}, 3)))
    assert np.array_equal(
        other.scores([told, few])[0], BlendScorer(recall, replace(hybrid, short=None)).scores([told])[0]
    )
    alone = BlendScorer(recall, Blend({"next_item": 1.0}))
    assert np.array_equal(other.scores([told, few])[1], alone.scores([few])[0])
    assert fit_blend(recall, part(13, ((0,), (1,)))).short is None


def whole_pools(asked, standard):
    """Pools of every row of the catalogue, in which z-scores are given."""
    targets = [case.targets for case in asked.cases]
    mask = np.ones((len(asked.cases), len(asked.candidates)), bool)
    for place, case in enumerate(asked.cases):
        mask[place, case.history.rows] = False
    return CandidatePools(
        standard,
        mask,
        np.repeat(np.arange(len(targets)), [len(rows) for rows in targets]),
        np.concatenate(targets),
        np.array([len(rows) for rows in targets]),
        np.array([len(case.history) for case in asked.cases]),
    )


def test_a_blend_that_the_best_source_cannot_reach_begins_with_another():
    """What is alike is found best, but for an odd item; a little of it beside what is popular is better still."""
    asked = part(4, *[((3,), (target,)) for target in (0, 1, 1, 0)])
    asked = replace(asked, cases=tuple(replace(case, history=case.history.take(slice(0))) for case in asked.cases))
    alike = np.array([[0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0.5, 0, 0], [0.5, 0, 0, 5]], np.float32)
    chosen_often = np.array([[1, 1, 0, 0]] * 4, np.float32)
    chosen = choose_weights(whole_pools(asked, {"alike": alike, "often": chosen_often}), BlendSettings())
    assert chosen.metric == 1
    assert chosen.weights == {"often": 1.0, "alike": 0.1}


def test_a_source_that_tells_no_candidates_apart_gains_nothing_by_their_order():
    """The targets are the first rows, which a source of equal scores would rank first by the order of ties."""
    asked = part(4, ((3,), (0,)), ((3,), (0, 1)))
    silent = np.zeros((2, 4), np.float32)
    poor = np.array([[0.1, 0.2, 0.3, 0.0]] * 2, np.float32)
    pools = whole_pools(asked, {"silent": silent, "poor": poor})
    assert pools.ndcg(silent).mean() == 0 < pools.ndcg(poor).mean()
    assert choose_weights(pools, BlendSettings()).weights == {"poor": 1.0}


def test_an_empty_history_falls_back_to_the_prior(recall):
    scores = BlendScorer(recall, fit_blend(recall, part(13))).scores([history(), history(0, 3)])
    assert np.array_equal(np.argsort(-scores[0], kind="stable"), np.argsort(-recall.popular.log_prior, kind="stable"))
    assert set(np.argsort(-scores[1])[:3]) <= {6, 9, 12}
    assert np.isfinite(scores).all()


def test_what_no_source_recalled_stands_below_the_pool(recall):
    """The scores of an evaluation are in the order in which a gateway serves: the pool, then the rest."""
    scorer = BlendScorer(recall, Blend({"collaborative": 1.0, "popular": -0.4}, {"collaborative": 1, "popular": 1}))
    order = scorer.order(recall.queries([history(0, 3)])[0], np.array([6]))
    assert not {0, 3, 6} & set(order.rows.tolist())
    lowered = below(
        np.array([5.0, 1.0, 9.0, 2.0], np.float32), RecalledList("history", np.array([3, 1]), np.array([2, 1]))
    )
    assert np.argsort(-lowered).tolist() == [3, 1, 2, 0]
    allowed = np.arange(13) < 5
    assert set(scorer.among(allowed).order(recall.queries([history(0)])[0], np.empty(0, np.int64)).rows) <= {1, 2, 3, 4}
