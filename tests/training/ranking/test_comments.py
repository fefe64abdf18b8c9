"""A user with comments: what training shows the ranker is what a gateway shows it."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from core.aspects.extract import ASPECTS
from core.ranking.features import FEATURE_NAMES, FeatureScaler
from core.ranking.item_facts import ItemFacts
from core.retrieval.source import recall_lists
from domain.event import Event, EventKind
from domain.item import Item
from domain.recommendation import RecommendQuery
from server.stages.history import read_history
from server.stages.rank import rank_input
from server.stages.recall import Recalled
from tests.support.dict_catalogue import DictCatalogue
from tests.support.histories import random_histories
from training.collaborative.ease import EaseSettings
from training.interactions.positives import read_positives
from training.interactions.table import Interactions
from training.ranking.candidates import CandidateRules, candidates_of
from training.ranking.recall_settings import RecallSettings
from training.ranking.sources import RecallRecipe, fit_sources

COUNT = 24
IDS = tuple(f"item {n:02}" for n in range(COUNT))
COMMENTS = ("", "Overpriced.", "friendly service " * 200)


@pytest.fixture(scope="module")
def fitted():
    items = [Item(item_id, item_id, "") for item_id in IDS]
    aspects = np.random.default_rng(1).uniform(-1, 1, (COUNT, len(ASPECTS))).astype(np.float32)
    vectors = np.eye(COUNT, 8, dtype=np.float32) + np.eye(8, dtype=np.float32)[np.arange(COUNT) % 8] / 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    facts = replace(ItemFacts.of_items(items), vectors=vectors, mean=vectors.mean(axis=0), aspects=aspects)
    settings = RecallSettings(ease=EaseSettings(regularisation=5.0))
    return fit_sources(random_histories(40, COUNT, 5), RecallRecipe(facts, settings))


def trained_history(times_s):
    """The history that training makes of a file with comments."""
    count = len(COMMENTS)
    interactions = Interactions(
        ("ann", "ben"),
        IDS[: count + 1],
        user=np.array([0] * count + [1]),
        item=np.arange(count + 1),
        order=np.array([*times_s, 0.0]),
        time_s=np.array([*times_s, 0.0]),
        text=np.array([*COMMENTS, "Cheap."], object),
    )
    (_, chosen), _ = read_positives(interactions, IDS).users(1)
    return chosen.history(slice(None), time.time())


def served_features(fitted, rows, times_s):
    """The features that a gateway makes for these candidates."""
    vectors = fitted.facts.vectors
    entries = {item_id: (Item(item_id, item_id, ""), vectors[row]) for row, item_id in enumerate(IDS)}
    release = SimpleNamespace(catalogue=DictCatalogue(entries, {}), aspects=object(), template=None)
    events = tuple(
        Event(item_id, EventKind.LIKE, time_s, comment=comment)
        for item_id, time_s, comment in zip(IDS, times_s, COMMENTS, strict=False)
    )
    history = read_history(RecommendQuery(events=events), release)
    query = fitted.queries([history.events])[0]
    blocked = np.zeros(COUNT, bool)
    blocked[list(history.seen_rows)] = True
    answering = [source for source in fitted.sources.answering(query) if source.name in fitted.list_lengths]
    lists = recall_lists(answering, query, fitted.list_lengths, blocked)
    scaling = SimpleNamespace(scaler=FeatureScaler.fitted(np.zeros((1, len(FEATURE_NAMES)), np.float32)))
    ranker = SimpleNamespace(facts=fitted.facts, scaling=scaling, most_candidates=COUNT)
    return rank_input(ranker, history, Recalled(query, tuple(lists)), release, rows).unscaled


def test_features_of_a_user_with_comments_are_those_of_serving(fitted):
    times_s = time.time() - np.array([5000.0, 3000.0, 1000.0])
    history = trained_history(times_s)
    rules = CandidateRules(np.ones(COUNT, bool), COUNT)
    trained, silent = candidates_of(fitted, [history, replace(history, comments=history.comments[:0])], rules)
    assert trained.features == pytest.approx(served_features(fitted, trained.rows, times_s), abs=1e-4)
    affinity = FEATURE_NAMES.index("aspect_affinity")
    assert np.abs(trained.features[:, affinity] - silent.features[:, affinity]).max() > 0.1


def test_a_comment_on_what_is_to_be_found_is_not_told():
    """A question about the last event, or about some of them, has the comments of the others alone."""
    history = trained_history(np.array([1.0, 2.0, 3.0]))
    assert history.before(2).comments.tolist() == list(COMMENTS[:2])
    assert history.take(np.array([True, False, True])).comments.tolist() == [COMMENTS[0], COMMENTS[2]]
    assert history.take(slice(-1, None)).comments.tolist() == [COMMENTS[2]]
