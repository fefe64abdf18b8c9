"""Records of a log: a marker, a header (checksum, length, sequence number) and the payload.

Whatever is damaged is reported and skipped; what comes after it is found again by its marker.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.errors import StorageError

_MARKER = b"\xa5SLC"
_HEADER = struct.Struct("<IIQ")
_HEAD_BYTES = len(_MARKER) + _HEADER.size
# No record is larger: an item is limited to far less.
_MOST_PAYLOAD = 64 * 1024 * 1024


@dataclass(frozen=True)
class Record:
    """One record.

    Attributes:
        sequence: 1 for the first change of a catalogue, one more for each.
        payload: of the change.
    """

    sequence: int
    payload: bytes


@dataclass(frozen=True)
class Damage:
    """A part of a log that could not be read.

    Attributes:
        path: the file.
        start: offset of its first byte.
        end: offset behind its last byte.
        description: for people.
    """

    path: Path
    start: int
    end: int
    description: str


def framed(record: Record) -> bytes:
    """Returns a record's bytes."""
    body = struct.pack("<IQ", len(record.payload), record.sequence) + record.payload
    return b"".join((_MARKER, struct.pack("<I", zlib.crc32(body)), body))


def read_records(path: Path, damages: list[Damage]) -> Iterator[Record]:
    """Yields the whole records of a file in order; appends what cannot be read to `damages`.

    Raises:
        StorageError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    place = 0
    while place < len(content):
        record, end = _record_at(content, place)
        if record is not None:
            yield record
            place = end
            continue
        after = _next_record(content, place + 1)
        if after is None:
            damages.append(Damage(path, place, len(content), "the end of the log is not a whole record"))
            return
        damages.append(Damage(path, place, after, "a part in the middle of the log is damaged"))
        place = after


def read_log(
    files: Sequence[Path], damages: list[Damage], after: int, until: int | None = None
) -> Iterator[tuple[Path, Record]]:
    """Yields the records of a log with their files, in order, each number once; appends what is lost to `damages`.

    A file owns the numbers from that in its name up to the next file's. What an older file has beyond was refused, and
    could not be cut off.

    Args:
        files: of the log, oldest first.
        damages: what cannot be read, and what is missing, is appended.
        after: the number behind which the log is read.
        until: the last number; None for all.

    Raises:
        StorageError: a file cannot be read.
    """
    last = after
    ends = [_first_number(path) for path in files[1:]]
    for path, end in zip(files, [*ends, None if until is None else until + 1], strict=False):
        for record in read_records(path, damages):
            if record.sequence <= last or (end is not None and record.sequence >= end):
                continue
            if record.sequence > last + 1:
                missing = record.sequence - last - 1
                damages.append(Damage(path, 0, 0, f"{missing:,} changes before number {record.sequence} are lost"))
            last = record.sequence
            yield path, record


def _first_number(path: Path) -> int | None:
    """Returns the first number that a file of the log owns; None where a person gave it another name."""
    number = path.stem.partition("-")[2]
    return int(number) if number.isdecimal() else None


def _record_at(content: bytes, place: int) -> tuple[Record | None, int]:
    """Returns the record that begins at a place, None where no whole one does, and the place behind it."""
    head = content[place : place + _HEAD_BYTES]
    if len(head) < _HEAD_BYTES or not head.startswith(_MARKER):
        return None, place
    checksum, length, sequence = _HEADER.unpack_from(head, len(_MARKER))
    end = place + _HEAD_BYTES + length
    if length > _MOST_PAYLOAD or end > len(content):
        return None, place
    body = content[place + len(_MARKER) + 4 : end]
    if zlib.crc32(body) != checksum:
        return None, place
    return Record(sequence, content[place + _HEAD_BYTES : end]), end


def _next_record(content: bytes, start: int) -> int | None:
    """Returns the place of the next whole record; None where there is none."""
    place = content.find(_MARKER, start)
    while place >= 0:
        if _record_at(content, place)[0] is not None:
            return place
        place = content.find(_MARKER, place + 1)
    return None
