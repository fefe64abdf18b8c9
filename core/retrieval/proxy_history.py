"""A proxy history: known items in place of a history that is only text (pseudo-relevance feedback).

text -> its vector -> the nearest items, weighted by a softmax of their cosines -> what was chosen together with them

How many items, how they are weighted and what each source counts is fitted on validation; a release carries it.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class ProxyHistory:
    """Known items in place of a text.

    Attributes:
        rows: int64[m], the proxy items.
        weights: float64[m], how much each counts; they sum to 1.
    """

    rows: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, nearest: tuple[np.ndarray, np.ndarray], count: int, temperature: float) -> "ProxyHistory":
        """Weights the nearest items.

        Args:
            nearest: rows int64[m] and their cosines float32[m], best first.
            count: how many of them count, at least 1.
            temperature: of the softmax of their cosines, above 0; the larger, the more alike they count.
        """
        rows, cosines = nearest[0][:count], nearest[1][:count].astype(np.float64)
        exponentials = np.exp((cosines - cosines.max(initial=-np.inf)) / temperature)
        return cls(rows, exponentials / exponentials.sum() if len(exponentials) else exponentials)


class VectorSearch(Protocol):
    """Nearest items to a vector."""

    def search(self, query: np.ndarray, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows int64[k] and inner products float32[k], best first."""


def find_proxy_history(
    vector: np.ndarray, search: VectorSearch, unusable: np.ndarray, count: int, temperature: float
) -> ProxyHistory:
    """Returns the items nearest to a text's vector as its proxy history, whether or not they may be recommended.

    Args:
        vector: float32[d], unit.
        search: over the catalogue.
        unusable: bool[n], items without neighbours to speak for.
        count: see `ProxyHistory.of`.
        temperature: see there.
    """
    return ProxyHistory.of(search.search(vector, count, unusable), count, temperature)
