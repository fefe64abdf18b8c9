"""Chunk of the catalogue, from its lines in items.jsonl to vectors: the unit that workers take and that is kept."""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from core.text.language import EncoderLanguages, LanguageDetector
from core.text.tokenize import UNREADABLE_LIMIT, TextTokenizer
from domain.item import Item, item_from_json
from domain.text import TextTemplate, item_text
from export.onnx_session import embed, open_session


@dataclass(frozen=True)
class Chunk:
    """Consecutive items in items.jsonl.

    Attributes:
        number: from 0.
        first_row: row of the first item.
        count: number of items.
        offset_bytes: where the first line starts.
        size_bytes: length of all lines.
    """

    number: int
    first_row: int
    count: int
    offset_bytes: int
    size_bytes: int


@dataclass(frozen=True)
class ChunkWork:
    """Settings that a worker needs to encode any chunk; picklable.

    Attributes:
        items: the release's items.jsonl.
        onnx: the encoder.
        tokenizer: its tokenizer.json.
        max_tokens: longest input, special tokens included.
        pad_token_id: fills short rows.
        max_batch_size: most rows in one call.
        prompt: put before every item's text.
        template: how items are told.
        timestamps: names of the attributes that are timestamps.
        languages: that the encoder reads; empty where nobody said.
    """

    items: Path
    onnx: Path
    tokenizer: Path
    max_tokens: int
    pad_token_id: int
    max_batch_size: int
    prompt: str
    template: TextTemplate
    timestamps: frozenset[str]
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class EncodedChunk:
    """Result of encoding a chunk of c items.

    Attributes:
        number: the chunk's.
        vectors: float32[c, d], unit.
        unreadable_share: float32[c], of each text what the encoder cannot read.
        token_digest: uint64[c], of each text's token ids.
        text_digest: uint64[c], of each text.
        counts: int64[5]: tokens of the texts' own, of these unknown, texts cut, texts that cannot be read, texts in a
            language that the encoder does not read.
    """

    number: int
    vectors: np.ndarray
    unreadable_share: np.ndarray
    token_digest: np.ndarray
    text_digest: np.ndarray
    counts: np.ndarray

    def to_bytes(self) -> bytes:
        """Returns it for another process."""
        stream = io.BytesIO()
        np.savez(stream, **{field.name: getattr(self, field.name) for field in fields(self)})
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "EncodedChunk":
        """Reads what `to_bytes` returned."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            named = {name: arrays[name] for name in arrays.files}
        return cls(**{**named, "number": int(named["number"])})


class ChunkEncoder:
    """Encoder of chunks in this process."""

    def __init__(self, work: ChunkWork, threads: int) -> None:
        """Opens the encoder; `threads` calls run at once."""
        self._work = work
        self._threads = threads
        self._tokenizer = TextTokenizer(work.tokenizer, work.max_tokens)
        self._session = open_session(work.onnx)
        self._languages = EncoderLanguages(work.languages, LanguageDetector())

    def encode(self, chunk: Chunk) -> EncodedChunk:
        """Makes, tokenises and encodes the texts of a chunk. The same chunk gives the same bytes everywhere.

        Raises:
            ReleaseRejected: the encoder answers what is no unit vector.
        """
        work = self._work
        items = list(self._items(chunk))
        texts = [item_text(item, work.template) for item in items]
        tokenized = self._tokenizer.tokenize(texts, work.prompt)
        shares = np.array([text.unreadable_share for text in tokenized], dtype=np.float64)
        counts = [
            sum(text.own_count for text in tokenized),
            sum(text.unknown_count for text in tokenized),
            sum(text.truncated for text in tokenized),
            int((shares > UNREADABLE_LIMIT).sum()),
            sum(self._languages.unsupported(item.text or item.title) is not None for item in items),
        ]
        return EncodedChunk(
            number=chunk.number,
            vectors=embed(self._session, tokenized, work.pad_token_id, work.max_batch_size, self._threads),
            unreadable_share=shares.astype(np.float32),
            token_digest=_digests([text.ids.tobytes() for text in tokenized]),
            text_digest=_digests([text.encode() for text in texts]),
            counts=np.array(counts, dtype=np.int64),
        )

    def _items(self, chunk: Chunk) -> Iterator[Item]:
        work = self._work
        with work.items.open("rb") as stream:
            stream.seek(chunk.offset_bytes)
            for line in stream.read(chunk.size_bytes).splitlines():
                yield item_from_json(json.loads(line), work.timestamps)


def _digests(parts: Sequence[bytes]) -> np.ndarray:
    """Returns uint64[n]: equal parts have equal digests, others but by a chance of one in 10^19 a pair."""
    joined = b"".join(hashlib.blake2b(part, digest_size=8).digest() for part in parts)
    return np.frombuffer(joined, dtype="<u8")
