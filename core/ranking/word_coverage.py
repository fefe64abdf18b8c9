"""Words that texts of no catalogue share with a query, by how rare each word is among the texts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.text.analysis import analyze, singular
from core.text.function_words import FUNCTION_WORDS

# Words of a longer query that are looked for; the rest says little more, and everything is compared with every text.
_MOST_WORDS = 64


@dataclass(frozen=True)
class QueryWords:
    """The words of a query.

    Attributes:
        words: the first 64, each once, in their order; function words only where the query has nothing else.
        extra: terms beside them: parts and joined forms of compounds, single Chinese characters.
    """

    words: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> "QueryWords":
        """Analyses a query."""
        analyzed = analyze(text)
        words = dict.fromkeys(analyzed.words)
        telling = tuple(word for word in words if word not in FUNCTION_WORDS)
        others = FUNCTION_WORDS.union(words, map(singular, words))
        extra = tuple(term for term in analyzed.extra if term not in others)
        return cls((telling or tuple(words))[:_MOST_WORDS], extra[:_MOST_WORDS])

    def shared(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Returns for each text the words, and the extra terms, that it has, in any number."""
        return [self._shared_by(text) for text in texts]

    def coverage(self, shared: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Returns float32[C], 0 to 1: the share of the query that each text has, each term by its weight.

        A term's weight is BM25's, log(1 + (C - c + 0.5) / (c + 0.5)) for c of C texts. A word that no text has counts
        as one that a single text has; an extra term that no text has does not count.

        Args:
            shared: what `shared` returned for C texts.
        """
        counts = Counter(dict.fromkeys(self.words, 0))
        counts.update(term for own in shared for term in own)
        weights = {
            term: float(np.log1p((len(shared) - max(count, 1) + 0.5) / (max(count, 1) + 0.5)))
            for term, count in counts.items()
        }
        total = sum(weights.values()) or 1.0
        return np.asarray([sum(weights[term] for term in own) / total for own in shared], np.float32)

    def whole(self, shared: Sequence[str]) -> tuple[str, ...]:
        """Returns what a text shares as people read it: words, and extra terms that no kept term is part of, or has."""
        kept = [term for term in shared if term in self.words]
        for term in shared:
            if not any(term in other or other in term for other in kept):
                kept.append(term)
        return tuple(kept)

    def _shared_by(self, text: str) -> tuple[str, ...]:
        own = frozenset(analyze(text).terms)
        words = [word for word in self.words if word in own or singular(word) in own]
        return (*words, *(term for term in self.extra if term in own))
