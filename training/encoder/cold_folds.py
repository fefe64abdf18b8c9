"""Simulated cold items: some of the known items are taken out of every history and have to be found by their text."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, diags_array

from core.metrics import binary_ndcg
from training.encoder.semantic import centred_queries

_SHALLOW = 20
_DEEP = 100
_CHUNK = 512
# More users make the metrics hardly more exact, and cost time.
_MOST_USERS = 2_000


@dataclass(frozen=True)
class ColdMetrics:
    """Means over users and folds: Recall@20 and NDCG@100 with the definitions of the quality protocol."""

    recall_at_20: float
    ndcg_at_100: float

    def __str__(self) -> str:
        return f"Recall@20 {self.recall_at_20:.4f}, NDCG@100 {self.ndcg_at_100:.4f}"


@dataclass(frozen=True)
class ColdFold:
    """One set of simulated cold items.

    Attributes:
        consumed: float32[users, n], the remaining interactions.
        held_out: int64[C], the items taken out; the candidates.
        cases: csr of [cases, C], above 0 where the case's user had to do with the item.
        sources: float32[cases, n], the remaining histories of these users.
    """

    consumed: csr_array
    held_out: np.ndarray
    cases: csr_array
    sources: csr_array

    def metrics(self, vectors: np.ndarray) -> ColdMetrics:
        """Evaluates item vectors, float32[n, d], by the centred mean query of each history."""
        has_vector = vectors.any(axis=1)
        mean = vectors[has_vector].mean(axis=0) if has_vector.any() else np.zeros(vectors.shape[1], np.float32)
        recalls, gains = [], []
        for start in range(0, self.cases.shape[0], _CHUNK):
            queries = centred_queries(self.sources[start : start + _CHUNK], vectors, mean)
            recall, gain = _measured(
                queries @ vectors[self.held_out].T, self.cases[start : start + _CHUNK].toarray() > 0
            )
            recalls.append(recall)
            gains.append(gain)
        if not recalls:
            return ColdMetrics(0.0, 0.0)
        return ColdMetrics(float(np.concatenate(recalls).mean()), float(np.concatenate(gains).mean()))


def cold_folds(consumed: csr_array, allowed: np.ndarray, count: int, seed: int, share: float = 0.2) -> list[ColdFold]:
    """Returns `count` folds of disjoint items while there are any, each with `share` of the consumed, allowed items.

    Args:
        consumed: float32[users, n].
        allowed: bool[n], items that may be taken out.
        count: of folds; at most 1 / share.
        seed: of the items taken out, and of the users evaluated where there are many.
        share: of the items.
    """
    generator = np.random.default_rng(seed)
    pool = np.flatnonzero((np.asarray(consumed.sum(axis=0)).ravel() > 0) & allowed)
    pool = generator.permutation(pool)
    size = int(len(pool) * share)
    folds = []
    for number in range(count):
        held_out = np.sort(pool[number * size : (number + 1) * size])
        if not len(held_out):
            break
        folds.append(_fold(consumed, held_out, generator))
    return folds


def mean_metrics(metrics: list[ColdMetrics]) -> ColdMetrics:
    """Returns the mean over folds; zeros for none."""
    if not metrics:
        return ColdMetrics(0.0, 0.0)
    return ColdMetrics(
        sum(fold.recall_at_20 for fold in metrics) / len(metrics),
        sum(fold.ndcg_at_100 for fold in metrics) / len(metrics),
    )


def _fold(consumed: csr_array, held_out: np.ndarray, generator: np.random.Generator) -> ColdFold:
    keep = np.ones(consumed.shape[1], np.float32)
    keep[held_out] = 0
    remaining = csr_array(consumed @ diags_array(keep))
    remaining.eliminate_zeros()
    targets = csr_array(consumed[:, held_out])
    users = np.flatnonzero((np.diff(remaining.indptr) > 0) & (np.diff(targets.indptr) > 0))
    if len(users) > _MOST_USERS:
        users = np.sort(generator.choice(users, _MOST_USERS, replace=False))
    return ColdFold(remaining, held_out, csr_array(targets[users]), csr_array(remaining[users]))


def _measured(scores: np.ndarray, relevant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall@20 and NDCG@100 by row, float64[B] each; equal scores by place."""
    top = np.argsort(-scores, axis=1, kind="stable")[:, :_DEEP]
    hits = np.take_along_axis(relevant, top, axis=1)
    count = relevant.sum(axis=1)
    return hits[:, :_SHALLOW].sum(axis=1) / np.minimum(count, _SHALLOW), binary_ndcg(hits, count, _DEEP)
