"""Stages of a build. Each reads what earlier ones wrote and holds little: the catalogue stays on the disk."""

import json
import mmap
import shutil
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from core.retrieval.equal_vectors import EqualRows
from core.retrieval.hnsw_graph import EF_CONSTRUCTION, EF_SEARCH, M, build_graph, save_graph
from core.retrieval.lexical_document import Spell
from core.retrieval.lexical_match import LexicalIndex
from core.retrieval.mapped_graph import EXPANSION_ADD, MappedGraph, build_mapped_graph
from core.retrieval.vector_index import Graph, VectorIndex
from core.text.tokenize import TextTokenizer, copy_tokenizer
from core.vectors import exact_search, recall_at_k
from datafiles.items import ItemFile
from domain import release_folder as layout
from domain.errors import ReleaseRejected
from domain.item import Item, item_from_json, item_to_json
from domain.manifest import GraphEntry, TextEntry
from domain.progress import Progress
from domain.vector_format import VectorFormat
from export.onnx_session import embed, open_session
from export.prepare_encoder import PreparedEncoder
from export.release.chunk import Chunk, ChunkWork
from export.release.engines import Engine
from export.release.vector_store import VectorStore

RECALL_GATE = 0.99
_RECALL_QUERIES = 500
_WIDEST_EF = 4_096
# So many vectors are compared with a query in some 20 ms of one core.
_MOST_COMPARED = 200_000
_ROWS_AT_ONCE = 65_536

# Encoded through Triton before a release serves: they differ in length, script and meaning, so that another model,
# another tokenizer or another precision shows.
CANARY_TEXTS = (
    "tea",
    "A quiet walk along the harbour before sunrise.",
    "wireless earphones that stay in while running",
    "How do I repot a fern without hurting its roots?",
    "The committee postponed the vote until the auditors had read all four annexes of the second report.",
    "热茶和一本好书",
    "x = 42; y = 3.14 # 100 %",
    "On the first day the market opened late because the river had risen in the night, so the stallholders carried "
    "their crates up to the square by hand, traded stories instead of fruit until noon, and sold everything before the "
    "church clock struck four, which nobody in the town could remember ever having happened before on a rainy Tuesday.",
)


def write_items(items: ItemFile, folder: Path, chunk_items: int) -> Mapping[str, Any]:
    """Writes items.jsonl in the order of the ids; returns where each chunk of it starts.

    Rows follow this order, so that equal scores, which are ordered by row, are ordered by id, however the file is
    ordered. Beside the file it holds 16 bytes and the id of each item.

    Raises:
        ItemFileError: the file was changed since it was checked.
    """
    path = folder / layout.ITEMS
    ids: list[str] = []
    ends = array("q", [0])
    with path.open("wb") as stream:
        for item in items.items():
            stream.write((json.dumps(item_to_json(item), ensure_ascii=False) + "\n").encode())
            ids.append(item.id)
            ends.append(stream.tell())
    order = sorted(range(len(ids)), key=ids.__getitem__)
    if any(row != place for row, place in enumerate(order)):
        _reorder_lines(path, order, ends)
    lengths = [ends[place + 1] - ends[place] for place in order]
    sums = np.cumsum(lengths).tolist()
    counts = [min(chunk_items, len(ids) - start) for start in range(0, len(ids), chunk_items)]
    return {"chunks": [(count, sums[last - 1]) for count, last in zip(counts, accumulate(counts), strict=True)]}


def _reorder_lines(path: Path, order: Sequence[int], ends: Sequence[int]) -> None:
    """Rewrites a file with its lines in another order, mapped, not read; `ends` begins with 0."""
    other = path.with_name(f".{path.name}")
    with (
        path.open("rb") as source,
        mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as text,
        other.open("wb") as stream,
    ):
        stream.writelines(text[ends[place] : ends[place + 1]] for place in order)
    other.replace(path)


def chunks_of(written: Mapping[str, Any]) -> list[Chunk]:
    """Returns the chunks that `write_items` told of."""
    chunks: list[Chunk] = []
    row = offset = 0
    for number, (count, end) in enumerate(written["chunks"]):
        chunks.append(Chunk(number, row, count, offset, end - offset))
        row, offset = row + count, end
    return chunks


def read_written_items(folder: Path, timestamps: frozenset[str]) -> Iterator[Item]:
    """Yields the items of items.jsonl."""
    with (folder / layout.ITEMS).open("rb") as stream:
        for line in stream:
            yield item_from_json(json.loads(line), timestamps)


def copy_encoder(encoder: PreparedEncoder, folder: Path) -> Mapping[str, Any]:
    """Copies encoder and tokenizer and writes canary.json; returns the length of a vector.

    Raises:
        ReleaseRejected: the encoder answers what is no unit vector.
    """
    shutil.copyfile(encoder.onnx.path, folder / layout.ENCODER)
    copy_tokenizer(encoder.source.tokenizer_file, folder / layout.TOKENIZER)
    session = open_session(folder / layout.ENCODER)
    canaries = TextTokenizer(folder / layout.TOKENIZER, encoder.source.max_tokens).tokenize(CANARY_TEXTS)
    vectors = embed(session, canaries, encoder.source.pad_token_id, 1)
    canary = {"texts": CANARY_TEXTS, "vectors": vectors.tolist()}
    (folder / layout.CANARY).write_text(json.dumps(canary, ensure_ascii=False), encoding="utf-8")
    return {"dimension": vectors.shape[1]}


def encode_items(
    store: VectorStore, work: ChunkWork, chunks: Sequence[Chunk], engine: Engine, progress: Progress
) -> Mapping[str, Any]:
    """Encodes what is still to be encoded, and writes what follows from all vectors; returns a TextEntry's fields.

    Raises:
        ReleaseRejected: the encoder answers what is no unit vector.
        WorkerLost: a worker ended before its work was done.
    """
    missing = store.missing()
    if len(missing) < len(chunks):
        done = len(chunks) - len(missing)
        progress.step(f"an interrupted build is taken up: {done:,} of {len(chunks):,} chunks of vectors are done")
    with progress.track("embedding", sum(chunk.count for chunk in missing), "items") as advance:
        for encoded in engine.encode(work, missing):
            store.write(encoded)
            advance(chunks[encoded.number].count)
    same = store.unify()
    if same:
        progress.step(f"{same:,} items say the same as another to the encoder: they are one point of the graph")
    folder = store.path.parent
    np.save(folder / layout.MEAN, _mean(store.path))
    np.save(folder / layout.UNREADABLE_SHARE, store.read("unreadable_share"))
    own, unknown, truncated, unreadable, foreign = (int(count) for count in store.read("counts").sum(axis=0))
    indistinct = indistinct_count(store.read("token_digest"), store.read("text_digest"))
    if foreign:
        known = ", ".join(work.languages)
        progress.step(f"{foreign:,} items' texts are in a language that the encoder does not read (it reads {known})")
    return asdict(TextEntry(unknown / own if own else 0.0, truncated, indistinct, unreadable, foreign))


def open_vectors(folder: Path) -> np.ndarray:
    """Returns the vectors, float32[n, d], mapped from the file: they take no memory that others cannot have."""
    vectors: np.ndarray = np.load(folder / layout.VECTORS, mmap_mode="c")
    return vectors


def _mean(path: Path) -> np.ndarray:
    """Returns float32[d]: the mean vector, summed in a fixed order."""
    vectors = np.load(path, mmap_mode="r")
    total = np.zeros(vectors.shape[1])
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        total += vectors[start : start + _ROWS_AT_ONCE].sum(axis=0, dtype=np.float64)
    return (total / len(vectors)).astype(np.float32)


def indistinct_count(token_digest: np.ndarray, text_digest: np.ndarray) -> int:
    """Counts the items that share all token ids with an item of another text; both are uint64[n]."""
    order = np.lexsort((text_digest, token_digest))
    tokens, texts = token_digest[order], text_digest[order]
    starts = np.flatnonzero(np.concatenate(([True], tokens[1:] != tokens[:-1])))
    sizes = np.diff(np.append(starts, len(tokens)))
    # Texts are sorted within a group: the first and the last differ where any two do.
    return int(sizes[texts[starts] != texts[starts + sizes - 1]].sum())


def write_lexical(folder: Path, timestamps: frozenset[str], *, pinyin: bool) -> Mapping[str, Any]:
    """Writes the lexical index, with the pinyin of Chinese titles and values where it is asked for."""
    spell: Spell | None = None
    if pinyin:
        from export.release.pinyin import spelling as spell
    LexicalIndex.build(folder / layout.LEXICAL, read_written_items(folder, timestamps), spell)
    return {}


def write_graph(
    folder: Path, progress: Progress, queries: np.ndarray | None = None, storage: VectorFormat = VectorFormat.FLOAT32
) -> Mapping[str, Any]:
    """Builds and measures the graph; returns a GraphEntry's fields.

    Args:
        folder: the release as it is built.
        progress: of the build.
        queries: float32[q, d], vectors of what users may ask; recall is measured on them, and on different items'.
        storage: numbers of the graph's nodes; others than float32 make a graph that stays in its file.

    Raises:
        ReleaseRejected: it finds too few of the nearest items.
        StorageError: it could not be written whole.
    """
    vectors = open_vectors(folder)
    equal = EqualRows.of(vectors)
    with progress.track("building the graph", len(vectors), "vectors") as advance:
        graph = _built_graph(vectors, equal, folder, storage, advance)
    rng = np.random.default_rng(42)
    drawn = rng.choice(equal.distinct, min(_RECALL_QUERIES, len(equal.distinct)), replace=False)
    asked = {"items": vectors[np.sort(drawn)]}
    if queries is not None and len(queries):
        asked["queries"] = queries
    different = vectors if equal.is_trivial else vectors[equal.distinct]
    measured = [_Recall(different, equal.distinct, part) for part in asked.values()]
    count = sum(len(part) for part in asked.values())
    ef, made_by = EF_SEARCH, EF_CONSTRUCTION if storage is VectorFormat.FLOAT32 else EXPANSION_ADD
    while True:
        index = VectorIndex(graph, vectors, ef, equal)
        recalls = [part.of(index) for part in measured]
        words = ", ".join(f"{recall:.4f} of {name}" for name, recall in zip(asked, recalls, strict=True))
        progress.step(f"recall@10 of the graph against exact search: {words} (ef {ef}, {count} queries)")
        if min(recalls) >= RECALL_GATE:
            return asdict(GraphEntry(M, made_by, ef, min(recalls), count))
        if ef >= _WIDEST_EF:
            return asdict(_compared(min(recalls), made_by, len(equal.distinct), count, progress))
        ef *= 2


def _built_graph(
    vectors: np.ndarray, equal: EqualRows, folder: Path, storage: VectorFormat, advance: Callable[[int], None]
) -> Graph:
    """Writes the graph and returns it as a gateway has it."""
    if storage is VectorFormat.FLOAT32:
        graph = build_graph(vectors, advance)
        save_graph(graph, folder / layout.GRAPH)
        return graph
    build_mapped_graph(vectors, equal.distinct, folder / layout.MAPPED_GRAPH, storage, advance)
    advance(len(vectors) - len(equal.distinct))
    return MappedGraph.load(folder / layout.MAPPED_GRAPH)


def _compared(recall: float, made_by: int, distinct_count: int, query_count: int, progress: Progress) -> GraphEntry:
    """Returns the entry of a release that compares every item, where these are few enough.

    Raises:
        ReleaseRejected: they are too many.
    """
    if distinct_count > _MOST_COMPARED:
        raise ReleaseRejected(
            f"the graph finds {recall:.1%} of the nearest items, the gate is {RECALL_GATE:.0%}, and {distinct_count:,} "
            "different items are too many to compare one by one: give items texts that differ (--text-attributes adds "
            "attributes to them), or take another encoder"
        )
    progress.step(
        f"the graph finds {recall:.1%} of the nearest items, the gate is {RECALL_GATE:.0%}: every query is compared "
        f"with all {distinct_count:,} different items instead"
    )
    return GraphEntry(M, made_by, max(distinct_count, EF_SEARCH), 1.0, query_count)


class _Recall:
    """Exact nearest distinct items of some queries, for graphs to be measured by."""

    def __init__(self, vectors: np.ndarray, rows: np.ndarray, queries: np.ndarray) -> None:
        self._queries = queries
        self._vectors = vectors
        self._rows = rows
        self._count = min(10, len(vectors))
        self._exact = np.stack([exact_search(vectors, query, self._count)[1] for query in queries])

    def of(self, index: VectorIndex) -> float:
        """Returns the share of the nearest that the graph finds."""
        found = [np.searchsorted(self._rows, index.graph_search(query, self._count)) for query in self._queries]
        return recall_at_k(found, self._exact, self._vectors, self._queries)
