import numpy as np
from scipy.sparse import csr_array

from training.encoder.cold_folds import cold_folds


def test_what_is_held_is_gone_from_the_histories_and_asked_for():
    consumed = csr_array(np.random.default_rng(0).random((30, 20)) < 0.4).astype(np.float32)
    allowed = np.arange(20) < 15
    folds = cold_folds(consumed, allowed, 5, seed=1)
    assert sorted(row for fold in folds for row in fold.held_out) == list(range(15))
    for fold in folds:
        dense = fold.consumed.toarray()
        assert (dense[:, fold.held_out] == 0).all()
        rest = np.setdiff1d(np.arange(20), fold.held_out)
        np.testing.assert_array_equal(dense[:, rest], consumed.toarray()[:, rest])
        assert (fold.cases.sum(axis=1) > 0).all()
        assert (fold.sources.sum(axis=1) > 0).all()


def test_figures_by_hand():
    # Two groups of items; a user of either likes two of its own, of which one is held.
    vectors = np.repeat(np.eye(2, 3, dtype=np.float32), 5, axis=0)
    vectors[:, 2] = np.tile([0, 0.1, 0.2, 0.3, 0.4], 2)
    consumed = np.zeros((1, 10), np.float32)
    consumed[0, [0, 1, 2, 3, 4]] = 1
    fold = next(fold for fold in cold_folds(csr_array(consumed), np.arange(10) < 5, 5, seed=0) if 4 in fold.held_out)
    assert fold.held_out.tolist() == [4]
    found = fold.metrics(vectors)
    assert (found.recall_at_20, found.ndcg_at_100) == (1, 1)


def test_ranks_count_by_the_logarithm():
    vectors = np.array([[1, 0], [1, 0.1], [0.9, 0.5], [0, 1], [-1, 0.2], [-1, 0]], np.float32)
    consumed = np.zeros((2, 6), np.float32)
    consumed[0, [0, 3]] = 1
    consumed[1, [0, 1, 2, 3, 4, 5]] = 1
    for fold in cold_folds(csr_array(consumed), np.ones(6, bool), 1, seed=3, share=0.5):
        scores = []
        mean = vectors.mean(axis=0)
        for source, target in zip(fold.sources.toarray() > 0, fold.cases.toarray() > 0, strict=True):
            query = (vectors[source] - mean).sum(axis=0)
            order = np.argsort(-(vectors[fold.held_out] @ query), kind="stable")
            gains = target[order] / np.log2(np.arange(len(order)) + 2)
            scores.append(gains.sum() / (1 / np.log2(np.arange(target.sum()) + 2)).sum())
        assert abs(fold.metrics(vectors).ndcg_at_100 - np.mean(scores)) < 1e-9
