"""The arithmetic of a static student: token vectors by ridge regression, then by the ranking of neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import csr_array

from training.distillation.loss import distillation_loss

if TYPE_CHECKING:
    from training.distillation.static_student import StaticStudentSettings

_CONSTANT_RIDGE = 1e-3
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Bags:
    """Texts as weighted bags of tokens.

    Attributes:
        matrix: float32[n, u + 1], w_t / (sum w)^p at the column of each token that occurs anywhere, and a last column
            of ones for the constant. Times the stacked vectors e_t and c it gives the texts' vectors before scaling.
        tokens: int64[u], the token id of each column but the last.
    """

    matrix: csr_array
    tokens: np.ndarray

    def take(self, places: np.ndarray) -> "Bags":
        """Returns the bags of some texts, columns as they are."""
        return Bags(self.matrix[places], self.tokens)


def make_bags(token_ids: Sequence[np.ndarray], weights: np.ndarray, length_power: float) -> Bags:
    """Counts tokens by text.

    Args:
        token_ids: int64[L_i] each.
        weights: float32[v], 0 for tokens that are left out.
        length_power: p of `core.text.static_encoder`.
    """
    telling = [ids[weights[ids] > 0] for ids in token_ids]
    flat = np.concatenate([*telling, np.empty(0, np.int64)])
    tokens, columns = np.unique(flat, return_inverse=True)
    values = np.concatenate(
        [weights[ids] / weights[ids].sum() ** length_power for ids in telling] + [np.empty(0, np.float32)]
    )
    n, u = len(telling), len(tokens)
    rows = np.repeat(np.arange(n), [len(ids) for ids in telling])
    values = np.concatenate([values, np.ones(n)]).astype(np.float32)
    rows, columns = np.concatenate([rows, np.arange(n)]), np.concatenate([columns, np.full(n, u)])
    matrix = csr_array((values, (rows, columns)), shape=(n, u + 1))
    matrix.sum_duplicates()
    return Bags(matrix, tokens)


def solve_ridge(bags: Bags, targets: np.ndarray, start: np.ndarray, ridge: float, most_steps: int) -> np.ndarray:
    """Returns argmin_E |X E - Y|^2 + ridge |E - start|^2, by conjugate gradients with a diagonal preconditioner.

    Where texts say little about a token, it keeps its start. The constant is all but free.

    Args:
        bags: X.
        targets: float32[n, d], Y.
        start: float32[u + 1, d], rows as the columns of X.
        ridge: above 0.
        most_steps: each costs two products of X with d columns.
    """
    x = bags.matrix
    xt = x.T.tocsr()
    penalty = np.full((x.shape[1], 1), ridge, np.float32)
    penalty[-1] = _CONSTANT_RIDGE
    scale = 1 / (np.asarray(xt.multiply(xt).sum(axis=1)).reshape(-1, 1) + penalty)
    moved = np.zeros_like(start)
    residual = xt @ (targets - x @ start)
    direction = scale * residual
    size = first = (residual * direction).sum(axis=0)
    for _ in range(most_steps):
        if (size <= _TOLERANCE * first).all():
            break
        image = xt @ (x @ direction) + penalty * direction
        step = size / np.maximum((direction * image).sum(axis=0), 1e-12)
        moved += step * direction
        residual -= step * image
        scaled = scale * residual
        before, size = size, (residual * scaled).sum(axis=0)
        direction = scaled + (size / np.maximum(before, 1e-12)) * direction
    return np.asarray(start + moved, np.float32)


def embed_bags(bags: Bags, table: np.ndarray) -> np.ndarray:
    """Returns float32[n, d], unit: what the table makes of the texts."""
    vectors = bags.matrix @ table
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6), np.float32)


class RankingFit:
    """Token vectors moved by gradient steps, from where the regression left them."""

    def __init__(self, bags: Bags, targets: np.ndarray, table: np.ndarray, settings: "StaticStudentSettings") -> None:
        """Takes X, the teacher's vectors float32[n, d], and the table float32[u + 1, d] to begin from."""
        self._matrix, self._settings = bags.matrix, settings
        self._targets = torch.from_numpy(targets)
        self._table = torch.from_numpy(table.copy()).requires_grad_()
        self._adam = torch.optim.Adam([self._table], lr=settings.rate)

    @property
    def table(self) -> np.ndarray:
        """float32[u + 1, d], as it stands."""
        return np.array(self._table.detach().numpy())

    def run_epoch(self, rng: np.random.Generator) -> float:
        """Goes through the texts once in random order; returns the mean loss."""
        order = rng.permutation(len(self._targets))
        losses = [
            self._step(order[at : at + self._settings.batch_size], rng)
            for at in range(0, len(order), self._settings.batch_size)
        ]
        return float(np.mean(losses))

    def _step(self, places: np.ndarray, rng: np.random.Generator) -> float:
        bank = rng.choice(len(self._targets), min(self._settings.bank_size, len(self._targets)), replace=False)
        vectors = torch.nn.functional.normalize(_bag_sums(self._matrix[places], self._table), dim=1)
        loss = distillation_loss(
            vectors,
            self._targets[places],
            self._targets[bank],
            ranking_weight=self._settings.ranking_weight,
            temperature=self._settings.temperature,
        )
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        return float(loss.detach())


def _bag_sums(matrix: csr_array, table: torch.Tensor) -> torch.Tensor:
    offsets = torch.from_numpy(matrix.indptr[:-1].astype(np.int64))
    columns = torch.from_numpy(matrix.indices.astype(np.int64))
    values = torch.from_numpy(matrix.data)
    return torch.nn.functional.embedding_bag(columns, table, offsets, mode="sum", per_sample_weights=values)
