"""Exact search over a moment of a catalogue, whatever holds its vectors."""

import numpy as np

from core.vectors import top_rows
from server.catalogue.catalogue import Catalogue


def exact_nearest(
    catalogue: Catalogue, vector: np.ndarray, count: int, rows: np.ndarray, at_once: int = 8_192
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the nearest rows int64[k] and their inner products float32[k], by looking at every given row.

    Args:
        catalogue: a moment of it.
        vector: float32[d], unit.
        count: how many.
        rows: int64[m], among which; items without a vector are left out.
        at_once: rows whose vectors are read together.
    """
    best, scores = np.empty(0, np.int64), np.empty(0, np.float32)
    for start in range(0, len(rows), at_once):
        turn = rows[start : start + at_once]
        vectors = catalogue.vectors_of(turn)
        says = vectors.any(axis=1)
        best = np.concatenate([best, turn[says]])
        scores = np.concatenate([scores, (vectors[says] @ vector).astype(np.float32)])
        best, scores = top_rows(scores, best, count)
    return best, scores
