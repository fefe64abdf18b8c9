"""Matching by words: a text against the fields of a catalogue's items, with the features of each match."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tantivy import Query

from core.retrieval.lexical_index import (
    EXTRA,
    TEXT,
    TITLE,
    VALUES,
    WHOLE_TITLE,
    WHOLE_VALUE,
    Hits,
    ItemWords,
    WordIndex,
    without_year,
)
from core.retrieval.spelling import Vocabulary
from core.retrieval.title_words import TitleWords, checksums
from core.text.analysis import analyze
from core.vectors import top_rows
from domain.item import Item

# Features of the match of a text and an item, each from 0 to 1.
MATCH_FEATURES = ("bm25", "title_coverage", "title_exact", "value_exact", "phrase", "one_field")
BM25, TITLE_COVERAGE, TITLE_EXACT, VALUE_EXACT, PHRASE, ONE_FIELD = range(len(MATCH_FEATURES))

_WEIGHTS = {TITLE: 2.0, VALUES: 1.5, TEXT: 1.0, EXTRA: 0.6}
_TIE_BREAKER = 0.2
# Of Lucene and tantivy: the most that one term of idf 1 can give is k1 + 1.
_MOST_OF_IDF = 2.2
# A word that so large a share of the items has is left out of the search where rarer ones stand beside it.
_COMMON_SHARE = 0.2
_FEW_ITEMS = 2_000
_MOST_TERMS = 32
_MOST_COMPLETED = 8
_LEAST_PREFIX = 3
_LEAST_BESIDE_DIGITS = 5
_COMPLETIONS = 3
# Items of which the score is known; an item beyond them has less than all of these.
_FIRST_HITS = 256
_NAMED = 2_000
_NAMING = (TITLE_EXACT, VALUE_EXACT, PHRASE, ONE_FIELD)
_ONE_WORD_VALUE = 0.5
_NO_ROWS = np.empty(0, np.int64)
_FILES = ("words", "vocabulary.npz", "titles.npz")


@dataclass(frozen=True)
class LexicalQuery:
    """A text as it is matched.

    Attributes:
        text: as it was given.
        corrected_text: with the slips mended; empty where there were none.
        words: in their order, as they are searched.
        terms: words and extra terms that the catalogue has, each once.
    """

    text: str
    corrected_text: str
    words: tuple[str, ...]
    terms: tuple[str, ...]
    _hits: dict[int, Hits] = field(default_factory=dict, repr=False, compare=False)
    _named: dict[int, np.ndarray] = field(default_factory=dict, repr=False, compare=False)


class LexicalIndex:
    """Words of a catalogue. Read-only: any thread may search."""

    def __init__(self, index: WordIndex, vocabulary: Vocabulary, titles: TitleWords) -> None:
        self.index = index
        self.vocabulary = vocabulary
        self._titles = titles

    @classmethod
    def build(cls, folder: Path, items: Iterable[Item]) -> None:
        """Writes the index into a folder. The items may come as a stream."""
        folder.mkdir(parents=True, exist_ok=True)
        counts: Counter[str] = Counter()
        titles: list[np.ndarray] = []
        WordIndex.build(folder / _FILES[0], _noted(items, counts, titles))
        words = sorted(counts)
        Vocabulary(words, np.asarray([counts[word] for word in words], np.int64)).save(folder / _FILES[1])
        TitleWords.of(titles).save(folder / _FILES[2])

    @classmethod
    def load(cls, folder: Path) -> "LexicalIndex":
        """Reads what `build` wrote.

        Raises:
            OSError, ValueError, KeyError: a file is damaged.
        """
        index = WordIndex.load(folder / _FILES[0])
        titles = TitleWords.load(folder / _FILES[2])
        if len(titles) != index.count:
            raise ValueError(f"{folder.name} has {index.count} items and {len(titles)} titles")
        return cls(index, Vocabulary.load(folder / _FILES[1]), titles)

    def __len__(self) -> int:
        return self.index.count

    def parse(self, text: str, *, correct: bool = True) -> LexicalQuery:
        """Analyses a text and mends slips of words that the catalogue does not have.

        Args:
            text: as a caller wrote it; no character is an operator.
            correct: whether slips are mended.
        """
        corrected = self._corrected(text) if correct else ""
        analyzed = analyze(corrected or text)
        words = analyzed.words[:_MOST_TERMS]
        # "war games" is also "wargames".
        joined = [first + second for first, second in itertools.pairwise(words) if first.isalnum() and second.isalnum()]
        completed = self._completions(words)
        every = (*analyzed.terms[:_MOST_TERMS], *joined, *completed)
        known = dict.fromkeys(term for term in every if self._frequency(term))
        return LexicalQuery(text, corrected, words, tuple(known))

    def search(self, query: LexicalQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows int64[m], m <= count, and scores, float32[m]: 0 to 1, and 1 more for items that it names."""
        if not query.terms:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        named = np.unique(np.concatenate([self._named_rows(query, place) for place in _NAMING]))
        wanted = max(_FIRST_HITS, count)
        while True:
            hits = self._hits(query, wanted)
            free = ~blocked[hits.rows]
            if hits.exhausted or wanted >= len(self) or int(free.sum()) >= count:
                break
            wanted = min(8 * wanted, len(self))
        rows, scores = hits.rows[free], hits.scores[free]
        scores = scores + np.isin(rows, named)
        others = named[~blocked[named] & ~np.isin(named, rows)]
        rows, scores = np.concatenate([rows, others]), np.concatenate([scores, np.ones(len(others), np.float32)])
        return top_rows(scores.astype(np.float32), rows, count)

    def features(self, query: LexicalQuery, rows: np.ndarray) -> np.ndarray:
        """Returns float32[C, F], `MATCH_FEATURES` of rows int64[C]; zeros where nothing matches."""
        features = np.zeros((len(rows), len(MATCH_FEATURES)), np.float32)
        if not query.terms or not len(rows):
            return features
        hits = max(query._hits.values(), key=lambda found: len(found.rows), default=None) or self._hits(
            query, _FIRST_HITS
        )
        features[:, BM25] = np.minimum(_values_of(hits.rows, hits.scores, rows), 1)
        features[:, TITLE_COVERAGE] = self._titles.coverage(query.words, rows)
        for place in _NAMING:
            features[:, place] = np.isin(rows, self._named_rows(query, place))
        # A single word is the value of many things that it does not name.
        features[:, VALUE_EXACT] *= 1.0 if len(query.words) > 1 else _ONE_WORD_VALUE
        return features

    def _named_rows(self, query: LexicalQuery, place: int) -> np.ndarray:
        """Returns int64[m], the rows that have one of the features by which a text names an item."""
        rows = query._named.get(place)
        if rows is None:
            naming = self._naming(query, place)
            rows = _NO_ROWS if naming is None else self.index.search(naming, min(_NAMED, len(self))).rows
            query._named[place] = rows
        return rows

    def _naming(self, query: LexicalQuery, place: int) -> Query | None:
        index, words = self.index, list(dict.fromkeys(query.words))
        if place in (TITLE_EXACT, VALUE_EXACT):
            return index.term(WHOLE_TITLE if place == TITLE_EXACT else WHOLE_VALUE, " ".join(query.words))
        if len(words) < 2:
            return None
        if place == PHRASE:
            return index.some([index.phrase(name, query.words) for name in (TITLE, VALUES, TEXT)])
        fields = (TITLE, VALUES)
        return index.some([index.every([index.term(name, word) for word in words]) for name in fields])

    def is_title(self, text: str) -> bool:
        """Returns whether a text is what an item is called, or all of its words stand in one title."""
        words = list(dict.fromkeys(analyze(text).words))
        if not words:
            return False
        whole = self.index.term(WHOLE_TITLE, " ".join(analyze(text).words))
        if len(self.index.search(whole, 1).rows):
            return True
        return len(words) > 1 and self._in_title([self.index.term(TITLE, word) for word in words])

    def rows_with(self, text: str) -> np.ndarray:
        """Returns int64[m], every row that has all words of a text; none for a text without words."""
        words = list(dict.fromkeys(analyze(text).words))
        if not words:
            return np.empty(0, np.int64)
        weights = dict.fromkeys(_WEIGHTS, 1.0)
        every = self.index.every([self.index.any_of(word, weights, 0.0) for word in words])
        return np.sort(self.index.search(every, len(self)).rows)

    def _completions(self, words: Sequence[str]) -> list[str]:
        """Returns words that begin as the last one does, where a title has them with all others and not the last."""
        if not 1 < len(words) <= _MOST_COMPLETED or len(words[-1]) < _LEAST_PREFIX:
            return []
        index, others = self.index, [self.index.term(TITLE, word) for word in words[:-1]]
        if self._in_title([*others, index.term(TITLE, words[-1])]):
            return []
        longer = self.vocabulary.beginning_with(words[-1])
        if not longer:
            return []
        if not self._in_title([*others, index.some([index.term(TITLE, word) for word in longer])]):
            return []
        found = [word for word in longer if self._in_title([*others, index.term(TITLE, word)])]
        return found[:_COMPLETIONS]

    def _in_title(self, terms: Sequence[Query]) -> bool:
        """Returns whether a title has all of some terms."""
        return bool(len(self.index.search(self.index.every(terms), 1).rows))

    def _hits(self, query: LexicalQuery, count: int) -> Hits:
        found = query._hits.get(count)
        if found is None:
            raw = self.index.search(self._query(query), min(count, len(self)))
            found = query._hits[count] = Hits(raw.rows, raw.scores / np.float32(self._most(query)), raw.exhausted)
        return found

    def _query(self, query: LexicalQuery) -> Query:
        return self.index.some([self.index.any_of(term, _WEIGHTS, _TIE_BREAKER) for term in self._searched(query)])

    def _searched(self, query: LexicalQuery) -> list[str]:
        """Returns the terms that are searched: not those of nearly all items, unless there are no others."""
        common = max(_COMMON_SHARE * len(self), _FEW_ITEMS)
        rare = [term for term in query.terms if self._frequency(term) <= common]
        return rare or list(query.terms)

    def _most(self, query: LexicalQuery) -> float:
        """Returns the largest score that an item could have: each word where it counts most."""
        words = set(query.words)
        most = 0.0
        for term in self._searched(query):
            if term in words:
                best = max(weight * self._idf(name, term) for name, weight in _WEIGHTS.items())
                most += _MOST_OF_IDF * best
        return most or 1.0

    def _idf(self, name: str, term: str) -> float:
        count = self.index.frequency(name, term)
        return float(np.log1p((len(self) - count + 0.5) / (count + 0.5))) if count else 0.0

    def _frequency(self, term: str) -> int:
        return max(self.index.frequency(name, term) for name in _WEIGHTS)

    def _corrected(self, text: str) -> str:
        """Returns the text with its slips mended; empty where there are none."""
        analyzed = analyze(text)
        others = [word for word in analyzed.words if self._frequency(word)]
        instead: dict[str, str] = {}
        for word in analyzed.words[:_MOST_TERMS]:
            if word in instead or self._frequency(word) or not word.isascii():
                continue
            alternatives = self.vocabulary.alternatives(word)
            if alternatives:
                instead[word] = self._likeliest(alternatives, others)
        if not instead:
            return ""
        pattern = re.compile("|".join(_as_word(word) for word in instead), re.IGNORECASE)
        corrected = pattern.sub(lambda match: instead[match.group().casefold()], text)
        return corrected if corrected != text else ""

    def _likeliest(self, alternatives: Sequence[str], others: Sequence[str]) -> str:
        """Returns the alternative that stands in one title or value with most of the text's other words."""
        if not others:
            return alternatives[0]
        best, most = alternatives[0], -1.0
        for alternative in alternatives:
            for name in (TITLE, VALUES):
                together = self.index.every([self.index.term(name, word) for word in (alternative, *others)])
                if len(self.index.search(together, 1).rows):
                    return alternative
            pairs = self.index.every(
                [
                    self.index.term(TITLE, alternative),
                    self.index.some([self.index.term(TITLE, word) for word in others]),
                ]
            )
            hits = self.index.search(pairs, 1)
            score = float(hits.scores[0]) if len(hits.rows) else 0.0
            if score > most:
                best, most = alternative, score
        return best


def _as_word(word: str) -> str:
    """Returns the pattern for a word of letters; digits may touch a long one, a short one is then part of a code."""
    letter = r"[^\W\d_]" if len(word) >= _LEAST_BESIDE_DIGITS else r"[^\W_]"
    return f"(?<!{letter}){word}(?!{letter})"


def _noted(items: Iterable[Item], counts: "Counter[str]", titles: list[np.ndarray]) -> Iterator[Item]:
    """Passes items on, and notes their words and titles."""
    for item in items:
        words = ItemWords.of(item)
        said = (*words.titles, *(value for _, value in words.values), *(text for _, text in words.texts))
        counts.update({word for part in said for word in analyze(part).words})
        titles.append(np.unique(checksums(analyze(without_year(item.title)).words)))
        yield item


def _values_of(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Returns the value of each wanted key, 0 where there is none."""
    if not len(keys):
        return np.zeros(len(wanted), np.float32)
    order = np.argsort(keys, kind="stable")
    places = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    hit = keys[order][places] == wanted
    found: np.ndarray = np.where(hit, values[order][places], 0).astype(np.float32)
    return found
