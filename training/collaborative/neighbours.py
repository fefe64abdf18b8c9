"""Neighbourhood models: item-kNN and user-kNN, and what serving reads of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_array

from core.events import EventSequence
from core.retrieval.item_neighbours import NeighbourTable
from core.retrieval.similar_users import Neighbourhood, SimilarUsersSource
from training.splits.selection import Selection, best_on_grid
from training.splits.split import interaction_matrix

# Of the users that are drawn where there are too many.
_USER_SEED = 0


@dataclass(frozen=True)
class ItemNeighboursSettings:
    """Settings of the similarity of items, and of the table.

    Attributes:
        count: neighbours kept by item.
        shrinkage: added to the norms' product, so that few common users give little similarity.
        tried: (count, shrinkage) pairs that `choose_item_neighbours` compares.
    """

    count: int = 200
    shrinkage: float = 10.0
    tried: tuple[tuple[int, float], ...] = field(
        default=tuple((count, shrinkage) for count in (20, 50, 200) for shrinkage in (0.0, 5.0, 20.0)), repr=False
    )


@dataclass(frozen=True)
class UserNeighboursSettings:
    """Settings of the neighbourhood of users.

    Attributes:
        count: neighbours that vote.
        shrinkage: added to the norms' product.
        user_limit: most users that may vote in a release, drawn; 0 keeps nobody's choices there.
        tried: (count, shrinkage) pairs that `choose_user_neighbours` compares.
    """

    count: int = 100
    shrinkage: float = 5.0
    user_limit: int = 20_000
    tried: tuple[tuple[int, float], ...] = field(
        default=tuple((count, shrinkage) for count in (50, 100, 200) for shrinkage in (0.0, 10.0)), repr=False
    )


class NeighbourScorer:
    """Scorer by a neighbour table: score(j) = sum over the history's items i of weight(i, j)."""

    def __init__(self, table: NeighbourTable) -> None:
        """Takes each item's neighbours, strongest first."""
        self.table = table
        rows, weights = table.rows, table.weights
        kept = rows >= 0
        ends = np.concatenate(([0], np.cumsum(kept.sum(axis=1))))
        self._matrix = csr_array((weights[kept], rows[kept], ends), shape=(len(rows), len(rows)))

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]; 0 for items that are no item's neighbour."""
        chosen = interaction_matrix(histories, len(self.table))
        return np.asarray((chosen @ self._matrix).toarray(), np.float32)


class UserNeighbours:
    """Scorer by the choices of the users with the most similar histories."""

    def __init__(self, matrix: csr_array, settings: UserNeighboursSettings) -> None:
        """Takes float32[users, n], the training users' histories."""
        self._matrix = matrix
        self._norms = np.sqrt(matrix.sum(axis=1))
        self._settings = settings

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]: the neighbours' similarities summed by item."""
        chosen = interaction_matrix(histories, self._matrix.shape[1])
        scale = np.outer(np.sqrt(chosen.sum(axis=1)), self._norms) + self._settings.shrinkage
        similarity = (chosen @ self._matrix.T).toarray() / np.maximum(scale, 1e-9)
        count = self._settings.count
        if count < similarity.shape[1]:
            edge = np.partition(similarity, -count, axis=1)[:, -count]
            similarity[similarity < edge[:, None]] = 0
        return np.asarray((csr_array(similarity) @ self._matrix).toarray(), np.float32)


def fit_item_neighbours(
    histories: Sequence[EventSequence], item_count: int, settings: ItemNeighboursSettings | None = None
) -> NeighbourTable:
    """Computes shrunk cosines, c_ij / (sqrt(c_i c_j) + shrinkage), c counting users; keeps the strongest by item."""
    settings = settings or ItemNeighboursSettings()
    matrix = interaction_matrix(histories, item_count)
    norms = np.sqrt(matrix.sum(axis=0))
    together = (matrix.T @ matrix).tocoo()
    i, j = together.coords
    apart = i != j
    i, j = i[apart], j[apart]
    weights = together.data[apart] / (norms[i] * norms[j] + settings.shrinkage)
    return strongest_neighbours(csr_array((weights, (i, j)), shape=together.shape), settings.count)


def fit_user_neighbours(
    histories: Sequence[EventSequence], item_count: int, settings: UserNeighboursSettings | None = None
) -> UserNeighbours:
    """Keeps the training users' histories."""
    return UserNeighbours(interaction_matrix(histories, item_count), settings or UserNeighboursSettings())


def fit_similar_users(
    histories: Sequence[EventSequence], item_count: int, settings: UserNeighboursSettings | None = None
) -> SimilarUsersSource:
    """Returns user-kNN as a recall source, over at most `user_limit` users, drawn by a fixed seed."""
    settings = settings or UserNeighboursSettings()
    places = np.arange(len(histories))
    if len(histories) > settings.user_limit:
        drawn = np.random.default_rng(_USER_SEED).choice(len(histories), settings.user_limit, replace=False)
        places = np.sort(drawn)
    matrix = interaction_matrix([histories[place] for place in places.tolist()], item_count)
    neighbourhood = Neighbourhood(settings.count, settings.shrinkage)
    return SimilarUsersSource(matrix.indptr, matrix.indices, item_count, neighbourhood)


def strongest_neighbours(weights: csr_array, count: int) -> NeighbourTable:
    """Keeps the `count` largest weights of each row of float32[n, n] that are above 0, equal weights by column."""
    item_count = weights.shape[0]
    width = max(1, min(count, item_count - 1))
    rows = np.full((item_count, width), -1, np.int32)
    kept = np.zeros((item_count, width), np.float32)
    matrix = csr_array(weights)
    matrix.sort_indices()
    for item in range(item_count):
        span = slice(matrix.indptr[item], matrix.indptr[item + 1])
        columns, values = matrix.indices[span], matrix.data[span]
        order = np.argsort(-values, kind="stable")[:width]
        order = order[values[order] > 0]
        rows[item, : len(order)] = columns[order]
        kept[item, : len(order)] = values[order]
    return NeighbourTable(rows, kept)


def choose_item_neighbours(
    histories: Sequence[EventSequence],
    item_count: int,
    selection: Selection,
    settings: ItemNeighboursSettings | None = None,
) -> ItemNeighboursSettings:
    """Returns the settings with the best validation metric among `settings.tried`, or beyond their edge."""
    chosen = settings or ItemNeighboursSettings()
    return best_on_grid(
        chosen.tried,
        lambda point: replace(chosen, count=int(point[0]), shrinkage=point[1]),
        lambda candidate: NeighbourScorer(fit_item_neighbours(histories, item_count, candidate)),
        selection,
    )


def choose_user_neighbours(
    histories: Sequence[EventSequence],
    item_count: int,
    selection: Selection,
    settings: UserNeighboursSettings | None = None,
) -> UserNeighboursSettings:
    """Returns the settings with the best validation metric among `settings.tried`, or beyond their edge."""
    chosen = settings or UserNeighboursSettings()
    return best_on_grid(
        chosen.tried,
        lambda point: replace(chosen, count=int(point[0]), shrinkage=point[1]),
        lambda setting: fit_user_neighbours(histories, item_count, setting),
        selection,
    )
