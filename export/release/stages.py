"""Stages of a build. Each reads what earlier ones wrote and holds little: the catalogue stays on the disk."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from core.retrieval.hnsw_index import EF_CONSTRUCTION, EF_SEARCH, M, VectorIndex, build_graph, save_graph
from core.retrieval.lexical_document import Spell
from core.retrieval.lexical_match import LexicalIndex
from core.text.tokenize import TextTokenizer
from core.vectors import exact_search, recall_at_k
from datafiles.items import ItemFile
from domain import release_folder as layout
from domain.errors import ReleaseRejected
from domain.item import Item, item_from_json, item_to_json
from domain.manifest import GraphEntry, TextEntry
from domain.progress import Progress
from export.onnx_session import embed, open_session
from export.prepare_encoder import PreparedEncoder
from export.release.chunk import Chunk, ChunkWork
from export.release.engines import Engine
from export.release.vector_store import VectorStore

RECALL_GATE = 0.99
_RECALL_QUERIES = 500
_WIDEST_EF = 4_096
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
    """Writes items.jsonl, item by item; returns where each chunk of it starts.

    Raises:
        ItemFileError: the file was changed since it was checked.
    """
    ends: list[tuple[int, int]] = []
    with (folder / layout.ITEMS).open("wb") as stream:
        for batch in items.batches(chunk_items):
            for item in batch:
                stream.write((json.dumps(item_to_json(item), ensure_ascii=False) + "\n").encode())
            ends.append((len(batch), stream.tell()))
    return {"chunks": ends}


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
    shutil.copyfile(encoder.source.tokenizer_file, folder / layout.TOKENIZER)
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


def write_graph(folder: Path, progress: Progress) -> Mapping[str, Any]:
    """Builds and measures the graph; returns a GraphEntry's fields.

    Raises:
        ReleaseRejected: it finds too few of the nearest items.
        StorageError: it could not be written whole.
    """
    vectors = open_vectors(folder)
    with progress.track("building the graph", len(vectors), "vectors") as advance:
        graph = build_graph(vectors, advance)
    save_graph(graph, folder / layout.GRAPH)
    rng = np.random.default_rng(42)
    queries = vectors[np.sort(rng.choice(len(vectors), min(_RECALL_QUERIES, len(vectors)), replace=False))]
    count = min(10, len(vectors))
    exact = np.stack([exact_search(vectors, query, count)[1] for query in queries])
    ef = EF_SEARCH
    while True:
        index = VectorIndex(graph, vectors, ef)
        recall = recall_at_k([index.graph_search(query, count) for query in queries], exact, vectors, queries)
        progress.step(f"recall@10 of the graph against exact search: {recall:.4f} (ef {ef}, {len(queries)} queries)")
        if recall >= RECALL_GATE:
            return asdict(GraphEntry(M, EF_CONSTRUCTION, ef, recall, len(queries)))
        if ef >= _WIDEST_EF:
            raise ReleaseRejected(f"the graph finds {recall:.1%} of the nearest items, the gate is {RECALL_GATE:.0%}")
        ef *= 2
