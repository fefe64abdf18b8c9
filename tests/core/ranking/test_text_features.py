"""Features of a text's candidates."""

from dataclasses import replace

import numpy as np
import pytest

from core.events import EventSequence
from core.ranking.features import FEATURE_NAMES, rank_features
from core.ranking.item_facts import ItemFacts
from core.ranking.text_features import TEXT_FEATURE_NAMES, TextHistory, TextMatch, text_features
from core.retrieval.lexical_match import MATCH_FEATURES

COUNT = 6
VECTORS = np.eye(COUNT, dtype=np.float32) * 0.8 + 0.1
FACTS = ItemFacts(
    COUNT, VECTORS, VECTORS.mean(axis=0), log_popularity=np.log(np.arange(1, COUNT + 1)).astype(np.float32)
)
ROWS = np.array([1, 3, 4])
MATCHES = np.arange(3 * len(MATCH_FEATURES), dtype=np.float32).reshape(3, -1) / 20
MATCH = TextMatch(ROWS, np.array([0.2, 0.9, 0.4], np.float32), np.array([0.1, np.nan, 0.3], np.float32), MATCHES)
HISTORY = EventSequence(np.array([0, 2]), np.zeros(2, np.int64), np.array([9.0, 1.0], np.float32))


def columns(match: TextMatch = MATCH, history: TextHistory | None = None, facts: ItemFacts = FACTS):
    found = text_features(match, history or TextHistory(EventSequence()), facts)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    return dict(zip(TEXT_FEATURE_NAMES, found.T, strict=True))


def test_every_name_is_one_column():
    assert len(set(TEXT_FEATURE_NAMES)) == len(TEXT_FEATURE_NAMES)


def test_what_the_text_says():
    found = columns()
    assert found["text_score"] == pytest.approx([0.2, 0.9, 0.4])
    assert found["text_score_below_best"] == pytest.approx([-0.7, 0, -0.5])
    assert found["reciprocal_rank_text"] == pytest.approx([11 / 13, 1, 11 / 12])
    assert found["cosine"] == pytest.approx([0.1, 0, 0.3])
    assert found[MATCH_FEATURES[2]] == pytest.approx(MATCHES[:, 2])
    assert found["log_popularity"] == pytest.approx(np.log([2, 4, 5]))
    assert found["text_score_standardised"].mean() == pytest.approx(0, abs=1e-6)


def test_without_a_history_nothing_of_it_is_said():
    found = columns()
    silent = [name for name in FEATURE_NAMES if name in found and not name.startswith("log_popularity")]
    assert not any(found[name].any() for name in ("has_history", "history_z", "history_z_standardised", *silent))


def test_a_history_speaks_as_it_does_to_the_ranker():
    found = columns(history=TextHistory(HISTORY, np.array([40, 1, -2], np.float32)))
    assert (found["has_history"] == 1).all()
    assert found["history_z"] == pytest.approx([10, 1, -2])
    expected = rank_features(HISTORY, ROWS, FACTS)
    for name in ("semantic", "semantic_max", "history_length"):
        assert found[name] == pytest.approx(expected[:, FEATURE_NAMES.index(name)])


def test_words_alone_and_unknown_popularity_are_neutral():
    found = columns(replace(MATCH, matches=None, cosines=np.full(3, np.nan, np.float32)), facts=ItemFacts(COUNT))
    assert not any(found[name].any() for name in (*MATCH_FEATURES, "cosine", "log_popularity"))
