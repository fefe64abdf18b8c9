"""Texts as weighted bags of tokens, and the vectors that a table of token vectors gives them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from core.vectors import unit


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


def embed_bags(bags: Bags, table: np.ndarray) -> np.ndarray:
    """Returns float32[n, d], unit: what the table makes of the texts."""
    vectors = bags.matrix @ table
    return np.asarray(unit(vectors), np.float32)
