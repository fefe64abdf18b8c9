from dataclasses import replace

import numpy as np
import pytest
import torch

from core.ranking.blend import Blend
from core.ranking.features import FEATURE_NAMES
from core.ranking.item_facts import ItemFacts
from domain.item import Item
from tests.support.blends import fit_blend
from tests.support.histories import history, part, random_histories
from training.collaborative.ease import EaseSettings
from training.ranking.blend import BlendScorer
from training.ranking.candidates import CandidateRules, candidates_of
from training.ranking.examples import ExampleSettings, cross_fitted_examples, hold_out_of
from training.ranking.ranker import Ranker, RankerSettings, RankModel, train_ranker
from training.ranking.recall_settings import RecallSettings
from training.ranking.sources import RecallRecipe, SourceScorer, fit_sources

COUNT = 24
HISTORIES = random_histories(60, COUNT, 11)
SETTINGS = RecallSettings(ease=EaseSettings(regularisation=5.0))
BLEND = Blend({"collaborative": 1.0})
QUICK = RankerSettings(hidden=(8,), members=2, epochs=5)


@pytest.fixture(scope="module")
def facts():
    vectors = np.eye(3, dtype=np.float32)[np.arange(COUNT) % 3] * 0.8
    vectors = np.hstack([vectors, np.full((COUNT, 1), 0.6, np.float32)])
    items = [Item(str(n), f"item {n}", "", attributes={"kind": str(n % 3)}) for n in range(COUNT)]
    return replace(ItemFacts.of_items(items), vectors=vectors, mean=vectors.mean(axis=0))


@pytest.fixture(scope="module")
def examples(facts):
    return cross_fitted_examples(
        HISTORIES, RecallRecipe(facts, SETTINGS), ExampleSettings(draws=1, short_share=0), 1, BLEND
    )


@pytest.fixture(scope="module")
def model(examples):
    return train_ranker(examples, QUICK, 1)


def test_questions_hide_their_answers(examples):
    for row in range(len(examples.group)):
        own = HISTORIES[examples.group[row]].rows
        asked = examples.rows[row][examples.mask[row]]
        known = np.setdiff1d(own, asked[examples.chosen[row][examples.mask[row]]])
        assert not np.isin(asked, known[: len(own) - examples.target_count[row]]).all()
        assert len(np.unique(asked)) == len(asked)
    assert np.array_equal(examples.mask, examples.rows >= 0)
    assert not examples.features[~examples.mask].any()
    assert (examples.chosen.sum(axis=1) <= examples.target_count).all()


def test_sources_are_fitted_without_the_users_asked(facts):
    """A user with a pair of their own: in-sample sources would link the pair, cross-fitted ones cannot."""
    loner = history(COUNT - 2, COUNT - 1)
    others = tuple(replace(one, rows=one.rows[one.rows < COUNT - 2]) for one in HISTORIES)
    others = tuple(history(*one.rows) for one in others if len(one.rows))
    asked = cross_fitted_examples((*others, loner), RecallRecipe(facts, SETTINGS), ExampleSettings(draws=1), 3, BLEND)
    own = np.flatnonzero(asked.group == len(others))
    assert not asked.features[own, :, FEATURE_NAMES.index("collaborative")].any()


def test_late_events_are_asked_of_sources_that_know_only_what_came_before(facts):
    """Of two pairs that nobody else has, the sources know the one that came before, not the one to be found."""
    loner = history(COUNT - 4, COUNT - 3, COUNT - 2, COUNT - 1)
    others = tuple(replace(one, rows=one.rows[one.rows < COUNT - 4]) for one in HISTORIES)
    others = tuple(history(*one.rows) for one in others if len(one.rows))
    fitted = []

    def seen(histories, content):
        fitted.extend(histories)

    recipe = RecallRecipe(facts, SETTINGS, seen)
    asked = cross_fitted_examples(
        (*others, loner), recipe, ExampleSettings("last", late_draws=2, short_share=0), 3, BLEND
    )
    assert [one.rows.tolist() for one in fitted][-1] == [COUNT - 4, COUNT - 3]
    assert len(fitted) == len(others) + 1  # fitted once
    own = np.flatnonzero(asked.group == len(others))
    assert len(own) == 2
    assert not asked.features[own][asked.chosen[own]][:, FEATURE_NAMES.index("collaborative")].any()


def test_a_pair_of_events_is_asked_once(facts):
    pairs = tuple(history(*one.rows[:2]) for one in HISTORIES if len(one.rows) > 1)
    asked = cross_fitted_examples(pairs, RecallRecipe(facts, SETTINGS), ExampleSettings("last", late_draws=3), 3, BLEND)
    assert len(np.unique(asked.group)) == len(asked.group)


def test_somebody_hardly_known_is_asked_about_too(facts):
    """What is hidden of a history is neither told nor a candidate."""
    settings = ExampleSettings(draws=1, short_share=1.0, short_limit=1)
    asked = cross_fitted_examples(HISTORIES, RecallRecipe(facts, SETTINGS), settings, 1, BLEND)
    lengths = asked.features[:, :, FEATURE_NAMES.index("history_length")][asked.mask]
    assert lengths == pytest.approx(np.log(2))
    for row in range(len(asked.group)):
        own = np.isin(asked.rows[row], HISTORIES[asked.group[row]].rows) & asked.mask[row]
        assert (asked.chosen[row] | ~own).all()


@pytest.mark.parametrize("hold_out", ["random", "last", "items"])
def test_every_way_of_asking(facts, hold_out):
    asked = cross_fitted_examples(
        HISTORIES, RecallRecipe(facts, SETTINGS), ExampleSettings(hold_out=hold_out, draws=2), 1, BLEND
    )
    assert asked.chosen.any()
    assert np.isfinite(asked.features).all()
    if hold_out == "last":
        assert (asked.target_count == 1).all()
    if hold_out == "items":
        assert not asked.features[:, :, FEATURE_NAMES.index("collaborative")].any()


def test_protocols_have_their_questions():
    assert [hold_out_of(name) for name in ("warm-users", "cold-items", "next-item", "given")] == [
        "random",
        "items",
        "last",
        "last",
    ]


def test_candidates_leave_out_the_history_and_what_is_not_allowed(facts):
    recall = fit_sources(HISTORIES, RecallRecipe(facts, SETTINGS))
    allowed = np.arange(COUNT) % 2 == 0
    (described,) = candidates_of(recall, [history(0, 3)], CandidateRules(allowed, 5))
    rows, features = described.rows, described.features
    assert len(rows) == 5
    assert features.shape == (5, len(FEATURE_NAMES))
    assert (rows % 2 == 0).all()
    assert not set(rows) & {0, 3}


def test_the_softmax_of_a_requests_candidates_sums_to_one(model, examples):
    logits = model.logits(examples.features[0][examples.mask[0]])
    assert torch.from_numpy(logits).softmax(0).sum().item() == pytest.approx(1, abs=1e-6)


def test_training_is_reproducible_and_ranks_own_taste_first(facts, model, examples):
    again = train_ranker(examples, QUICK, 1)
    assert np.array_equal(again.logits(examples.features[0]), model.logits(examples.features[0]))
    validation = part(COUNT, ((0, 3), (6, 9)), ((1, 4), (7, 10)))
    fitted = fit_sources(HISTORIES, RecallRecipe(facts, SETTINGS))
    ranker = Ranker(BlendScorer(fitted, fit_blend(fitted, validation)), model)
    scores = ranker.scores([history(0, 3), history(1, 4, 7), history()])
    assert np.isfinite(scores).all()
    assert (np.argsort(-scores[0])[:3] % 3 == 0).all()
    allowed = np.zeros(COUNT, bool)
    allowed[:6] = True
    assert np.argmax(ranker.among(allowed).scores([history(9, 12)])[0]) in (0, 3)


def test_items_beyond_the_candidates_stand_below_in_hybrid_order(facts, model):
    fitted = fit_sources(HISTORIES, RecallRecipe(facts, SETTINGS))
    blend = BlendScorer(fitted, fit_blend(fitted, part(COUNT)))
    ranker = Ranker(blend, model, candidate_limit=4)
    asked = [history(0, 3)]
    candidates = candidates_of(fitted, asked, CandidateRules(np.ones(COUNT, bool), 4))[0].rows
    scores, order = ranker.scores(asked)[0], blend.scores(asked)[0]
    rest = np.setdiff1d(np.arange(COUNT), candidates)
    assert scores[candidates].min() > scores[rest].max()
    assert np.array_equal(np.argsort(-scores[rest], kind="stable"), np.argsort(-order[rest], kind="stable"))


def test_saved_and_loaded(tmp_path, model, examples):
    model.save(tmp_path / "ranker")
    loaded = RankModel.load(tmp_path / "ranker")
    assert np.array_equal(loaded.logits(examples.features[0]), model.logits(examples.features[0]))
    assert loaded.calibration == model.calibration


def test_probabilities_come_true_on_average(model, examples):
    probabilities = model.calibration.probabilities(model.logits(examples.features)[examples.mask])
    assert probabilities.mean() == pytest.approx(examples.chosen[examples.mask].mean(), rel=0.5)


def test_nothing_to_learn_from(facts, examples):
    with pytest.raises(ValueError, match="two and more"):
        cross_fitted_examples((history(0), history(1)), RecallRecipe(facts, SETTINGS), ExampleSettings(), 1, BLEND)
    with pytest.raises(ValueError, match="recall found none"):
        train_ranker(replace(examples, chosen=np.zeros_like(examples.chosen)), QUICK)


class ByTaste:
    """A tower that knows items by their taste."""

    def item_vectors(self):
        return np.eye(3, dtype=np.float32)[np.arange(COUNT) % 3]

    def user_vectors(self, histories):
        items = self.item_vectors()
        return np.stack([items[one.rows].mean(axis=0) if len(one) else np.zeros(3, np.float32) for one in histories])


def test_without_validation_a_tower_counts_like_every_source(facts):
    recall = fit_sources(HISTORIES, RecallRecipe(facts, SETTINGS, lambda histories, content: ByTaste()))
    blend = fit_blend(recall, part(COUNT))
    assert dict(blend.weights) == dict.fromkeys({source.name for source in recall.sources} - {"popular"}, 1.0)
    assert "user_tower" in blend.weights


def test_a_tower_recalls_and_is_a_feature(facts):
    recipe = RecallRecipe(facts, SETTINGS, lambda histories, content: ByTaste())
    recall = fit_sources(HISTORIES, recipe)
    assert np.argmax(SourceScorer(recall, "user_tower").scores([history(1)])[0]) % 3 == 1
    features = candidates_of(recall, [history(1)], CandidateRules(np.ones(COUNT, bool), COUNT))[0].features
    assert features[:, FEATURE_NAMES.index("tower")].max() == 1
    assert features[:, FEATURE_NAMES.index("reciprocal_rank_user_tower")].max() == 1


def test_what_was_absent_in_training_does_not_steer(model, examples):
    asked = examples.features[:1].copy()
    asked[:, :, FEATURE_NAMES.index("tower")] = np.random.default_rng(0).normal(size=asked.shape[1])
    assert np.allclose(model.logits(asked), model.logits(examples.features[:1]), atol=1e-5)
