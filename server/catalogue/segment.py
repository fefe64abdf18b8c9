"""Changes of a catalogue since its release: items, words, vectors and attributes in memory, which only grow.

One thread applies changes; a view is the state of one moment, and stays that whatever is applied later.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.growing import GrowingArray
from core.retrieval.entry_vectors import EntryVectors
from core.retrieval.lexical_document import ItemTerms
from core.retrieval.lexical_match import LexicalIndex
from core.retrieval.vector_store import VectorStore
from core.retrieval.word_segment import WordSegment
from core.versioned_rows import RowMask, RowsView, VersionedRows
from domain.item import AttributeType, Item, attribute_type
from server.catalogue.change import Change
from server.catalogue.columns import EntryColumns
from server.catalogue.item_table import ItemTable

_NO_WORDS = ItemTerms((), (), (), (), (), (), ())
_MEASURED_FIELDS = ("title", "values", "text", "extra")


@dataclass(frozen=True)
class BaseSegment:
    """Items of a release as it holds them; they never change.

    Attributes:
        items: by row.
        content: vectors and graph.
        lexical: words.
    """

    items: ItemTable
    content: VectorStore
    lexical: LexicalIndex


@dataclass(frozen=True)
class StoredItem:
    """State of an item.

    Attributes:
        item: whole; None where it is deleted.
        version: 0 where it is as the release has it.
        text_digest: of the text that its vector was made from; None for the text of the release's item.
        first_seen_s: when a change added it, seconds since 1970; None for an item of the release.
    """

    item: Item | None
    version: int
    text_digest: str | None = None
    first_seen_s: float | None = None


_FORGOTTEN = StoredItem(None, 0)


@dataclass(frozen=True)
class SegmentView:
    """One moment of a segment.

    Attributes:
        items: versions of items and their attributes.
        words: of their words.
        vectors: of their vectors.
        stored: the vectors.
        types: of all attributes.
    """

    items: RowsView
    words: RowsView
    vectors: RowsView
    stored: EntryVectors
    types: Mapping[str, AttributeType]

    @property
    def row_count(self) -> int:
        """Rows of the catalogue, those of deleted items among them."""
        return self.items.row_count


class LiveSegment:
    """Changed items over a base."""

    def __init__(self, base: BaseSegment) -> None:
        count = len(base.items)
        self.base = base
        self.item_versions, self.word_versions, self.vector_versions = (VersionedRows(count) for _ in range(3))
        self.columns = EntryColumns()
        vocabulary = base.lexical.vocabulary.words
        lengths = {field: base.lexical.index.mean_length(field, vocabulary) for field in _MEASURED_FIELDS}
        self.words = WordSegment({field: length for field, length in lengths.items() if length})
        self.vectors = EntryVectors.empty(base.content.vectors.shape[1])
        self.silent = GrowingArray((), np.bool_)
        self.first_seen_s = GrowingArray((), np.float64)
        self.unavailable = RowMask(base.items.unavailable)
        self.moved = RowMask(np.zeros(count, bool))
        self._stored: list[StoredItem] = []
        # When `forget` was called last, and the entries of items and words then.
        self._noted: tuple[float, int, int] | None = None
        # What came in place of others before these entries of items and words was let go.
        self._forgotten = 0, 0
        self._new_ids: list[str] = []
        self._new_rows: dict[str, int] = {}
        self._types: Mapping[str, AttributeType] = dict(base.items.attribute_types)

    def __len__(self) -> int:
        return len(self.item_versions)

    @property
    def row_count(self) -> int:
        """Rows, those of deleted items among them."""
        return len(self.base.items) + len(self._new_ids)

    @property
    def types(self) -> Mapping[str, AttributeType]:
        """Types of all attributes."""
        return self._types

    def view(self) -> SegmentView:
        """Returns this moment; to be called by the thread that applies changes."""
        rows = self.row_count
        items, words, vectors = self.item_versions, self.word_versions, self.vector_versions
        return SegmentView(items.view(rows), words.view(rows), vectors.view(rows), self.vectors, self._types)

    def row_of(self, item_id: str) -> int | None:
        """Returns the row that an id has, or had; None where it never had one."""
        row = self.base.items.row_of(item_id)
        return self._new_rows.get(item_id) if row is None else row

    def id_of(self, row: int) -> str:
        """Returns the id of a row."""
        count = len(self.base.items)
        return self.base.items.ids[row] if row < count else self._new_ids[row - count]

    def stored(self, entry: int) -> StoredItem:
        """Returns the state that an entry of items gives."""
        return self._stored[entry]

    def latest(self, item_id: str) -> StoredItem | None:
        """Returns the newest state of an item; None where the catalogue never had it."""
        row = self.row_of(item_id)
        if row is None:
            return None
        entry = int(self.item_versions.latest.array[row])
        return self._stored[entry] if entry >= 0 else StoredItem(self.base.items.item(row), 0)

    def latest_vector(self, item_id: str) -> np.ndarray | None:
        """Returns the newest vector of an item, zeros where it is silent; None where it has none."""
        row = self.row_of(item_id)
        if row is None:
            return None
        entry = int(self.vector_versions.latest.array[row])
        if entry >= 0:
            dead = bool(self.vector_versions.is_dead.array[entry])
            return None if dead else self.vectors.take(np.asarray([entry]))[0]
        content = self.base.content
        return np.zeros_like(content.vectors[row]) if content.silent[row] else np.asarray(content.vectors[row])

    def forget(self, now_s: float, kept_s: float) -> None:
        """Lets go of items and texts that were no longer the latest when it was called before.

        For the thread that applies changes.

        Args:
            now_s: the monotonic clock.
            kept_s: seconds, longer than any request lasts, for which what is no longer the latest is kept.
        """
        if self._noted is not None:
            noted_s, items_end, words_end = self._noted
            if now_s - noted_s < kept_s:
                return
            for entry in self.item_versions.superseded(self._forgotten[0], items_end).tolist():
                self._stored[entry] = _FORGOTTEN
            self.words.forget(self.word_versions.superseded(self._forgotten[1], words_end))
            self._forgotten = items_end, words_end
        self._noted = now_s, len(self.item_versions), len(self.word_versions)

    def apply(self, change: Change) -> None:
        """Applies a change whose item fits the types."""
        row, is_new = self.row_of(change.item_id), False
        if row is None:
            row, is_new = self.row_count, True
        item = change.item
        # Readers see none of it before a view counts it.
        self._stored.append(StoredItem(item, change.version, change.text_digest, change.first_seen_s))
        self.first_seen_s.append(np.asarray([np.nan if change.first_seen_s is None else change.first_seen_s]))
        self.columns.append({} if item is None else item.attributes)
        self.unavailable.values.append(np.asarray([item is None or not item.available]))
        self._add_words(row, change, is_new=is_new)
        self._add_vector(row, change, is_new=is_new)
        self.item_versions.append(row, dead=item is None)
        if item is not None:
            added = {name: attribute_type(value) for name, value in item.attributes.items() if name not in self._types}
            if added:
                self._types = {**self._types, **added}
        if is_new:
            self._new_ids.append(change.item_id)
            self._new_rows[change.item_id] = row

    def _add_words(self, row: int, change: Change, *, is_new: bool) -> None:
        if change.item is None or is_new or change.terms is not None:
            dead = change.item is None or change.terms is None
            self.words.add(_NO_WORDS if change.item is None or change.terms is None else change.terms)
            self.word_versions.append(row, dead=dead)

    def _add_vector(self, row: int, change: Change, *, is_new: bool) -> None:
        if change.item is None or is_new or change.vector is not None:
            dead = change.item is None or change.vector is None
            width = self.base.content.vectors.shape[1]
            vector = np.zeros(width, np.float32) if dead or change.vector is None else change.vector
            self.vectors.append(vector)
            self.silent.append(np.asarray([not vector.any()]))
            self.moved.values.append(np.asarray([True]))
            self.vector_versions.append(row, dead=dead)
