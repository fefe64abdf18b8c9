"""Matrix factorisation under a softmax over the whole catalogue (log-sum-exp loss); users are means of their items."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_array
from torch import Tensor, nn

from core.events import EventSequence
from domain.progress import Progress, SilentProgress
from training.splits.split import EvalSet, interaction_matrix
from training.splits.validation import validation_ndcg


@dataclass(frozen=True)
class SoftmaxMfSettings:
    """How the factors are found.

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

    def save(self, folder: Path) -> None:
        """Writes `softmax_mf.safetensors`."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"inputs": self.inputs, "outputs": self.outputs, "bias": self.bias}
        save_file(arrays, folder / "softmax_mf.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "SoftmaxMf":
        """Reads what `save` wrote."""
        arrays = load_file(folder / "softmax_mf.safetensors")
        return cls(arrays["inputs"], arrays["outputs"], arrays["bias"])


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
    optimiser = torch.optim.AdamW(factors.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    best, best_figure, since = factors.model(), -1.0, 0
    for epoch in range(settings.epochs):
        order = torch.randperm(matrix.shape[0]).numpy()
        for start in range(0, len(order), settings.batch_size):
            chosen = torch.from_numpy(matrix[order[start : start + settings.batch_size]].toarray())
            optimiser.zero_grad()
            factors.loss(chosen, settings.dropout).backward()
            optimiser.step()
        if validation is None or not validation.cases:
            best = factors.model()
            continue
        current = factors.model()
        figure = validation_ndcg(current, validation)
        progress.metric("softmax_mf/validation_ndcg_at_100", epoch, figure)
        since = 0 if figure > best_figure else since + 1
        if since == 0:
            best, best_figure = current, figure
        if since >= settings.patience:
            break
    return best


def _averaged(chosen: csr_array) -> csr_array:
    """Returns each row divided by the root of its count."""
    counts = np.maximum(chosen.sum(axis=1), 1)
    found = chosen.copy()
    found.data = found.data / np.repeat(np.sqrt(counts), np.diff(found.indptr)).astype(np.float32)
    return found
