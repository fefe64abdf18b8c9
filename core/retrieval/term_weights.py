"""BM25 weights of a stream of documents: 4 bytes a word while they are read, some 40 a distinct word at the end."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

K1 = 1.5
B = 0.75


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


def weigh_terms(documents: Iterable[Sequence[str]], at_once: int = 100_000) -> TermWeights:
    """Weighs terms as Lucene does: idf tf / (tf + k1 (1 - b + b L / mean L)), idf = ln(1 + (n - df + .5) / (df + .5)).

    Source: Kamphuis et al., Which BM25 do you mean?, ECIR 2020, the row "Lucene (accurate)".

    Args:
        documents: the terms of each, in order.
        at_once: how many are counted together; changes nothing but memory and time.
    """
    term_ids: dict[str, int] = {}
    occurrences, lengths = array("i"), array("i")
    for document in documents:
        occurrences.extend([term_ids.setdefault(term, len(term_ids)) for term in document])
        lengths.append(len(document))
    counts = np.frombuffer(lengths, dtype=np.int32) if lengths else np.zeros(0, np.int32)
    rows, terms, frequencies = _counted(occurrences, counts, len(term_ids), at_once)
    order = np.argsort(terms, kind="stable")
    rows, terms, frequencies = rows[order], terms[order], frequencies[order]
    del order
    document_frequency = np.bincount(terms, minlength=len(term_ids))
    idf = np.log1p((len(counts) - document_frequency + 0.5) / (document_frequency + 0.5))
    mean_length = counts.sum(dtype=np.int64) / max(len(counts), 1)
    weights = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), at_once):
        part = slice(start, start + at_once)
        frequency = frequencies[part].astype(np.float64)
        norm = K1 * (1 - B + B * counts[rows[part]] / mean_length)
        weights[part] = idf[terms[part]] * frequency / (frequency + norm)
    indptr = np.concatenate(([0], np.cumsum(document_frequency))).astype(np.int64)
    return TermWeights(list(term_ids), indptr, rows, weights, len(counts))


def _counted(
    occurrences: "array[int]", lengths: np.ndarray, term_count: int, at_once: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns documents, terms and how often each term stands in the document, int32 each, by document."""
    found = np.frombuffer(occurrences, dtype=np.int32) if occurrences else np.zeros(0, np.int32)
    ends = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for first in range(0, len(lengths), at_once):
        last = min(first + at_once, len(lengths))
        documents = np.repeat(np.arange(first, last, dtype=np.int64), lengths[first:last])
        keys, frequency = np.unique(documents * term_count + found[ends[first] : ends[last]], return_counts=True)
        rows, terms = np.divmod(keys, max(term_count, 1))
        parts.append((rows.astype(np.int32), terms.astype(np.int32), frequency.astype(np.int32)))
    if not parts:
        return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.int32)
    rows, terms, frequencies = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return rows, terms, frequencies
