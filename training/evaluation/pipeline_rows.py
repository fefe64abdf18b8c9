"""Hybrid recall and the ranker as methods of an evaluation, for histories and for lines of text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.events import EventSequence
from training.ranking.blend import BlendScorer
from training.ranking.proxy_history import ProxyReader
from training.ranking.ranker import Ranker

_Encode = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class BlendReader:
    """Hybrid recall that also reads text.

    Attributes:
        blend: answers histories.
        encode: texts to float32[B, d], unit.
    """

    blend: BlendScorer
    encode: _Encode

    @cached_property
    def _reader(self) -> ProxyReader:
        return ProxyReader(self.blend.fitted)

    def scores(self, histories: Sequence[EventSequence]) -> np.ndarray:
        """Returns float32[B, n], higher is better."""
        return self.blend.scores(histories)

    def text_scores(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[B, n], as the gateway answers a history that is only text.

        Uses the blend that was fitted for such histories, else similarity alone.
        """
        fitted, proxy = self.blend.fitted, self.blend.blend.proxy
        if fitted.content is None:
            return self.blend.scores([EventSequence()] * len(texts))
        vectors = self.encode(texts)
        if proxy is None:
            silent = ~fitted.content.vectors.any(axis=1)
            return np.where(silent, -np.inf, vectors @ fitted.content.vectors.T)
        return self.blend.query_scores([self._reader.query(vector, proxy) for vector in vectors])


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
        return BlendReader(self.ranker.blend, self.encode).text_scores(texts)
