"""The pipeline's rows in a table: they answer histories, and also a line of text, as the gateway does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from training.hybrid import Hybrid, standardised_rows
from training.ranker import Ranker
from training.split import History

# How much of the prior joins a text's likeness, both standardised: what is chosen often is a better guess about
# somebody of whom one line is known.
TEXT_PRIOR = 0.5

_Encode = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class HybridReader:
    """Hybrid recall that also reads text.

    Attributes:
        hybrid: answers histories.
        encode: texts to float32[B, d], unit.
    """

    hybrid: Hybrid
    encode: _Encode

    def scores(self, histories: Sequence[History]) -> np.ndarray:
        """Returns float32[B, n], higher is better."""
        return self.hybrid.scores(histories)

    def text_scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[B, n]: the text's likeness and the prior, log P(x | i) + beta log P(i), each standardised."""
        recall = self.hybrid.recall
        if recall.semantic is None:
            return recall.popularity.scores([_NOTHING] * len(texts))
        likeness = self.encode(texts) @ recall.semantic.vectors.T
        likeness[:, ~recall.semantic.vectors.any(axis=1)] = -np.inf
        prior = np.tile(recall.popularity.log_prior, (len(texts), 1))
        within = self.hybrid.within
        return standardised_rows(likeness, within) + np.float32(TEXT_PRIOR) * standardised_rows(prior, within)


@dataclass(frozen=True)
class RankedReader:
    """The whole pipeline; the ranker orders what a history recalled, a text alone is answered by hybrid recall."""

    ranker: Ranker
    encode: _Encode

    def scores(self, histories: Sequence[History]) -> np.ndarray:
        """Returns float32[B, n], higher is better."""
        return self.ranker.scores(histories)

    def probabilities(self, histories: Sequence[History]) -> np.ndarray:
        """Returns float64[B, n], how likely a candidate is chosen; NaN for what is not ranked."""
        return self.ranker.probabilities(histories)

    def text_scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[B, n], as hybrid recall reads texts."""
        return HybridReader(self.ranker.hybrid, self.encode).text_scores(texts)


_NOTHING = History(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
