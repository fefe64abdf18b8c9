"""EASE: a linear item-item model in closed form (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data")."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_array, vstack

from core.events import EventSequence
from core.retrieval.item_neighbours import NeighbourTable
from training.splits.selection import Selection, best_on_scale
from training.splits.split import interaction_matrix, met_matrix


@dataclass(frozen=True)
class EaseSettings:
    """Strength of the ridge, and size of the model.

    Attributes:
        regularisation: lambda of the ridge, in users.
        impression_weight: weight of an impression (see `EventSequence.impressions`); 0 leaves them out.
        tried: lambdas that `choose_ease` compares; where the first or last is best, it goes on beyond.
        item_cap: items that take part, the most popular first; the dense inverse takes 4 item_cap^2 bytes twice.
    """

    regularisation: float = 300.0
    impression_weight: float = 0.0
    tried: tuple[float, ...] = field(default=(30.0, 100.0, 300.0, 1000.0, 3000.0), repr=False)
    item_cap: int = 12_000


class Ease:
    """Scorer by B: score(j) = sum over the history's items i of B_ij."""

    def __init__(self, rows: np.ndarray, weights: np.ndarray, item_count: int) -> None:
        """Takes int64[m] rows that take part, and float32[m, m] weights between them, zero on the diagonal."""
        self.rows = rows
        self.weights = weights
        self.item_count = item_count

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]; -inf for items that took no part in training."""
        scores = np.full((len(histories), self.item_count), -np.inf, np.float32)
        chosen = interaction_matrix(histories, self.item_count)[:, self.rows]
        scores[:, self.rows] = chosen @ self.weights
        return scores

    def table(self, count: int) -> NeighbourTable:
        """Returns each item's `count` strongest neighbours by absolute weight; negative weights are kept."""
        width = max(1, min(count, len(self.rows) - 1))
        rows = np.full((self.item_count, width), -1, np.int32)
        kept = np.zeros((self.item_count, width), np.float32)
        for place, item in enumerate(self.rows):
            strength = np.abs(self.weights[place])
            top = np.argpartition(-strength, min(width, len(strength) - 1))[:width]
            top = top[np.lexsort((top, -strength[top]))]
            top = top[strength[top] > 0]
            rows[item, : len(top)] = self.rows[top]
            kept[item, : len(top)] = self.weights[place, top]
        return NeighbourTable(rows, kept)


def fit_ease(
    histories: Sequence[EventSequence],
    item_count: int,
    settings: EaseSettings | None = None,
    side: np.ndarray | None = None,
    side_weight: float = 0.0,
) -> Ease:
    """Solves B = I - P diag(1 / diag P), P = (X'X + lambda I)^-1, over the items that occur.

    Columns of side information are appended to X as if each were a user who likes items to a degree (Jeunen et al.
    2020, "Closed-form models for collaborative filtering with side-information").

    Args:
        histories: training users.
        item_count: n.
        settings: of the ridge.
        side: float32[n, d], for example centred content vectors; each row is brought to unit length.
        side_weight: weight of a unit of similarity in it, in users who like both.

    Raises:
        ValueError: no history holds an item, or lambda is not above 0.
    """
    settings = settings or EaseSettings()
    if settings.regularisation <= 0:
        raise ValueError(f"regularisation is {settings.regularisation}; give a number above 0")
    rows = _taking_part(interaction_matrix(histories, item_count), settings.item_cap)
    matrix = met_matrix(histories, item_count, settings.impression_weight)[:, rows]
    if side is not None and side_weight > 0:
        matrix = vstack([matrix, csr_array(_side_rows(side[rows], side_weight))]).tocsr()
    return Ease(rows, ease_weights(matrix, settings.regularisation), item_count)


def _side_rows(side: np.ndarray, weight: float) -> np.ndarray:
    """Returns float32[d, m], whose inner products are the similarities of float32[m, d] times the weight."""
    lengths = np.linalg.norm(side, axis=1, keepdims=True)
    scaled = np.sqrt(weight) * side / np.maximum(lengths, 1e-9)
    return np.ascontiguousarray(scaled.T, dtype=np.float32)


def ease_weights(matrix: csr_array, regularisation: float) -> np.ndarray:
    """Returns float32[m, m], EASE's weights for float32[users, m]."""
    precision = inverse_gram(matrix, regularisation)
    weights = precision
    weights /= -np.diag(precision).copy()
    np.fill_diagonal(weights, 0)
    return weights


def inverse_gram(matrix: csr_array, regularisation: float) -> np.ndarray:
    """Returns float32[m, m], (X'X + lambda I)^-1 for X float32[users, m].

    With fewer users than items the inverse is taken on the users' side (Woodbury):
    (I - X'(XX' + lambda I)^-1 X) / lambda.
    """
    users, items = matrix.shape
    if users >= items:
        return _inverse((matrix.T @ matrix).toarray(), regularisation)
    dense = matrix.toarray()
    inner = _inverse((matrix @ matrix.T).toarray(), regularisation)
    outer: np.ndarray = dense.T @ (inner @ dense)
    outer *= -1 / regularisation
    outer[np.diag_indices(items)] += 1 / regularisation
    return outer


def _inverse(gram: np.ndarray, regularisation: float) -> np.ndarray:
    """Returns (gram + regularisation I)^-1 of a symmetric float32[m, m] by Cholesky, in its own memory."""
    gram = np.asfortranarray(gram, dtype=np.float32)
    gram[np.diag_indices(len(gram))] += np.float32(regularisation)
    factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
    if failed:
        raise ValueError(f"the co-occurrence matrix is not positive definite; raise regularisation ({regularisation})")
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    # spotri fills the lower triangle only.
    for row in range(len(inverse)):
        inverse[row, row + 1 :] = inverse[row + 1 :, row]
    return np.asarray(inverse)


def _taking_part(matrix: csr_array, cap: int) -> np.ndarray:
    """Returns int64[<= cap], the rows that occur, the most popular where there are more than `cap`, in order."""
    counts = matrix.sum(axis=0)
    rows = np.flatnonzero(counts)
    if not len(rows):
        raise ValueError("no training history holds an item; EASE needs at least one interaction")
    if len(rows) > cap:
        rows = np.sort(rows[np.argsort(-counts[rows], kind="stable")[:cap]])
    return rows


def choose_ease(
    histories: Sequence[EventSequence],
    item_count: int,
    selection: Selection,
    settings: EaseSettings | None = None,
) -> EaseSettings:
    """Returns the settings with the best validation metric by lambdas of `settings.tried`, or beyond their ends."""
    settings = settings or EaseSettings()
    return best_on_scale(
        settings.tried,
        lambda value: replace(settings, regularisation=value),
        lambda setting: fit_ease(histories, item_count, setting),
        selection,
    )
