"""Matching by words over a release's index and what changed since, as one."""

from collections.abc import Mapping, Sequence

import numpy as np
from tantivy import Query

from core.retrieval.lexical_document import TEXT
from core.retrieval.lexical_index import EXTRA, NO_HITS, TITLE, VALUES, WHOLE_TITLE, WHOLE_VALUE, Hits, WordIndex
from core.retrieval.lexical_match import ONE_FIELD, PHRASE, TIE_BREAKER, TITLE_EXACT, VALUE_EXACT, LexicalIndex
from core.retrieval.lexical_query import LexicalQuery, wholes
from core.retrieval.term_statistics import idf
from core.retrieval.title_words import TitleWords, coverage_of
from core.retrieval.word_segment import WeighedTerm, WordSegment
from core.row_order import RowOrder, best_first
from core.text.analysis import analyze
from core.versioned_rows import RowsView

_ANY_FIELD = (TITLE, VALUES, TEXT, EXTRA)


class _Words(WordIndex):
    """A release's word index without the rows that changed, with the frequencies of the segment."""

    def __init__(self, base: WordIndex, segment: WordSegment, rows: RowsView) -> None:
        self._base, self._segment, self._rows = base, segment, rows
        self._schema, self._searcher = base._schema, base._searcher
        self.count = rows.row_count

    def frequency(self, field: str, term: str) -> int:
        return self._base.frequency(field, term) + len(
            self._rows.alive(self._segment.entries_with(field, term, self._rows.end))
        )

    def search(self, query: Query, count: int) -> Hits:
        # Rows that changed take places among the hits, so more are asked for.
        wanted = count + min(self._rows.changed_count, count)
        while True:
            hits = self._base.search(query, min(wanted, max(self._base.count, 1)))
            kept = self._rows.entries_of(hits.rows) < 0
            if hits.exhausted or int(kept.sum()) >= count or wanted >= self._base.count:
                break
            wanted *= 4
        done = (hits.exhausted or wanted >= self._base.count) and int(kept.sum()) <= count
        return Hits(hits.rows[kept][:count], hits.scores[kept][:count], done)

    def has(self, query: Query) -> bool:
        return self._base.has(query)


class _Titles(TitleWords):
    """Words of titles, by row."""

    def __init__(self, base: TitleWords, segment: WordSegment, rows: RowsView) -> None:
        self._base, self._segment, self._rows = base, segment, rows

    def __len__(self) -> int:
        return self._rows.row_count

    def coverage(self, words: Sequence[str], rows: np.ndarray) -> np.ndarray:
        entries = self._rows.entries_of(rows)
        known = entries < 0
        found = np.zeros(len(rows), np.float32)
        found[known] = self._base.coverage(words, rows[known])
        if not known.all():
            titles = [self._segment.title_checksums(entry) for entry in entries[~known].tolist()]
            found[~known] = coverage_of(words, titles)
        return found


class LiveLexicalIndex(LexicalIndex):
    """Words of a release and of what changed since, at one moment. Any thread may search."""

    def __init__(self, base: LexicalIndex, segment: WordSegment, rows: RowsView, order: RowOrder) -> None:
        super().__init__(_Words(base.index, segment, rows), base.vocabulary, _Titles(base.titles, segment, rows))
        self._order: RowOrder = order
        self._segment = segment
        self._rows = rows

    def rows_with(self, text: str) -> np.ndarray:
        """See `LexicalIndex.rows_with`."""
        words = list(dict.fromkeys(analyze(text).words))
        return self._with_entries(
            super().rows_with(text), self._segment.entries_with_all(words, _ANY_FIELD, self._rows.end)
        )

    def _found(self, terms: Sequence[tuple[str, Mapping[str, float]]], most: float, count: int) -> Hits:
        base = super()._found(terms, most, count)
        weighed = [WeighedTerm(term, weights, self._idf(term)) for term, weights in terms]
        scores = self._segment.scores(weighed, TIE_BREAKER, self._rows.end) / np.float32(most)
        entries = self._rows.alive(np.flatnonzero(scores > 0))
        rows = np.concatenate([base.rows, self._rows.rows_of_entries(entries)])
        every = np.concatenate([base.scores, scores[entries]]).astype(np.float32)
        best = best_first(every, rows, self._order)
        # What the base did not give may stand before what comes after its last one.
        given = np.flatnonzero(best < len(base.rows))
        behind = 0 if base.exhausted else len(best) - 1 - int(given[-1] if len(given) else -1)
        return Hits(rows[best], every[best], base.exhausted, behind)

    def _named_rows(self, query: LexicalQuery, place: int) -> np.ndarray:
        rows = query._named.get(place)
        if rows is None:
            base = super()._named_rows(query, place)
            rows = query._named[place] = self._with_entries(base, self._named_entries(query, place))
        return rows

    def _named_entries(self, query: LexicalQuery, place: int) -> np.ndarray:
        segment, end, words = self._segment, self._rows.end, list(dict.fromkeys(query.words))
        if place in (TITLE_EXACT, VALUE_EXACT):
            field = WHOLE_TITLE if place == TITLE_EXACT else WHOLE_VALUE
            return np.unique(np.concatenate([segment.entries_with(field, one, end) for one in wholes(query.words)]))
        if len(words) < 2:
            return NO_HITS.rows
        if place == PHRASE:
            return segment.with_phrase(query.words, end)
        assert place == ONE_FIELD
        found = [segment.entries_with_all(words, (field,), end) for field in (TITLE, VALUES)]
        return np.unique(np.concatenate(found))

    def _with_entries(self, rows: np.ndarray, entries: np.ndarray) -> np.ndarray:
        """Returns int64[m], rows and those of the entries that count, ascending."""
        return np.union1d(rows, self._rows.rows_of_entries(self._rows.alive(entries))).astype(np.int64)

    def _idf(self, term: str) -> Mapping[str, float]:
        return {field: idf(count, self.index.count) for field, count in self.term_counts(term).items()}
