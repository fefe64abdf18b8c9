"""Words and meaning together (placeholder until the lexical engine is merged)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TextBlend:
    """Weights."""

    bm25: float = 0.2


def text_scores(cosines: np.ndarray, features: np.ndarray | None, blend: TextBlend) -> np.ndarray:
    """Returns float32[C]."""
    base = np.where(np.isnan(cosines), 0, cosines)
    return (base if features is None else base + blend.bm25 * features[:, 0]).astype(np.float32)
