"""Lexical recall: BM25 over words, and over single characters and bigrams for scripts without spaces."""

import re
import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from core.retrieval.source import SourceQuery, SourceScores
from core.scaling import Population
from core.vectors import top_rows
from domain.item import Item
from domain.recommendation import Source

# A run of letters and digits; scripts that are written without spaces are split further.
_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_AT_ONCE = 100_000  # documents or entries; changes memory and time only
_K1, _B = 1.5, 0.75
_LINK = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def lexical_text(item: Item) -> str:
    """Returns everything an item says in words: title, text and every attribute that is text and no link."""
    parts = [item.title, item.text]
    for value in item.attributes.values():
        if isinstance(value, str):
            parts.append("" if _LINK.match(value) else value)
        elif isinstance(value, tuple):
            parts.extend(entry for entry in value if not _LINK.match(entry))
    return "\n".join(part for part in parts if part)


def terms(text: str) -> list[str]:
    """Splits text into terms: case-folded words; for Chinese, Japanese and Thai, characters' bigrams.

    A single character between spaces or other scripts is a term of its own.
    """
    found: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        end = 0
        for run in _UNSPACED.finditer(word):
            if run.start() > end:
                found.append(word[end : run.start()])
            characters = run.group()
            found.extend(characters[i : i + 2] for i in range(max(len(characters) - 1, 1)))
            end = run.end()
        if end < len(word):
            found.append(word[end:])
    return found


@dataclass(frozen=True)
class TermWeights:
    """A term-by-document matrix in compressed sparse columns.

    Attributes:
        vocabulary: the terms, in the order in which they first occur.
        indptr: int64[t + 1], where each term's entries start.
        rows: int32[e], the documents that hold the term, ascending.
        weights: float32[e], BM25 weight of the term in the document.
        document_count: number of documents.
    """

    vocabulary: Sequence[str]
    indptr: np.ndarray
    rows: np.ndarray
    weights: np.ndarray
    document_count: int


class LexicalIndex:
    """BM25 weights by term (compressed sparse columns). Read-only: any thread may search."""

    def __init__(
        self, vocabulary: Sequence[str], indptr: np.ndarray, rows: np.ndarray, weights: np.ndarray, item_count: int
    ) -> None:
        """Takes the columns of a term-by-item matrix.

        Args:
            vocabulary: the terms.
            indptr: int64[t + 1], where each term's entries start.
            rows: int32[e], ascending within a term.
            weights: float32[e], BM25 weight of the term in the item.
            item_count: number of rows.
        """
        self._term_ids = {term: number for number, term in enumerate(vocabulary)}
        self._indptr = indptr
        self._rows = rows
        self._weights = weights
        self._item_count = item_count

    @classmethod
    def build(cls, documents: Iterable[str]) -> "LexicalIndex":
        """Weighs the terms of documents: Lucene's BM25, k1 1.5, b 0.75. They may come as a stream."""
        found = weigh_terms(terms(document) for document in documents)
        return cls(found.vocabulary, found.indptr, found.rows, found.weights, found.document_count)

    def save(self, path: Path) -> None:
        """Writes the index as `.npz` without pickles."""
        blob = np.frombuffer("\n".join(self._term_ids).encode(), dtype=np.uint8)
        with path.open("wb") as stream:
            np.savez(
                stream,
                vocabulary=blob,
                indptr=self._indptr,
                rows=self._rows,
                weights=self._weights,
                item_count=np.int64(self._item_count),
            )

    @classmethod
    def load(cls, path: Path) -> "LexicalIndex":
        """Reads what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            blob = arrays["vocabulary"].tobytes().decode()
            vocabulary = blob.split("\n") if blob else []
            return cls(vocabulary, arrays["indptr"], arrays["rows"], arrays["weights"], int(arrays["item_count"]))

    def scores(self, text: str) -> np.ndarray:
        """Returns float32[n], BM25; 0 for items that share no term with the text."""
        scores = np.zeros(self._item_count, dtype=np.float32)
        for _, number in self._known(text):
            entries = slice(self._indptr[number], self._indptr[number + 1])
            scores[self._rows[entries]] += self._weights[entries]
        return scores

    def search(self, text: str, count: int, blocked: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns the items that share terms with the text.

        Args:
            text: the query.
            count: how many, at most.
            blocked: bool[n], rows that must not be returned.

        Returns:
            rows int64[k] and scores float32[k], best first, k <= count, all scores above 0.
        """
        scores = self.scores(text)
        if blocked is not None:
            scores[blocked] = 0.0
        candidates = np.flatnonzero(scores > 0.0)
        return top_rows(scores[candidates], candidates, count)

    def knows(self, text: str) -> bool:
        """Returns True where an item holds a term of the text."""
        return bool(self._known(text))

    def matched_terms(self, text: str, rows: Sequence[int]) -> list[tuple[str, ...]]:
        """Returns for each row the terms of the text that the item holds, heaviest first."""
        known = self._known(text)
        return [self._matched(known, row) for row in rows]

    def _known(self, text: str) -> list[tuple[str, int]]:
        return [(term, self._term_ids[term]) for term in dict.fromkeys(terms(text)) if term in self._term_ids]

    def _matched(self, known: Sequence[tuple[str, int]], row: int) -> tuple[str, ...]:
        weighted = []
        for term, number in known:
            start, end = self._indptr[number], self._indptr[number + 1]
            place = start + int(np.searchsorted(self._rows[start:end], row))
            if place < end and self._rows[place] == row:
                weighted.append((-float(self._weights[place]), term))
        return tuple(term for _, term in sorted(weighted))


class LexicalSource:
    """Items that share words with the text."""

    name: ClassVar[str] = Source.LEXICAL.value
    reason: ClassVar[str] = "it shares words with the text"

    def __init__(self, index: LexicalIndex) -> None:
        self.index = index

    def can_answer(self, query: SourceQuery) -> bool:
        """Returns True with words to match, one of which some item holds."""
        return bool(query.lexical_text) and self.index.knows(query.lexical_text)

    def search(self, query: SourceQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `RecallSource.search`; scores are BM25, above 0."""
        return self.index.search(query.lexical_text, count, blocked)

    def scores(self, query: SourceQuery, rows: np.ndarray, population: Population) -> SourceScores:
        """See `RecallSource.scores`."""
        scores = self.index.scores(query.lexical_text)
        return SourceScores.of_catalogue(np.where(scores > 0, scores, -np.inf), rows, population)


def weigh_terms(documents: Iterable[Sequence[str]]) -> TermWeights:
    """Weighs terms as Lucene does: idf tf / (tf + k1 (1 - b + b L / mean L)), idf = ln(1 + (n - df + .5) / (df + .5)).

    Source: Kamphuis et al., Which BM25 do you mean?, ECIR 2020, the row "Lucene (accurate)".

    Args:
        documents: the terms of each, in order; may be a stream: 4 bytes a word while they are read.
    """
    term_ids: dict[str, int] = {}
    occurrences, lengths = array("i"), array("i")
    for document in documents:
        occurrences.extend([term_ids.setdefault(term, len(term_ids)) for term in document])
        lengths.append(len(document))
    counts = np.frombuffer(lengths, dtype=np.int32) if lengths else np.zeros(0, np.int32)
    rows, terms, frequencies = _counted(occurrences, counts, len(term_ids))
    order = np.argsort(terms, kind="stable")
    rows, terms, frequencies = rows[order], terms[order], frequencies[order]
    del order
    document_frequency = np.bincount(terms, minlength=len(term_ids))
    idf = np.log1p((len(counts) - document_frequency + 0.5) / (document_frequency + 0.5))
    mean_length = counts.sum(dtype=np.int64) / max(len(counts), 1)
    weights = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        frequency = frequencies[part].astype(np.float64)
        norm = _K1 * (1 - _B + _B * counts[rows[part]] / mean_length)
        weights[part] = idf[terms[part]] * frequency / (frequency + norm)
    indptr = np.concatenate(([0], np.cumsum(document_frequency))).astype(np.int64)
    return TermWeights(list(term_ids), indptr, rows, weights, len(counts))


def _counted(
    occurrences: "array[int]", lengths: np.ndarray, term_count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns documents, terms and how often each term stands in the document, int32 each, by document."""
    ids = np.frombuffer(occurrences, dtype=np.int32) if occurrences else np.zeros(0, np.int32)
    ends = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for first in range(0, len(lengths), _AT_ONCE):
        last = min(first + _AT_ONCE, len(lengths))
        documents = np.repeat(np.arange(first, last, dtype=np.int64), lengths[first:last])
        keys, frequency = np.unique(documents * term_count + ids[ends[first] : ends[last]], return_counts=True)
        rows, terms = np.divmod(keys, max(term_count, 1))
        parts.append((rows.astype(np.int32), terms.astype(np.int32), frequency.astype(np.int32)))
    if not parts:
        return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32)
    rows, terms, frequencies = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return rows, terms, frequencies
