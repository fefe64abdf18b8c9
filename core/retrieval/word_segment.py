"""Words of items that changed since a word index was built: an inverted index in memory that only grows.

Entries are numbered as they come. One thread adds; a reader looks at the entries below a number that it knows of.
Scores are those of the big index: BM25 with its statistics, by the same fields and weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.growing import GrowingArray, Postings
from core.retrieval.lexical_document import TEXT, ItemTerms
from core.retrieval.lexical_index import EXTRA, TITLE, VALUES, WHOLE_TITLE, WHOLE_VALUE
from core.retrieval.title_words import checksums

_FIELDS = (TITLE, VALUES, TEXT, EXTRA)
_MOST_TF = 255
_NOTHING = ("", "", "")
_NO_CHECKSUMS = np.empty(0, np.uint32)
_K1, _B = 1.2, 0.75


def _coded_lengths() -> np.ndarray:
    """Returns int64[256], the lengths of a field that tantivy and Lucene tell apart (Lucene's SmallFloat)."""
    codes = np.arange(256 - 24)
    shift = (codes >> 3) - 1
    large = np.where(shift < 0, codes & 7, ((codes & 7) | 8) << np.maximum(shift, 0))
    return np.concatenate([np.arange(24), 24 + large])


_LENGTHS = _coded_lengths()


@dataclass(frozen=True)
class WeighedTerm:
    """A term of a query.

    Attributes:
        term: as it is indexed.
        weights: how much it counts, by field.
        idf: its rarity, by field.
    """

    term: str
    weights: Mapping[str, float]
    idf: Mapping[str, float]


class WordSegment:
    """Words by entry."""

    def __init__(self, mean_lengths: Mapping[str, float]) -> None:
        """Takes the mean number of words by field of the big index; a field that it lacks is taken from the entries."""
        self._mean_lengths = mean_lengths
        self._postings = {field: Postings() for field in (*_FIELDS, WHOLE_TITLE, WHOLE_VALUE)}
        self._lengths = GrowingArray((len(_FIELDS),), np.int32)
        self._totals = np.zeros(len(_FIELDS))
        self._titles: list[np.ndarray] = []
        self._running: list[tuple[str, str, str]] = []

    def __len__(self) -> int:
        return len(self._running)

    def add(self, terms: ItemTerms) -> None:
        """Adds the next entry."""
        entry = len(self._running)
        lengths = []
        for field, words in (
            (TITLE, [word for title in terms.titles for word in title]),
            (VALUES, [word for value in terms.values for word in value]),
            (TEXT, [word for text in terms.texts for word in text]),
            (EXTRA, list(terms.extra)),
        ):
            counts: dict[str, int] = {}
            for word in words:
                counts[word] = counts.get(word, 0) + 1
            for word, count in counts.items():
                self._postings[field].append(word, entry << 8 | min(count, _MOST_TF))
            lengths.append(len(words))
        values = dict.fromkeys((*(" ".join(words) for words in terms.values), *terms.spelt_values))
        for field, wholes in ((WHOLE_TITLE, dict.fromkeys(terms.whole_titles)), (WHOLE_VALUE, values)):
            for whole in wholes:
                self._postings[field].append(whole, entry << 8 | 1)
        self._lengths.append(np.asarray([lengths], np.int32))
        self._totals += lengths
        self._titles.append(np.unique(checksums(terms.own_title)))
        self._running.append((_running(terms.titles), _running(terms.values), _running(terms.texts)))

    def forget(self, entries: np.ndarray) -> None:
        """Lets go of the texts of entries, int64[m], that nobody asks for any more; where their words stand remains."""
        for entry in entries.tolist():
            self._running[entry], self._titles[entry] = _NOTHING, _NO_CHECKSUMS

    def entries_with(self, field: str, term: str, end: int) -> np.ndarray:
        """Returns int64[m], the entries below `end` whose field has a term, ascending."""
        return self._postings[field].of(term, end << 8) >> 8

    def entries_with_all(self, words: Sequence[str], fields: Sequence[str], end: int) -> np.ndarray:
        """Returns int64[m], the entries that have every word, each in any of some fields; ascending."""
        found: np.ndarray | None = None
        for word in words:
            own = np.unique(np.concatenate([self.entries_with(field, word, end) for field in fields]))
            found = own if found is None else found[np.isin(found, own)]
            if not len(found):
                break
        return np.empty(0, np.int64) if found is None else found

    def with_phrase(self, words: Sequence[str], end: int) -> np.ndarray:
        """Returns int64[m], the entries in which words follow one another in a title, value or text; ascending."""
        phrase = f" {' '.join(words)} "
        candidates = self.entries_with_all(list(dict.fromkeys(words)), (TITLE, VALUES, TEXT), end)
        held = [any(phrase in field for field in self._running[entry]) for entry in candidates.tolist()]
        found: np.ndarray = candidates[np.asarray(held, bool)]
        return found

    def title_checksums(self, entry: int) -> np.ndarray:
        """Returns uint32[w], the words of an entry's title."""
        return self._titles[entry]

    def scores(self, terms: Sequence[WeighedTerm], tie_breaker: float, end: int) -> np.ndarray:
        """Returns float32[end], BM25 of each entry: of each term the field where it counts most, and a share of others.

        Args:
            terms: of the query.
            tie_breaker: what other fields add of theirs.
            end: entries are those below.
        """
        total = np.zeros(end, np.float32)
        for term in terms:
            best: np.ndarray | None = None
            summed: np.ndarray | None = None
            for field, weight in term.weights.items():
                packed = self._postings[field].of(term.term, end << 8)
                if not len(packed):
                    continue
                entries = packed >> 8
                if best is None or summed is None:
                    best, summed = np.zeros(end, np.float32), np.zeros(end, np.float32)
                scored = weight * term.idf.get(field, 0.0) * self._saturated(field, entries, packed & _MOST_TF)
                best[entries] = np.maximum(best[entries], scored)
                summed[entries] += scored
            if best is not None and summed is not None:
                total += best + tie_breaker * (summed - best)
        return total

    def _saturated(self, field: str, entries: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Returns float32[m], (k1 + 1) tf / (tf + k1 (1 - b + b length / mean length))."""
        place = _FIELDS.index(field)
        lengths = self._lengths.array[entries, place]
        coded = _LENGTHS[np.searchsorted(_LENGTHS, lengths, side="right") - 1]
        mean = self._mean_lengths.get(field) or max(self._totals[place] / max(len(self), 1), 1.0)
        scored: np.ndarray = (_K1 + 1) * counts / (counts + _K1 * (1 - _B + _B * coded / mean))
        return scored.astype(np.float32)


def _running(strings: Sequence[Sequence[str]]) -> str:
    """Returns the words of several strings so that no phrase reaches from one to another."""
    return "\n".join(f" {' '.join(words)} " for words in strings)
