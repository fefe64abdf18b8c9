from dataclasses import replace

import numpy as np
import pytest

from core.ranking.blend import ShortBlend
from core.ranking.item_facts import ItemFacts
from tests.support.histories import history, part, random_histories
from training.collaborative.ease import EaseSettings
from training.ranking.blend import (
    HybridSettings,
    choose_weights,
    crossed_ndcg,
    fit_hybrid,
    with_prior,
    z_scores,
)
from training.ranking.sources import RecallRecipe, RecallSettings, fit_recall
from training.splits.validation import validation_ndcg


@pytest.fixture
def recall():
    vectors = np.eye(3, dtype=np.float32)[np.arange(13) % 3]
    facts = replace(ItemFacts(count=13), vectors=vectors, mean=vectors.mean(axis=0))
    return fit_recall(
        random_histories(60, 12, 7), RecallRecipe(facts, RecallSettings(ease=EaseSettings(regularisation=5.0)))
    )


def test_t7_prior_and_likelihood():
    likelihood, prior = np.log([0.2, 0.5, 0.3]), np.log([0.6, 0.1, 0.3])
    assert np.array_equal(np.argsort(with_prior(likelihood, prior, 0)), np.argsort(likelihood))
    assert np.array_equal(np.argsort(with_prior(np.zeros(3), prior, 0.5)), np.argsort(prior))
    posterior = np.exp(with_prior(likelihood, prior, 1))
    posterior /= posterior.sum()
    assert np.allclose(posterior, np.array([0.12, 0.05, 0.09]) / 0.26, atol=1e-6)


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


def test_rows_are_standardised_over_what_is_said():
    within = np.array([True, True, True, False])
    found = z_scores(np.array([[1.0, 3.0, -np.inf, 5.0], [-np.inf] * 4]), within)
    assert found[0].tolist() == [-1, 1, -1, 3]
    assert not found[1].any()


def test_weights_are_judged_by_cases_that_did_not_choose_them(recall):
    cases = [((0, 3), (6, 9)), ((1, 4), (2, 5, 8)), ((2, 5), (8, 11)), ((0, 6), (1, 4, 7))]
    validation = part(13, *cases)
    one, other = part(13, *cases[0::2]), part(13, *cases[1::2])
    expected = [validation_ndcg(fit_hybrid(recall, a), b) for a, b in ((one, other), (other, one))]
    assert crossed_ndcg(recall, validation) == pytest.approx(sum(expected) / 2)
    assert crossed_ndcg(recall, validation) < validation_ndcg(fit_hybrid(recall, validation), validation)
    alone = part(13, cases[0])
    assert crossed_ndcg(recall, alone) == validation_ndcg(fit_hybrid(recall, alone), alone)


def test_weights_gain_on_validation_or_stay_out(recall):
    validation = part(13, ((0, 3), (6, 9)), ((1, 4), (7, 10)), ((2, 5), (8, 11)))
    hybrid = fit_hybrid(recall, validation, HybridSettings(least_gain=1e9))
    assert list(hybrid.weights.values()) == [1.0]
    better = fit_hybrid(recall, validation)
    assert validation_ndcg(better, validation) >= validation_ndcg(hybrid, validation)


def test_short_histories_are_blended_by_weights_that_short_histories_chose(recall):
    told, few = history(0, 3, 6, 9), history(0, 3, 6)
    hybrid = fit_hybrid(recall, part(13, ((0, 3, 6, 9), (1, 4)), ((1, 4, 7, 10), (2, 5))))
    assert hybrid.short is not None
    assert hybrid.short.most_events == 3
    other = replace(hybrid, short=ShortBlend({"popular": 1.0}, 3))
    assert np.array_equal(other.scores([told, few])[0], replace(hybrid, short=None).scores([told])[0])
    assert np.array_equal(np.argsort(-other.scores([told, few])[1]), np.argsort(-recall.popularity.scores([few])[0]))
    assert fit_hybrid(recall, part(13, ((0,), (1,)))).short is None


def test_a_blend_that_the_best_source_cannot_reach_begins_with_another():
    """What is alike is found best, but for an odd item; a little of it beside what is popular is better still."""
    asked = part(4, *[((3,), (target,)) for target in (0, 1, 1, 0)])
    asked = replace(asked, cases=tuple(replace(case, history=case.history.take(slice(0))) for case in asked.cases))
    alike = np.array([[0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0.5, 0, 0], [0.5, 0, 0, 5]], np.float32)
    chosen_often = np.array([[1, 1, 0, 0]] * 4, np.float32)
    chosen = choose_weights({"alike": alike, "often": chosen_often}, asked, HybridSettings())
    assert chosen.figure == 1
    assert chosen.weights == {"often": 1.0, "alike": 0.1}


def test_an_empty_history_falls_back_to_the_prior(recall):
    hybrid = fit_hybrid(recall, part(13))
    scores = hybrid.scores([history(), history(0, 3)])
    assert np.array_equal(
        np.argsort(-scores[0], kind="stable"), np.argsort(-recall.popularity.log_prior, kind="stable")
    )
    assert set(np.argsort(-scores[1])[:4]) <= {0, 3, 6, 9}
    assert np.isfinite(scores).all()
