"""Vectors of a release while it is built: written chunk by chunk, each durable before it counts as done."""

import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from domain.durable import replaced
from export.release.chunk import Chunk, EncodedChunk

_FORMAT = np.dtype(np.float32)
_ROWS_AT_ONCE = 8_192


class VectorStore:
    """Growing `vectors.npy`, with a record of every chunk in it. One process writes it."""

    def __init__(self, path: Path, records: Path, chunks: Sequence[Chunk], dimension: int) -> None:
        """Opens what an earlier build left, or starts anew.

        Args:
            path: the file.
            records: folder of the chunks' records.
            chunks: all of the catalogue.
            dimension: length of a vector.

        Raises:
            OSError: there is no room for all vectors, or the folder cannot be written.
        """
        self.path = path
        self._records = records
        self._chunks = chunks
        self._dimension = dimension
        records.mkdir(exist_ok=True)
        self._header_bytes = self._prepare()

    def missing(self) -> list[Chunk]:
        """Returns the chunks that are still to be encoded: without a record, or with other bytes than it says."""
        return [chunk for chunk in self._chunks if not self._is_whole(chunk)]

    def write(self, encoded: EncodedChunk) -> None:
        """Keeps a chunk: when this returns, not even a power cut takes it away."""
        chunk = self._chunks[encoded.number]
        data = np.ascontiguousarray(encoded.vectors, dtype=_FORMAT).tobytes()
        with self.path.open("rb+") as stream:
            stream.seek(self._start(chunk))
            stream.write(data)
            stream.flush()
            os.fdatasync(stream.fileno())
        with replaced(self._record(chunk)) as temporary, temporary.open("wb") as stream:
            np.savez(
                stream,
                checksum=np.uint32(zlib.crc32(data)),
                unreadable_share=encoded.unreadable_share,
                token_digest=encoded.token_digest,
                text_digest=encoded.text_digest,
                counts=encoded.counts,
            )

    def read(self, name: str) -> np.ndarray:
        """Returns one array of all records, in the order of the items; `counts` has a row for each chunk."""
        parts = []
        for chunk in self._chunks:
            with np.load(self._record(chunk), allow_pickle=False) as arrays:
                parts.append(arrays[name])
        return np.stack(parts) if name == "counts" else np.concatenate(parts)

    def unify(self) -> int:
        """Gives items of the same tokens the vector of the first of them, to the bit; returns how many were others'.

        A text's vector may differ in its last bits with the texts beside it. Items that say the same are one point.
        """
        digest = self.read("token_digest")
        _, firsts, group = np.unique(digest, return_index=True, return_inverse=True)
        first = firsts[group]
        others = np.flatnonzero(first != np.arange(len(first)))
        if len(others):
            vectors = np.load(self.path, mmap_mode="r+")
            for start in range(0, len(others), _ROWS_AT_ONCE):
                rows = others[start : start + _ROWS_AT_ONCE]
                vectors[rows] = vectors[first[rows]]
            vectors.flush()
        return len(others)

    def _record(self, chunk: Chunk) -> Path:
        return self._records / f"{chunk.number:08}.npz"

    def _start(self, chunk: Chunk) -> int:
        return self._header_bytes + chunk.first_row * self._dimension * _FORMAT.itemsize

    def _prepare(self) -> int:
        """Writes the header and reserves room for all rows; returns the header's length."""
        count = sum(chunk.count for chunk in self._chunks)
        shape = {
            "descr": np.lib.format.dtype_to_descr(_FORMAT),
            "fortran_order": False,
            "shape": (count, self._dimension),
        }
        with self.path.open("ab") as stream:
            pass
        with self.path.open("rb+") as stream:
            np.lib.format.write_array_header_1_0(stream, shape)
            header_bytes = stream.tell()
            stream.flush()
            # Reserved at once: a disk that is too small is noticed before hours are spent.
            os.posix_fallocate(stream.fileno(), 0, header_bytes + count * self._dimension * _FORMAT.itemsize)
        return header_bytes

    def _is_whole(self, chunk: Chunk) -> bool:
        try:
            with np.load(self._record(chunk), allow_pickle=False) as arrays:
                checksum = int(arrays["checksum"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return False
        with self.path.open("rb") as stream:
            stream.seek(self._start(chunk))
            data = stream.read(chunk.count * self._dimension * _FORMAT.itemsize)
        return zlib.crc32(data) == checksum
