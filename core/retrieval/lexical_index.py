"""The word index of a release: tantivy over analysed terms, by fields."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tantivy import (
    Document,
    Index,
    Occur,
    Query,
    Schema,
    SchemaBuilder,
    TextAnalyzerBuilder,
    Tokenizer,
)

from core.text.analysis import Analyzed, analyze, key
from domain.item import Item

TITLE, VALUES, TEXT, EXTRA = "title", "values", "text", "extra"
# Where a whole title, an id, or a whole value stands as one term.
WHOLE_TITLE, WHOLE_VALUE = "whole_title", "whole_value"
_ROW = "row"
_WORD_FIELDS = (TITLE, VALUES, TEXT, EXTRA)
# A string attribute of at most so many characters is a value, such as a name; a longer one is text.
_VALUE_CHARACTERS = 60
# An attribute of such a name is another title.
TITLE_NAME = re.compile(r"(^|_)titles?(_|$)")
_LINK = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# One segment up to so many bytes of postings; they are taken as they are needed.
_HEAP_BYTES = 2_000_000_000
_REMOVALS = 10
_HEX = re.compile(r"[0-9a-f]{32}")
_LEAST_INITIALS = 3
# From so many letters on, initials are a name of the title.
_NAMING_INITIALS = 4
_SUBTITLE = re.compile(r"\s*[:(]|\s[-\u2013\u2014]\s")
_ARTICLE = re.compile(r"^(?:the|a|an)\s+", re.IGNORECASE)
# A year in brackets says when, not what: "2001" does not name "Shrek (2001)".
_YEAR = re.compile(r"\s*[(\[\uff08](?:1[89]|20)\d\d(?:\s*[-\u2013]\s*(?:(?:1[89]|20)\d\d)?)?[)\]\uff09]")
_BRACKETS = re.compile(r"\(([^()]+)\)")


@dataclass(frozen=True)
class ItemWords:
    """An item as it is matched.

    Attributes:
        titles: title, id and attributes that are titles.
        values: whole values by attribute name.
        texts: longer strings by attribute name, the item's text among them.
    """

    titles: tuple[str, ...]
    values: tuple[tuple[str, str], ...]
    texts: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, item: Item) -> "ItemWords":
        """Sorts what an item says in words into fields; links say nothing."""
        titles, values, texts = [item.title], [], [(TEXT, item.text)]
        for name, value in item.attributes.items():
            entries = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
            for entry in entries:
                if _LINK.match(entry) or not entry.strip():
                    continue
                if TITLE_NAME.search(name):
                    titles.append(entry)
                elif len(entry) <= _VALUE_CHARACTERS:
                    values.append((name, entry))
                else:
                    texts.append((name, entry))
        return cls(tuple(title for title in titles if title.strip()), tuple(values), tuple(texts))


@dataclass(frozen=True)
class Hits:
    """Items that a query found.

    Attributes:
        rows: int64[m], best first.
        scores: float32[m].
        exhausted: whether nothing else matches.
    """

    rows: np.ndarray
    scores: np.ndarray
    exhausted: bool


class WordIndex:
    """A tantivy index that is read only: any thread may search."""

    def __init__(self, index: Index, schema: Schema) -> None:
        self._schema = schema
        self._searcher = index.searcher()
        self.count: int = self._searcher.num_docs

    @classmethod
    def build(cls, folder: Path, items: Iterable[Item]) -> None:
        """Writes an index of items, row by row, the same items give the same bytes."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        schema = _schema()
        index = Index(schema, path=str(folder))
        _register(index)
        writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        for row, item in enumerate(items):
            writer.add_document(_document(row, item))
        writer.commit()
        writer.wait_merging_threads()
        del writer
        _name_segments(folder)

    @classmethod
    def load(cls, folder: Path) -> "WordIndex":
        """Reads what `build` wrote; nothing is written into the folder.

        Raises:
            ValueError: it is not such an index, or the folder for temporary files cannot be written.
        """
        schema = _schema()
        try:
            # The files are mapped once they are open: the links are not needed any longer.
            with _links(folder) as links:
                index = Index.open(str(links))
                index.config_reader("Manual")  # nothing is ever added
                _register(index)
                return cls(index, schema)
        except (OSError, ValueError) as error:
            raise ValueError(f"{folder.name} is not an index of words: {error}") from error

    def frequency(self, field: str, term: str) -> int:
        """Returns in how many items a field has a term."""
        found: int = self._searcher.doc_freq(field, term)
        return found

    def search(self, query: Query, count: int) -> Hits:
        """Returns the best items for a query; equal scores by row."""
        result = self._searcher.search(query, count, count=False)
        if not result.hits:
            return Hits(np.empty(0, np.int64), np.empty(0, np.float32), True)
        scores = np.asarray([score for score, _ in result.hits], np.float32)
        rows = np.asarray(self._searcher.fast_field_values(_ROW, [address for _, address in result.hits]), np.int64)
        order = np.lexsort((rows, -scores))
        return Hits(rows[order], scores[order], len(rows) < count)

    def term(self, field: str, term: str) -> Query:
        """Returns the query for one term in one field."""
        return Query.term_query(self._schema, field, term)

    def phrase(self, field: str, words: Sequence[str]) -> Query:
        """Returns the query for words that follow one another in a field."""
        return Query.phrase_query(self._schema, field, list(words))

    def any_of(self, term: str, weights: Mapping[str, float], tie_breaker: float) -> Query:
        """Returns the query for a term in the field where it counts most; other fields add `tie_breaker` of theirs."""
        parts = [Query.boost_query(self.term(field, term), weight) for field, weight in weights.items()]
        return Query.disjunction_max_query(parts, tie_breaker)

    @staticmethod
    def some(queries: Sequence[Query]) -> Query:
        """Returns the query for any of several, their scores summed."""
        return Query.boolean_query([(Occur.Should, query) for query in queries])

    @staticmethod
    def every(queries: Sequence[Query]) -> Query:
        """Returns the query for all of several."""
        return Query.boolean_query([(Occur.Must, query) for query in queries])


@contextmanager
def _links(folder: Path) -> Iterator[Path]:
    """Yields a temporary folder of links to a folder's files.

    tantivy makes a lock file in the folder that it opens, and a release may be mounted read-only.
    """
    links = Path(tempfile.mkdtemp(prefix="shortlist-words-"))
    try:
        for path in folder.iterdir():
            (links / path.name).symlink_to(path.resolve())
        yield links
    finally:
        # A thread of tantivy reads the index once more, soon after it was opened, and may make the lock file again.
        for _ in range(_REMOVALS):
            shutil.rmtree(links, ignore_errors=True)
            if not links.exists():
                break


def _schema() -> Schema:
    builder = SchemaBuilder()
    for field in (TITLE, VALUES, TEXT):
        builder.add_text_field(field, tokenizer_name="terms", index_option="position")
    builder.add_text_field(EXTRA, tokenizer_name="terms", index_option="freq")
    for field in (WHOLE_TITLE, WHOLE_VALUE):
        builder.add_text_field(field, tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field(_ROW, fast=True)
    return builder.build()


def _register(index: Index) -> None:
    index.register_tokenizer("terms", TextAnalyzerBuilder(Tokenizer.whitespace()).build())


def _document(row: int, item: Item) -> Document:
    words = ItemWords.of(item)
    document = Document()
    document.add_unsigned(_ROW, row)
    extra: dict[str, None] = {}
    known: list[str] = []
    for title in words.titles:
        _add(document, TITLE, analyze(title), extra)
        short = initials(title)
        extra.update(dict.fromkeys(short))
        known.extend(name for name in short if len(name) >= _NAMING_INITIALS)
    for _, value in words.values:
        _add(document, VALUES, analyze(value), extra)
        document.add_text(WHOLE_VALUE, key(value))
    for _, text in words.texts:
        _add(document, TEXT, analyze(text), extra)
    known.extend(key(name) for title in words.titles for name in (title, *names(title)))
    for whole in dict.fromkeys(known):
        document.add_text(WHOLE_TITLE, whole)
    if any(character.isalpha() for character in item.id):  # a number names a film before it names a row
        whole = key(item.id)
        document.add_text(WHOLE_TITLE, whole)
        if whole and " " not in whole:
            extra[whole] = None
    if extra:
        document.add_text(EXTRA, " ".join(extra))
    return document


def _add(document: Document, field: str, analyzed: Analyzed, extra: dict[str, None]) -> None:
    if analyzed.words:
        document.add_text(field, " ".join(analyzed.words))
    extra.update(dict.fromkeys(analyzed.extra))


def without_year(title: str) -> str:
    """Returns a title without years in brackets; a title that is nothing else stays as it is."""
    return _YEAR.sub("", title).strip() or title


def names(title: str) -> tuple[str, ...]:
    """Returns by what else a title is known: without its year, its subtitle and its article, and what brackets hold."""
    title = without_year(title)
    short = _SUBTITLE.split(title)[0].strip()
    found = [title, short]
    found.extend(_ARTICLE.sub("", name) for name in (title, short))
    found.extend(_BRACKETS.findall(title))
    return tuple(name for name in found if name)


def initials(title: str) -> tuple[str, ...]:
    """Returns the initials by which a title of several words is known, with and without its article: "lotr"."""
    found, title = [], without_year(title)
    for part in (title, re.split(r"[:(]", title)[0]):
        words = analyze(part).words
        for kept in (words, words[1:] if words[:1] in (("the",), ("a",), ("an",)) else words):
            if len(kept) >= _LEAST_INITIALS and all(word.isascii() and word.isalnum() for word in kept):
                found.append("".join(word[0] for word in kept))
    return tuple(dict.fromkeys(found))


def _name_segments(folder: Path) -> None:
    """Gives the segments names that do not change: tantivy draws them at random."""
    meta = folder / "meta.json"
    raw = json.loads(meta.read_text(encoding="utf-8"))
    for number, segment in enumerate(raw["segments"], start=1):
        drawn, name = segment["segment_id"].replace("-", ""), f"{number:032x}"
        for path in list(folder.glob(f"{drawn}*")):
            path.rename(folder / path.name.replace(drawn, name))
        segment["segment_id"] = "-".join((name[:8], name[8:12], name[12:16], name[16:20], name[20:]))
    names = sorted(path.name for path in folder.iterdir() if _HEX.match(path.name) or path.name == "meta.json")
    for path, content in ((meta, json.dumps(raw, indent=1)), (folder / ".managed.json", json.dumps(names))):
        path.unlink(missing_ok=True)  # tantivy's own files can be read by their owner only
        path.write_text(content, encoding="utf-8")
    for lock in folder.glob("*.lock"):
        lock.unlink()
