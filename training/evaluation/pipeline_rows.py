"""The pipeline's rows in a table: they answer histories, and also a line of text, as the gateway does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.events import EventSequence
from core.retrieval.proxy_history import Knowledge
from training.ranking.blend import Hybrid
from training.ranking.proxy_history import knowledge_of, read_proxy_history, scores_of
from training.ranking.ranker import Ranker

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

    @cached_property
    def _knowledge(self) -> Knowledge | None:
        return knowledge_of(self.hybrid.recall)

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n], higher is better."""
        return self.hybrid.scores(histories)

    def text_scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[B, n], as the gateway answers a told history.

        Uses the blend that was fitted for such histories (`core.retrieval.proxy_history`), else similarity alone.
        """
        knowledge, blend = self._knowledge, self.hybrid.told
        if knowledge is None:
            return self.hybrid.recall.popularity.scores([_NOTHING] * len(texts))
        queries = self.encode(texts)
        if blend is None:
            return np.where(knowledge.silent, -np.inf, queries @ knowledge.vectors.T)
        return scores_of([read_proxy_history(query, knowledge, blend) for query in queries], knowledge, blend.weights)


@dataclass(frozen=True)
class RankedReader:
    """The whole pipeline; the ranker orders what a history recalled, a text alone is answered by hybrid recall."""

    ranker: Ranker
    encode: _Encode

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n], higher is better."""
        return self.ranker.scores(histories)

    def probabilities(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float64[B, n], how likely a candidate is chosen; NaN for what is not ranked."""
        return self.ranker.probabilities(histories)

    def text_scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[B, n], as hybrid recall reads texts."""
        return HybridReader(self.ranker.hybrid, self.encode).text_scores(texts)


_NOTHING = EventSequence(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
