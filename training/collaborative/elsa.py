"""ELSA: a factorised item-item model, X A A' - X, for catalogues too large for EASE's inverse (Vancura et al. 2022)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch.nn.functional import normalize

from core.events import EventSequence
from domain.progress import Progress, SilentProgress
from training.splits.split import EvalSet, interaction_matrix
from training.splits.validation import validation_ndcg


@dataclass(frozen=True)
class ElsaSettings:
    """How the factors are found.

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

    def save(self, folder: Path) -> None:
        """Writes `elsa.safetensors`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"factors": self.factors, "known": self.known}, folder / "elsa.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Elsa":
        """Reads what `save` wrote."""
        arrays = load_file(folder / "elsa.safetensors")
        return cls(arrays["factors"], arrays["known"])


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
    factors = torch.nn.Parameter(torch.randn(item_count, settings.factors) / settings.factors**0.5)
    optimiser = torch.optim.NAdam([factors], lr=settings.learning_rate)
    best, best_figure, since = Elsa(_unit(factors), known), -1.0, 0
    for epoch in range(settings.epochs):
        order = torch.randperm(matrix.shape[0]).numpy()
        for start in range(0, len(order), settings.batch_size):
            x = torch.from_numpy(matrix[order[start : start + settings.batch_size]].toarray())
            unit = normalize(factors, dim=1)
            loss = (normalize(x, dim=1) - normalize(torch.relu(x @ unit @ unit.T - x), dim=1)).square().sum(1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        current = Elsa(_unit(factors), known)
        if validation is None or not validation.cases:
            best = current
            continue
        figure = validation_ndcg(current, validation)
        progress.metric("elsa/validation_ndcg_at_100", epoch, figure)
        since = 0 if figure > best_figure else since + 1
        if since == 0:
            best, best_figure = current, figure
        if since >= settings.patience:
            break
    return best


def _unit(factors: torch.Tensor) -> np.ndarray:
    found: np.ndarray = normalize(factors.detach(), dim=1).numpy().copy()
    return found
