"""Matching by words: a text against the fields of a catalogue's items, with the features of each match."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path

import numpy as np
from tantivy import Query

from core.retrieval.characters import CharacterTerms, characters_of_unknown
from core.retrieval.idle_terms import idle_terms
from core.retrieval.lexical_document import TEXT, ItemTerms, Spell
from core.retrieval.lexical_index import EXTRA, NO_HITS, TITLE, VALUES, WHOLE_TITLE, WHOLE_VALUE, Hits, WordIndex
from core.retrieval.lexical_query import LexicalQuery, QueryReader, wholes
from core.retrieval.spelling import Vocabulary
from core.retrieval.term_statistics import WEIGHTS, CatalogueStatistics
from core.retrieval.title_words import TitleWords, checksums
from core.row_order import RowOrder
from core.text.analysis import analyze
from core.vectors import top_rows
from domain.item import Item

# Features of the match of a text and an item, each from 0 to 1.
MATCH_FEATURES = ("bm25", "title_coverage", "title_exact", "value_exact", "phrase", "one_field")
BM25, TITLE_COVERAGE, TITLE_EXACT, VALUE_EXACT, PHRASE, ONE_FIELD = range(len(MATCH_FEATURES))

TIE_BREAKER = 0.2
# How much a word that says little counts beside others.
_IDLE = 0.05
_CHARACTER_WEIGHTS = {EXTRA: WEIGHTS[EXTRA]}
_IDLE_WEIGHTS = {field: _IDLE * weight for field, weight in WEIGHTS.items()}
# A word that so large a share of the items has is left out of the search where rarer ones stand beside it.
_COMMON_SHARE = 0.2
_FEW_ITEMS = 2_000
# Items of which the score is known; an item beyond them has less than all of these.
_FIRST_HITS = 256
_NAMED = 2_000
_NAMING = (TITLE_EXACT, VALUE_EXACT, PHRASE, ONE_FIELD)
_ONE_WORD_VALUE = 0.5
_FILES = ("words", "vocabulary.npz", "titles.npz")


class LexicalIndex:
    """Words of a catalogue. Read-only: any thread may search."""

    def __init__(self, index: WordIndex, vocabulary: Vocabulary, titles: TitleWords) -> None:
        self.index = index
        self.vocabulary = vocabulary
        self.titles = titles
        self._statistics = CatalogueStatistics(index)
        self._reader = QueryReader(index, vocabulary, self._statistics)
        # Of rows with equal scores; None where they ascend by id.
        self._order: RowOrder | None = None

    @classmethod
    def build(cls, folder: Path, items: Iterable[Item], spell: Spell | None = None) -> None:
        """Writes the index into a folder.

        Args:
            folder: is made where it is absent.
            items: may come as a stream.
            spell: gives another spelling of titles and values, such as pinyin, by which they are found too.
        """
        folder.mkdir(parents=True, exist_ok=True)
        counts: Counter[str] = Counter()
        titles: list[np.ndarray] = []
        WordIndex.build(folder / _FILES[0], _noted((ItemTerms.of(item, spell) for item in items), counts, titles))
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
        """Analyses a text and mends slips of words that the catalogue does not have, unless `correct` is False."""
        return self._reader.read(text, correct=correct)

    def search(self, query: LexicalQuery, count: int, blocked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows int64[m], m <= count, and scores, float32[m]: 0 to 1, and 1 more for items that it names."""
        if not query.terms:
            return NO_HITS.rows, NO_HITS.scores
        parts = [rows for place in _NAMING if len(rows := self._named_rows(query, place))]
        wanted = max(_FIRST_HITS, count)
        while True:
            hits = self._hits(query, wanted)
            free = ~blocked[hits.rows]
            if hits.exhausted or wanted >= len(self) or int(free[: hits.certain].sum()) >= count:
                break
            wanted = min(8 * wanted, len(self))
        rows, scores = hits.rows[free], hits.scores[free]
        if parts:
            named = np.unique(np.concatenate(parts)) if len(parts) > 1 else np.sort(parts[0])
            scores = scores + _contains(named, rows)
            others = named[~blocked[named]]
            others = others[~_contains(np.sort(rows), others)]
            rows = np.concatenate([rows, others])
            scores = np.concatenate([scores, np.ones(len(others), np.float32)]).astype(np.float32)
        return top_rows(scores, rows, count, self._order)

    def features(self, query: LexicalQuery, rows: np.ndarray) -> np.ndarray:
        """Returns float32[C, F], `MATCH_FEATURES` of rows int64[C]; zeros where nothing matches."""
        features = np.zeros((len(rows), len(MATCH_FEATURES)), np.float32)
        if not query.terms or not len(rows):
            return features
        hits = max(query._hits.values(), key=lambda found: len(found.rows), default=None) or self._hits(
            query, _FIRST_HITS
        )
        features[:, BM25] = np.minimum(_values_of(hits.rows, hits.scores, rows), 1)
        features[:, TITLE_COVERAGE] = self.titles.coverage(query.words, rows)
        for place in _NAMING:
            named = self._named_rows(query, place)
            if len(named):
                features[:, place] = _contains(np.sort(named), rows)
        # A single word is the value of many things that it does not name.
        if len(query.words) == 1:
            features[:, VALUE_EXACT] *= _ONE_WORD_VALUE
        return features

    def _named_rows(self, query: LexicalQuery, place: int) -> np.ndarray:
        """Returns int64[m], the rows that have one of the features by which a text names an item."""
        rows = query._named.get(place)
        if rows is None:
            naming = self._naming(query, place)
            rows = NO_HITS.rows if naming is None else self.index.search(naming, min(_NAMED, len(self))).rows
            query._named[place] = rows
        return rows

    def _naming(self, query: LexicalQuery, place: int) -> Query | None:
        """Returns the query for the items with a feature; None where there are surely none."""
        index, words = self.index, list(dict.fromkeys(query.words))
        if place in (TITLE_EXACT, VALUE_EXACT):
            name = WHOLE_TITLE if place == TITLE_EXACT else WHOLE_VALUE
            known = [index.term(name, whole) for whole in wholes(query.words) if index.frequency(name, whole)]
            return index.some(known) if known else None
        if len(words) < 2:
            return None
        possible = (TITLE, VALUES, TEXT) if place == PHRASE else (TITLE, VALUES)
        fields = [name for name in possible if self._statistics.in_all(name, words)]
        if not fields:
            return None
        if place == PHRASE:
            return index.some([index.phrase(name, query.words) for name in fields])
        return index.some([index.every([index.term(name, word) for word in words]) for name in fields])

    def rows_with(self, text: str) -> np.ndarray:
        """Returns int64[m], every row that has all words of a text; none for a text without words."""
        words = list(dict.fromkeys(analyze(text).words))
        if not words:
            return NO_HITS.rows
        weights = dict.fromkeys(WEIGHTS, 1.0)
        every = self.index.every([self.index.any_of(word, weights, 0.0) for word in words])
        return np.sort(self.index.search(every, len(self)).rows)

    def _hits(self, query: LexicalQuery, count: int) -> Hits:
        found = query._hits.get(count)
        if found is None:
            found = query._hits[count] = self._found(*self._weighed(query), count)
        return found

    def _found(self, terms: Sequence[tuple[str, Mapping[str, float]]], most: float, count: int) -> Hits:
        """Returns at least `count` hits, where there are as many, of what `_weighed` returns."""
        parts = [self.index.any_of(term, weights, TIE_BREAKER) for term, weights in terms]
        raw = self.index.search(self.index.some(parts), min(count, len(self)))
        return Hits(raw.rows, raw.scores / np.float32(most), raw.exhausted)

    def term_counts(self, term: str) -> Mapping[str, int]:
        """Returns in how many items each field has a term."""
        return self._statistics.of(term).counts

    def _weighed(self, query: LexicalQuery) -> tuple[list[tuple[str, Mapping[str, float]]], float]:
        """Returns the terms that are searched with their weights by field, and the largest score possible."""
        terms = self._searched(query)
        idle = idle_terms(query.words, terms)
        characters = characters_of_unknown(query.words, terms, self._statistics.frequency)
        special = {**dict.fromkeys(characters.kept, _CHARACTER_WEIGHTS), **dict.fromkeys(idle, _IDLE_WEIGHTS)}
        weighed = [(term, special.get(term, WEIGHTS)) for term in terms if term not in characters.dropped]
        return weighed, self._most(query, terms, idle, characters)

    def _searched(self, query: LexicalQuery) -> list[str]:
        """Returns the terms that are searched: not those of nearly all items, unless there are no others."""
        common = max(_COMMON_SHARE * len(self), _FEW_ITEMS)
        rare = [term for term in query.terms if self._statistics.frequency(term) <= common]
        return rare or list(query.terms)

    def _most(self, query: LexicalQuery, terms: list[str], idle: Set[str], characters: CharacterTerms) -> float:
        """Returns the largest score that an item could have: each word where it counts most, idle ones less.

        A Chinese word that the catalogue does not have counts as one that a single title has: its characters say
        little.
        """
        words = set(query.words)
        counted = [term for term in terms if term not in idle and term in words]
        most = sum(self._statistics.of(term).most for term in counted)
        most += len(characters.words) * self._statistics.most_of_rarest
        return most + _IDLE * sum(self._statistics.of(term).most for term in terms if term in idle) or 1.0


def _noted(items: Iterable[ItemTerms], counts: "Counter[str]", titles: list[np.ndarray]) -> Iterator[ItemTerms]:
    """Passes items on, and notes their words and titles."""
    for terms in items:
        counts.update(set(terms.words()))
        titles.append(np.unique(checksums(terms.own_title)))
        yield terms


def _contains(ascending: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Returns bool[m], whether each wanted row, int64[m], is among some others, which ascend."""
    if not len(ascending):
        return np.zeros(len(wanted), bool)
    places = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    found: np.ndarray = ascending[places] == wanted
    return found


def _values_of(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Returns float32[m], the value of each wanted key, 0 where there is none."""
    if not len(keys):
        return np.zeros(len(wanted), np.float32)
    order = np.argsort(keys, kind="stable")
    places = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    hit = keys[order][places] == wanted
    found: np.ndarray = np.where(hit, values[order][places], 0).astype(np.float32)
    return found
