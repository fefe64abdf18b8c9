"""Arithmetic on vectors: unit length, the catalogue's mean, a history's query, exact search."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.row_order import RowOrder, best_first

UNIT_TOLERANCE = 1e-3
# Inner products of unit vectors that are equal differ by less, by where they stand in a matrix.
ROUNDING = 1e-6
# Vectors may be mapped from a file: a pass over them holds so many.
_ROWS_AT_ONCE = 8_192


def unit(vectors: np.ndarray, least_norm: float = 0.0) -> np.ndarray:
    """Returns float[..., d] of unit length along the last axis; zeros where the norm is not above `least_norm`."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > least_norm)
    return np.asarray(scaled)


def check_unit(vectors: np.ndarray) -> None:
    """Checks float32[n, d] vectors: finite and of unit length, since NaN or zero vectors poison a graph silently.

    Raises:
        ValueError: a row is not; the message names the first one.
    """
    starts = range(0, len(vectors), _ROWS_AT_ONCE)
    norms = np.concatenate([np.linalg.norm(vectors[at : at + _ROWS_AT_ONCE], axis=1) for at in starts] or [np.empty(0)])
    bad = np.flatnonzero(~(np.abs(norms - 1.0) <= UNIT_TOLERANCE))
    if bad.size:
        raise ValueError(f"vector {bad[0]} is not of unit length (norm {norms[bad[0]]:.4f}); {bad.size} such vectors")


def mapped_vectors(path: Path) -> np.ndarray:
    """Returns float32[n, d] mapped from a .npy file, read-only: it takes no memory that others cannot have.

    Raises:
        OSError, ValueError: the file is not such an array.
    """
    vectors: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    # An array like others: rows that are taken of it are plain copies.
    return vectors.view(np.ndarray)


def history_query(vectors: np.ndarray, mean: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray | None:
    """Returns a history's query: normalise(mean(v_i - mu)), or with weights normalise(sum(w_i (v_i - mu))).

    Subtracting the catalogue's mean vector mu doubles recall of cold items on movielens-small; a raw inner product with
    the result gives the centred order, since mu . u is the same for every item.

    Args:
        vectors: float32[n, d], the history's items.
        mean: float32[d], mean over the catalogue.
        weights: float[n], at least 0; None for equal ones.

    Returns:
        float32[d], unit; None where the history says nothing (no item, or items that cancel out).
    """
    if not len(vectors):
        return None
    query = (vectors - mean).mean(axis=0) if weights is None else weights @ (vectors - mean) / weights.sum()
    norm = float(np.linalg.norm(query))
    return (query / norm).astype(np.float32) if norm > 1e-6 else None


def products(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Returns float32[m], inner products of float32[m, d] with float32[d]; those of equal vectors are equal to the bit.

    A matrix product gives a row another last bit by where it stands among the others.
    """
    found: np.ndarray = np.einsum("ij,j->i", vectors, query)
    return found


def top_rows(
    scores: np.ndarray, rows: np.ndarray, count: int, order: RowOrder | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Orders candidates by score, best first; equal scores by item id, so that the order is always the same.

    Args:
        scores: float32[m], higher is better.
        rows: int64[m], the row of each score.
        count: how many to keep.
        order: of the rows; None where they ascend by id.

    Returns:
        rows int64[min(m, count)] and their scores.
    """
    if 0 < count < len(scores):
        edge = np.partition(scores, len(scores) - count)[len(scores) - count]
        keep = scores >= edge
        scores, rows = scores[keep], rows[keep]
    best = best_first(scores, rows, order)[:count]
    return rows[best], scores[best]


def exact_search(
    vectors: np.ndarray, query: np.ndarray, count: int, blocked: np.ndarray | None = None, order: RowOrder | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the `count` nearest rows by inner product, by looking at every row.

    Args:
        vectors: float32[n, d].
        query: float32[d].
        count: how many, at most n.
        blocked: bool[n], rows that must not be returned.
        order: of the rows; None where they ascend by id.

    Returns:
        rows int64[k] and scores float32[k], best first, k = min(count, rows that are not blocked).
    """
    if blocked is None:
        return top_rows(vectors @ query, np.arange(len(vectors)), count, order)
    rows = np.flatnonzero(~blocked)
    # Few rows: gather them. Many: one pass over all is cheaper than the copy.
    scores = vectors[rows] @ query if 4 * len(rows) < len(vectors) else (vectors @ query)[rows]
    return top_rows(scores, rows, count, order)


def recall_at_k(
    found: Sequence[np.ndarray], exact_scores: np.ndarray, vectors: np.ndarray, queries: np.ndarray
) -> float:
    """Returns the share of the exact k nearest that were found; a found row that ties with the k-th counts.

    Args:
        found: int64[k] rows for each query.
        exact_scores: float32[q, k], scores of the exact k nearest, best first.
        vectors: float32[n, d].
        queries: float32[q, d].
    """
    hits = 0
    for row, (rows, query) in enumerate(zip(found, queries, strict=True)):
        hits += int((vectors[rows] @ query >= exact_scores[row, -1] - 1e-6).sum())
    return hits / exact_scores.size
