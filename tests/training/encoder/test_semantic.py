import numpy as np

from core.events import EventSequence
from training.encoder.semantic import SemanticScorer


def _history(*rows):
    return EventSequence(np.array(rows, np.int64), np.zeros(len(rows), np.int64), np.zeros(len(rows), np.float32))


def _unit(count, width, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, width)) + 1
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_the_score_is_the_cosine_with_the_centred_mean_of_the_history():
    vectors = _unit(6, 4)
    scorer = SemanticScorer.of(vectors)
    query = (vectors[[1, 4]] - vectors.mean(axis=0)).mean(axis=0)
    expected = vectors @ query / np.linalg.norm(query)
    np.testing.assert_allclose(scorer.scores([_history(1, 4)])[0], expected, rtol=1e-5)


def test_items_without_text_are_never_recommended_and_have_no_say():
    vectors = _unit(6, 4)
    vectors[2] = 0
    scorer = SemanticScorer.of(vectors)
    np.testing.assert_allclose(scorer.mean, vectors[[0, 1, 3, 4, 5]].mean(axis=0), rtol=1e-5)
    scores = scorer.scores([_history(1), _history(1, 2), _history(2)])
    assert (scores[:, 2] == -np.inf).all()
    np.testing.assert_allclose(scores[0, [0, 1, 3]], scores[1, [0, 1, 3]], rtol=1e-5)
    assert (scores[2, [0, 1, 3]] == 0).all()


def test_an_empty_history_scores_every_item_the_same():
    scorer = SemanticScorer.of(_unit(5, 3))
    assert (scorer.scores([_history()]) == 0).all()
