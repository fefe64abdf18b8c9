"""The word index of a release: tantivy over analysed terms, by fields."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

from core.retrieval.lexical_document import TEXT, ItemTerms

TITLE, VALUES, EXTRA = "title", "values", "extra"
# Where a whole title, an id, or a whole value stands as one term.
WHOLE_TITLE, WHOLE_VALUE = "whole_title", "whole_value"
_ROW = "row"
# One segment up to so many bytes of postings; they are taken as they are needed.
_HEAP_BYTES = 2_000_000_000
_REMOVALS = 10
_HEX = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Hits:
    """Items that a query found.

    Attributes:
        rows: int64[m], best first.
        scores: float32[m].
        exhausted: whether nothing else matches.
        behind: number of the last ones that may stand behind items that are not among them.
    """

    rows: np.ndarray
    scores: np.ndarray
    exhausted: bool
    behind: int = 0

    @property
    def certain(self) -> int:
        """Number of the first ones that surely are the best."""
        return len(self.rows) - self.behind


NO_HITS = Hits(np.empty(0, np.int64), np.empty(0, np.float32), exhausted=True)


class WordIndex:
    """A tantivy index that is read only: any thread may search."""

    def __init__(self, index: Index, schema: Schema) -> None:
        self._schema = schema
        self._searcher = index.searcher()
        self.count: int = self._searcher.num_docs

    @classmethod
    def build(cls, folder: Path, items: Iterable[ItemTerms]) -> None:
        """Writes an index of items, row by row; the same items give the same bytes."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        schema = _schema()
        index = Index(schema, path=str(folder))
        _register(index)
        writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        for row, terms in enumerate(items):
            writer.add_document(_document(row, terms))
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

    def mean_length(self, field: str, words: Iterable[str]) -> float | None:
        """Returns the mean number of words in a field; None where it has none of some words, of which one is enough."""
        term = next((word for word in words if self.frequency(field, word)), None)
        if term is None:
            return None
        query = self.term(field, term)
        hits = self._searcher.search(query, 1, count=False).hits
        pending: list[dict[str, Any]] = [json.loads(query.explain(self._searcher, hits[0][1]).to_json())]
        while pending:
            part = pending.pop()
            if part["description"].startswith("avgdl"):
                return float(part["value"])
            pending.extend(part.get("details", ()))
        return None

    def search(self, query: Query, count: int) -> Hits:
        """Returns the best items for a query; equal scores by row."""
        hits = self._searcher.search(query, count, count=False).hits  # made anew each time
        if not hits:
            return NO_HITS
        drawn, addresses = zip(*hits, strict=True)
        scores = np.array(drawn, np.float32)
        rows = np.array(self._searcher.fast_field_values(_ROW, list(addresses)), np.int64)
        order = np.lexsort((rows, -scores))
        return Hits(rows[order], scores[order], len(rows) < count)

    def has(self, query: Query) -> bool:
        """Returns whether an item matches a query."""
        return bool(self._searcher.search(query, 1, count=False).hits)

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


def _document(row: int, terms: ItemTerms) -> Document:
    document = Document()
    document.add_unsigned(_ROW, row)
    for field, strings in ((TITLE, terms.titles), (VALUES, terms.values), (TEXT, terms.texts)):
        for words in strings:
            if words:
                document.add_text(field, " ".join(words))
    for whole in (*(" ".join(words) for words in terms.values), *terms.spelt_values):
        document.add_text(WHOLE_VALUE, whole)
    for whole in terms.whole_titles:
        document.add_text(WHOLE_TITLE, whole)
    if terms.extra:
        document.add_text(EXTRA, " ".join(terms.extra))
    return document


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
