"""Weights in eight bits, each rounded so that it makes up for what those before it lost (GPTQ)."""

import numpy as np
from numpy.typing import NDArray

LEVELS = 127
_TINY = 1e-12
_DAMPING = 0.01
_BLOCK = 64
# Beyond it the moments take gigabytes; such weights are rounded to the nearest.
WIDEST = 4096


def column_scales(weights: NDArray[np.float32], pair_limit: int) -> NDArray[np.float32]:
    """Returns the scale float32[N] of each column of float32[K, N].

    Args:
        weights: to be stored as whole numbers of at most 127 times their column's scale.
        pair_limit: what the magnitudes of rows 2k and 2k + 1, as whole numbers, may add up to.
    """
    magnitude = np.abs(weights)
    even = np.pad(magnitude, ((0, len(magnitude) % 2), (0, 0)))
    # Rounding adds at most half a level to each of the two.
    pair = (even[0::2] + even[1::2]).max(axis=0) / (pair_limit - 1)
    return np.asarray(np.maximum(np.maximum(magnitude.max(axis=0) / LEVELS, pair), _TINY), dtype=np.float32)


def to_nearest(weights: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.int8]:
    """Returns int8[K, N], each weight rounded by itself."""
    return np.round(weights / scales).astype(np.int8)


def to_least_error(
    weights: NDArray[np.float32], scales: NDArray[np.float32], moment: NDArray[np.float32], pair_limit: int
) -> NDArray[np.int8]:
    """Returns int8[K, N] whose products with inputs like those seen differ least from the weights' own.

    Row after row is rounded, and the rows to come are changed by what that row's error predicts of the product: the
    order goes from the inputs that matter most (Frantar et al. 2022, arXiv:2210.17323, algorithm 1 with act-order).

    Args:
        weights: float32[K, N].
        scales: float32[N], from `column_scales`.
        moment: float32[K, K], mean of x x^T over the inputs x.
        pair_limit: as for `column_scales`; a row gives way where its neighbour came first.
    """
    damped = moment.astype(np.float64)
    damped[np.diag_indices(len(damped))] += _DAMPING * float(np.diag(damped).mean()) + _TINY
    order = np.argsort(-np.diag(damped), kind="stable")
    inverse = np.linalg.inv(damped[np.ix_(order, order)])
    spread = np.linalg.cholesky((inverse + inverse.T) / 2).T
    ahead = weights[order].astype(np.float64) / scales
    levels = np.zeros(weights.shape, dtype=np.int8)
    settled = np.zeros(len(weights), dtype=bool)
    for start in range(0, len(ahead), _BLOCK):
        end = min(start + _BLOCK, len(ahead))
        errors = np.zeros((end - start, weights.shape[1]))
        for place in range(start, end):
            row = int(order[place])
            neighbour = row ^ 1
            taken = np.abs(levels[neighbour].astype(np.int64)) if neighbour < len(settled) and settled[neighbour] else 0
            most = np.minimum(LEVELS, pair_limit - taken)
            levels[row] = np.clip(np.round(ahead[place]), -most, most).astype(np.int8)
            settled[row] = True
            error = (ahead[place] - levels[row]) / spread[place, place]
            errors[place - start] = error
            ahead[place + 1 : end] -= np.outer(spread[place, place + 1 : end], error)
        ahead[end:] -= spread[start:end, end:].T @ errors
    return levels
