"""Words and meaning together: one score of how well an item fits a text, on one scale for all texts."""

from dataclasses import dataclass

import numpy as np

from core.retrieval.lexical_match import (
    BM25,
    MATCH_FEATURES,
    ONE_FIELD,
    PHRASE,
    TITLE_COVERAGE,
    TITLE_EXACT,
    VALUE_EXACT,
)
from core.vectors import products

# Items that each source recalls for a text: less than half the beam of a graph, which costs nothing more.
TEXT_DEPTH = 100


@dataclass(frozen=True)
class TextBlend:
    """Weights of the features of a match beside the cosine, which counts 1.

    Chosen on judged title searches, names, and descriptions of films and shop titles: see docs/relevance.md.

    Attributes:
        bm25: share of the largest BM25 that the text can have.
        title_coverage: words that text and title share, of both.
        title_exact: the text is the title, or a name of it.
        value_exact: the text is a whole value, such as a person's name.
        phrase: the text's words follow one another in a field.
        one_field: one field has them all.
        unread: stands for the cosine of every item where the encoder cannot read the text. An item that it cannot read
            has 0 beside others.
    """

    bm25: float = 0.25
    title_coverage: float = 0.1
    title_exact: float = 0.5
    value_exact: float = 0.6
    phrase: float = 0.1
    one_field: float = 0.1
    unread: float = 0.2

    @property
    def weights(self) -> np.ndarray:
        """float32[F], in the order of `MATCH_FEATURES`."""
        weights = np.zeros(len(MATCH_FEATURES), np.float32)
        for place, weight in (
            (BM25, self.bm25),
            (TITLE_COVERAGE, self.title_coverage),
            (TITLE_EXACT, self.title_exact),
            (VALUE_EXACT, self.value_exact),
            (PHRASE, self.phrase),
            (ONE_FIELD, self.one_field),
        ):
            weights[place] = weight
        return weights


def text_scores(cosines: np.ndarray, features: np.ndarray | None, blend: TextBlend) -> np.ndarray:
    """Returns float32[C], cosine + weighted features.

    Args:
        cosines: float32[C], NaN where text or item cannot be read by the encoder.
        features: float32[C, F], `MATCH_FEATURES`; None without words.
        blend: the weights.
    """
    unread = np.isnan(cosines)
    scores = np.where(unread, np.float32(blend.unread if unread.all() else 0.0), cosines)
    if features is not None:
        scores = scores + products(features, blend.weights)
    result: np.ndarray = scores.astype(np.float32)
    return result
