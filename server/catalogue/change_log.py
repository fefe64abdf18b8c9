"""The log of the catalogue's changes: checksummed records, on the disk before a change is acknowledged.

folder/lock                     held while the log is open; a second opener is refused
folder/changes-<sequence>.log   records in order; the name has the first sequence number that the file owns
folder/position                 the last sequence number, a hint by which a log that was cut is noticed
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from domain import durable
from domain.errors import StorageError
from server.catalogue.log_records import Damage, Record, framed, read_log

_POSITION = struct.Struct("<QI")
PATTERN = "changes-*.log"


class ChangeLog:
    """Appends records. One thread writes."""

    def __init__(self, folder: Path, at: Callable[[str], None] = lambda _: None) -> None:
        self._folder = folder
        self._at = at
        self._stream: BinaryIO | None = None
        self._path = folder
        self._size = 0
        self.sequence = 0

    @property
    def files(self) -> list[Path]:
        """The log's files, oldest first."""
        return sorted(self._folder.glob(PATTERN))

    @property
    def byte_count(self) -> int:
        """Bytes of all files of the log."""
        return sum(path.stat().st_size for path in self.files)

    @property
    def current_bytes(self) -> int:
        """Bytes of the file that is written."""
        return self._size

    def replay(self, damages: list[Damage], after: int = 0) -> Iterator[tuple[Path, Record]]:
        """Yields every record above a sequence number with its file, in order, each once; see `read_log`.

        Args:
            damages: what cannot be read is appended.
            after: the sequence number.
        """
        self.sequence = after
        files, first = self.files, len(damages)
        for path, record in read_log(files, damages, after):
            self.sequence = record.sequence
            yield path, record
        for path in files:
            self._set_end_aside(path, [damage for damage in damages[first:] if damage.path == path])
        self._compare_position(damages)

    def open(self) -> None:
        """Begins a new file behind what was replayed, so that a damaged end stays as it is.

        Raises:
            StorageError: it cannot be made.
        """
        path = self._folder / f"changes-{self.sequence + 1:020}.log"
        try:
            if path.exists() and path.stat().st_size:
                # Only a file without one whole record has this name.
                path.rename(path.with_suffix(f".damaged-{path.stat().st_mtime_ns}"))
            stream = path.open("wb", buffering=0)
            durable.sync_folder(self._folder)
        except OSError as error:
            raise StorageError(f"{path} cannot be made: {error}; is the disk full?") from error
        self._stream, self._path, self._size = stream, path, 0

    def append(self, payloads: Sequence[bytes]) -> None:
        """Writes records and returns once they are on the disk, all of them or none.

        Raises:
            StorageError: the disk is full or fails; the log is as it was, and the next call tries again.
        """
        if self._stream is None:
            self.open()
        assert self._stream is not None
        content = b"".join(
            framed(Record(self.sequence + place, payload)) for place, payload in enumerate(payloads, start=1)
        )
        try:
            half = len(content) // 2
            _write_all(self._stream.fileno(), content[:half])
            self._at("half-written")
            _write_all(self._stream.fileno(), content[half:])
            self._at("written")
            os.fdatasync(self._stream.fileno())
        except OSError as error:
            self._take_back()
            raise StorageError(
                f"the change could not be written to {self._path}: {error.strerror or error}; nothing of it was applied"
            ) from error
        self._size += len(content)
        self.sequence += len(payloads)

    def roll(self) -> list[Path]:
        """Begins a new file and returns those before it, all of whose records lie below the next sequence number.

        Raises:
            StorageError: it cannot be made; the old one goes on.
        """
        before = [path for path in self.files if path != self._path or self._size]
        if self._size or self._stream is None:
            stream, old_path, old_size = self._stream, self._path, self._size
            try:
                self.open()
            except StorageError:
                self._stream, self._path, self._size = stream, old_path, old_size
                raise
            if stream is not None:
                stream.close()
        return [path for path in before if path != self._path]

    def begin_again(self, sequence: int) -> None:
        """Removes every file, and gives the next change the number behind `sequence`.

        Raises:
            StorageError: a file cannot be removed.
        """
        try:
            if self._stream is not None:
                self._stream.close()
                self._stream = None
            for path in self.files:
                path.unlink()
        except OSError as error:
            raise StorageError(f"{self._folder} cannot be emptied: {error.strerror or error}") from error
        self._size, self.sequence = 0, sequence
        self.note_position()

    def note_position(self) -> None:
        """Writes the last sequence number beside the log; a hint, which may be lost."""
        packed = struct.pack("<Q", self.sequence)
        try:
            (self._folder / "position").write_bytes(packed + struct.pack("<I", zlib.crc32(packed)))
        except OSError:
            return

    def close(self) -> None:
        """Ends writing; nothing is written where nothing was, since the folder may be another's."""
        if self._stream is not None:
            self.note_position()
            self._stream.close()
            self._stream = None

    def _set_end_aside(self, path: Path, damages: Sequence[Damage]) -> None:
        """Moves a last record that is not whole to the folder `damaged`, so that it is reported once.

        A process that is killed while it writes leaves one; it was never acknowledged.
        """
        if not damages or damages[-1].end != path.stat().st_size or "end of the log" not in damages[-1].description:
            return
        try:
            aside = self._folder / "damaged"
            aside.mkdir(exist_ok=True)
            with path.open("r+b") as stream:
                stream.seek(damages[-1].start)
                durable.write_atomic(aside / f"{path.stem}-{damages[-1].start}", stream.read())
                stream.truncate(damages[-1].start)
                os.fsync(stream.fileno())
        except OSError:  # a full disk: it is reported again
            return

    def _take_back(self) -> None:
        """Cuts what a failed write left; where even that fails, a new file is begun by the next write."""
        assert self._stream is not None
        try:
            os.ftruncate(self._stream.fileno(), self._size)
            os.lseek(self._stream.fileno(), self._size, os.SEEK_SET)
            os.fdatasync(self._stream.fileno())
        except OSError:
            self._stream.close()
            self._stream = None

    def _compare_position(self, damages: list[Damage]) -> None:
        path = self._folder / "position"
        try:
            content = path.read_bytes()
        except OSError:
            return
        if len(content) != _POSITION.size or zlib.crc32(content[:8]) != _POSITION.unpack(content)[1]:
            return
        noted = _POSITION.unpack(content)[0]
        if noted > self.sequence:
            damages.append(
                Damage(path, 0, 0, f"the log ends at change {self.sequence:,}, but {noted:,} were acknowledged")
            )
            # Numbers are never given twice: what is missing may turn up in a copy.
            self.sequence = noted


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
