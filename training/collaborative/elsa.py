"""ELSA: a factorised item-item model, X A A' - X, for catalogues too large for EASE's inverse (Vancura et al. 2022)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from core.events import EventSequence
from domain.progress import Progress, SilentProgress
from training.fit import FitPlan, Resume, TrainableModel, fit, gradient_steps
from training.splits.split import EvalSet, interaction_matrix
from training.splits.validation import ndcg_validation


@dataclass(frozen=True)
class ElsaSettings:
    """Width and training of the factors.

    Attributes:
        factors: width.
        epochs: most passes over the users.
        patience: passes without a better validation NDCG@100 before it stops; checked every pass.
        batch_size: users in a step; a batch is dense, batch_size x n.
        learning_rate: of Adam.
        seed: of the first factors and the order.
    """

    factors: int = 128
    epochs: int = 30
    patience: int = 3
    batch_size: int = 128
    learning_rate: float = 0.02
    seed: int = 42


class Elsa:
    """Unit item factors: score(j) = sum over the history's items i of a_i . a_j, without the items themselves."""

    def __init__(self, factors: np.ndarray, known: np.ndarray) -> None:
        """Takes float32[n, k], unit rows, and bool[n], items that occur in training."""
        self.factors = factors
        self.known = known

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]; -inf for items that never occurred in training."""
        chosen = interaction_matrix(histories, len(self.factors))
        scores = np.asarray((chosen @ self.factors) @ self.factors.T - chosen.toarray(), dtype=np.float32)
        scores[:, ~self.known] = -np.inf
        return scores


class _Factors(nn.Module):
    """The factors while they are trained."""

    def __init__(self, item_count: int, width: int) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.randn(item_count, width) / width**0.5)

    def loss(self, chosen: Tensor) -> Tensor:
        """Returns the mean squared distance of float32[B, n] unit rows and those of their reconstruction."""
        unit = normalize(self.factors, dim=1)
        rebuilt = torch.relu(chosen @ unit @ unit.T - chosen)
        return (normalize(chosen, dim=1) - normalize(rebuilt, dim=1)).square().sum(1).mean()

    def unit_factors(self) -> np.ndarray:
        """Returns a copy, float32[n, width], unit rows."""
        unit: np.ndarray = normalize(self.factors.detach(), dim=1).numpy().copy()
        return unit


def fit_elsa(
    histories: Sequence[EventSequence],
    item_count: int,
    settings: ElsaSettings | None = None,
    validation: EvalSet | None = None,
    progress: Progress | None = None,
) -> Elsa:
    """Minimises the distance of each user's unit row and that of its reconstruction, by Adam.

    With validation cases it stops early and keeps the best factors.
    """
    settings, progress = settings or ElsaSettings(), progress or SilentProgress()
    torch.manual_seed(settings.seed)
    matrix = interaction_matrix(histories, item_count)
    known = np.asarray(matrix.sum(axis=0)) > 0
    network = _Factors(item_count, settings.factors)
    optimizer = torch.optim.NAdam(network.parameters(), lr=settings.learning_rate)

    def losses(rng: np.random.Generator) -> Iterator[Tensor]:
        order = rng.permutation(matrix.shape[0])
        for start in range(0, len(order), settings.batch_size):
            chosen = torch.from_numpy(matrix[order[start : start + settings.batch_size]].toarray())
            yield network.loss(chosen)

    trainable = TrainableModel(
        network,
        optimizer,
        lambda rng: gradient_steps(optimizer, losses(rng)),
        ndcg_validation(lambda: Elsa(network.unit_factors(), known), validation),
    )
    fit(trainable, FitPlan("elsa", settings.epochs, settings.patience), Resume(settings.seed), progress)
    return Elsa(network.unit_factors(), known)
