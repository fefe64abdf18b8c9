"""ALS on implicit feedback (Hu, Koren, Volinsky 2008) by the library `implicit`; any history is folded in as a user."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from core.events import EventSequence
from training.splits.selection import Selection, best_on_grid
from training.splits.split import interaction_matrix

_TRIED = (
    *((32, regularisation, alpha) for regularisation, alpha in ((10.0, 3.0), (10.0, 10.0), (50.0, 10.0))),
    *((128, regularisation, alpha) for regularisation, alpha in ((10.0, 3.0), (10.0, 10.0), (50.0, 10.0))),
    *((256, regularisation, alpha) for regularisation, alpha in ((10.0, 3.0), (50.0, 10.0))),
)


@dataclass(frozen=True)
class AlsSettings:
    """Settings of the factorisation.

    Attributes:
        factors: width of user and item factors.
        regularisation: ridge on both.
        alpha: confidence of an interaction against 1 of its absence.
        iterations: alternations.
        tried: (factors, regularisation, alpha) triples that `choose_als` compares.
        seed: of the initial factors.
    """

    factors: int = 64
    regularisation: float = 10.0
    alpha: float = 10.0
    iterations: int = 15
    tried: tuple[tuple[int, float, float], ...] = field(default=_TRIED, repr=False)
    seed: int = 42


class Als:
    """Scorer with item factors; a history becomes the exact least-squares user."""

    def __init__(self, model: AlternatingLeastSquares, known: np.ndarray) -> None:
        """Takes the fitted library model and bool[n], items that occur in training."""
        self._model = model
        self._known = known

    @property
    def item_factors(self) -> np.ndarray:
        """float32[n, factors]."""
        return np.asarray(self._model.item_factors)

    def users(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, factors], users folded in from their histories."""
        chosen = csr_matrix(interaction_matrix(histories, len(self._known)))
        return np.asarray(self._model.recalculate_user(np.arange(len(histories)), chosen))

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]; -inf for items that never occurred in training."""
        scores: np.ndarray = self.users(histories) @ self.item_factors.T
        scores[:, ~self._known] = -np.inf
        return scores


def fit_als(histories: Sequence[EventSequence], item_count: int, settings: AlsSettings | None = None) -> Als:
    """Fits item factors by alternating least squares."""
    settings = settings or AlsSettings()
    matrix = csr_matrix(interaction_matrix(histories, item_count))
    # The library asks for one BLAS thread, since it has threads of its own; the same seed then gives the same factors.
    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(
            factors=settings.factors,
            regularization=settings.regularisation,
            alpha=settings.alpha,
            iterations=settings.iterations,
            random_state=settings.seed,
            num_threads=1,
        )
        model.fit(matrix, show_progress=False)
    return Als(model, np.asarray(matrix.sum(axis=0)).ravel() > 0)


def choose_als(
    histories: Sequence[EventSequence],
    item_count: int,
    selection: Selection,
    settings: AlsSettings | None = None,
) -> AlsSettings:
    """Returns the settings with the best validation metric among `settings.tried`, or beyond their edge."""
    chosen = settings or AlsSettings()
    return best_on_grid(
        chosen.tried,
        lambda point: replace(chosen, factors=int(point[0]), regularisation=point[1], alpha=point[2]),
        lambda setting: fit_als(histories, item_count, setting),
        selection,
    )
