"""Matrix factorisation under a softmax over the whole catalogue (log-sum-exp loss); users are means of their items."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from core.events import EventSequence
from domain.progress import Progress, SilentProgress
from training.fit import FitPlan, Resume, TrainableModel, fit, gradient_steps
from training.splits.split import EvalSet, interaction_matrix
from training.splits.validation import ndcg_validation


@dataclass(frozen=True)
class SoftmaxMfSettings:
    """Width and training of the factors.

    Attributes:
        factors: width.
        epochs: most passes over the users.
        patience: passes without a better validation NDCG@100 before it stops.
        batch_size: users in a step; a batch is dense, batch_size x n.
        dropout: share of a history that is hidden from the user's side in each step.
        learning_rate: of Adam.
        weight_decay: of Adam.
        seed: of the first factors, the order and the dropout.
    """

    factors: int = 128
    epochs: int = 60
    patience: int = 5
    batch_size: int = 64
    dropout: float = 0.5
    learning_rate: float = 3e-3
    weight_decay: float = 1e-5
    seed: int = 42


class SoftmaxMf:
    """log P(j | history) up to a constant: u . w_j + b_j, u the sum of the history's factors over their count's root.

    Any history is folded in that way: no user is stored.
    """

    def __init__(self, inputs: np.ndarray, outputs: np.ndarray, bias: np.ndarray) -> None:
        """Takes float32[n, k] factors of the user's side, float32[n, k] of the item's, float32[n] biases.

        The bias of items that never occurred in training is -inf.
        """
        self.inputs = inputs
        self.outputs = outputs
        self.bias = bias

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n]; -inf for items that never occurred in training."""
        chosen = interaction_matrix(histories, len(self.bias))
        users = _averaged(chosen) @ self.inputs
        return np.asarray(users @ self.outputs.T + self.bias, dtype=np.float32)


class _Factors(nn.Module):
    """The factors, with an input of -inf bias for items that nobody touched."""

    def __init__(self, counts: Tensor, width: int) -> None:
        super().__init__()
        self.inputs = nn.Parameter(torch.randn(len(counts), width) * 0.05)
        self.outputs = nn.Parameter(torch.randn(len(counts), width) * 0.05)
        self.bias = nn.Parameter(((counts + 1) / (counts.sum() + len(counts))).log())
        self.register_buffer("unknown", torch.where(counts > 0, 0.0, -torch.inf))

    def loss(self, chosen: Tensor, dropout: float) -> Tensor:
        """Returns the mean over users of the mean of -log softmax over what they chose, part of it hidden as input."""
        kept = chosen * (torch.rand_like(chosen) >= dropout)
        users = (kept / kept.sum(dim=1, keepdim=True).clamp(min=1).sqrt()) @ self.inputs
        logits = users @ self.outputs.T + self.bias + self.unknown
        fit = (torch.where(chosen > 0, logits, 0.0)).sum(dim=1) / chosen.sum(dim=1)
        return (logits.logsumexp(dim=1) - fit).mean()

    def model(self) -> SoftmaxMf:
        """Returns a copy for scoring."""
        bias = self.bias.detach() + self.unknown
        arrays = (tensor.detach().numpy().copy() for tensor in (self.inputs, self.outputs, bias))
        return SoftmaxMf(*arrays)


def fit_softmax_mf(
    histories: Sequence[EventSequence],
    item_count: int,
    settings: SoftmaxMfSettings | None = None,
    validation: EvalSet | None = None,
    progress: Progress | None = None,
) -> SoftmaxMf:
    """Trains by Adam; with validation cases it stops early and keeps the best factors.

    Raises:
        ValueError: no history holds an item.
    """
    settings, progress = settings or SoftmaxMfSettings(), progress or SilentProgress()
    torch.manual_seed(settings.seed)
    matrix = interaction_matrix([history for history in histories if len(history)], item_count)
    if not matrix.nnz:
        raise ValueError("no training history holds an item; the factorisation needs at least one interaction")
    factors = _Factors(torch.from_numpy(np.asarray(matrix.sum(axis=0), np.float32)), settings.factors)
    optimizer = torch.optim.AdamW(factors.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)

    def losses(rng: np.random.Generator) -> Iterator[Tensor]:
        order = rng.permutation(matrix.shape[0])
        for start in range(0, len(order), settings.batch_size):
            chosen = torch.from_numpy(matrix[order[start : start + settings.batch_size]].toarray())
            yield factors.loss(chosen, settings.dropout)

    trainable = TrainableModel(
        factors,
        optimizer,
        lambda rng: gradient_steps(optimizer, losses(rng)),
        ndcg_validation(factors.model, validation),
    )
    fit(trainable, FitPlan("softmax_mf", settings.epochs, settings.patience), Resume(settings.seed), progress)
    return factors.model()


def _averaged(chosen: csr_array) -> csr_array:
    """Returns each row divided by the root of its count."""
    counts = np.maximum(chosen.sum(axis=1), 1)
    averaged = chosen.copy()
    averaged.data = averaged.data / np.repeat(np.sqrt(counts), np.diff(averaged.indptr)).astype(np.float32)
    return averaged
