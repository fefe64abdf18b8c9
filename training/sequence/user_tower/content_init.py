"""Where the user tower's item vectors begin: near the items that the same users chose, instead of anywhere.

From there one epoch reaches what random vectors take four for, and the end is better, too.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import diags_array
from scipy.sparse.linalg import svds

from core.events import EventSequence
from training.splits.split import interaction_matrix

_FEWEST = 4


def shared_user_vectors(histories: Sequence[EventSequence], item_count: int, width: int) -> np.ndarray:
    """Returns float32[item_count, width], unit vectors; zeros for items of no history.

    The right singular vectors of the user-item matrix, rows and columns divided by the root of their sums, so that
    neither busy users nor popular items rule. Numbers beyond the matrix's rank are 0; all are if too few users.
    """
    matrix = interaction_matrix(histories, item_count).astype(np.float64)
    found = np.zeros((item_count, width), np.float32)
    rank = min(width, min(matrix.shape) - 1)
    if rank < _FEWEST:
        return found
    users, items = np.maximum(matrix.sum(1), 1), np.maximum(matrix.sum(0), 1)
    scaled = diags_array(users**-0.5) @ matrix @ diags_array(items**-0.5)
    _, _, right = svds(scaled, k=rank, v0=np.ones(min(scaled.shape)))
    found[:, :rank] = right.T
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(length > 1e-6, found / np.maximum(length, 1e-6), 0).astype(np.float32)


def content_projection(content: np.ndarray, wanted: np.ndarray, penalty: float = 1.0) -> np.ndarray:
    """Returns float32[width, d]: the linear map from content to wanted vectors, by ridge regression.

    A penalty of the mean of the content's own spectrum is strong: the map speaks for items that nobody touched.

    Args:
        content: float32[m, d], centred.
        wanted: float32[m, width].
        penalty: in means of the content's spectrum.
    """
    gram = content.T.astype(np.float64) @ content
    ridge = max(penalty * np.trace(gram) / len(gram), 1e-9)
    solved = np.linalg.solve(gram + ridge * np.eye(len(gram)), content.T.astype(np.float64) @ wanted)
    return solved.T.astype(np.float32)
