"""The state of all changed items in one file, by which the log before it can be dropped; a snapshot is the same."""

import json
import shutil
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from domain import durable
from domain.errors import StorageError
from server.catalogue.change import Change, from_bytes, to_bytes
from server.catalogue.change_log import PATTERN as LOG_PATTERN
from server.catalogue.identity import FILE_NAME as IDENTITY
from server.catalogue.log_records import Damage, Record, framed, read_records

PATTERN = "state-*.log"
_FOOTER = struct.Struct("<8sQQ")
_MAGIC = b"SLCSTATE"
# Describes a snapshot.
SNAPSHOT = "snapshot.json"


def path_of(folder: Path, sequence: int) -> Path:
    """Returns the file of the state after a change."""
    return folder / f"state-{sequence:020}.log"


def write(path: Path, states: Iterable[Change], sequence: int) -> None:
    """Writes the states of items after a change, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        with durable.replaced(path) as temporary, temporary.open("wb") as stream:
            count = 0
            for count, change in enumerate(states, start=1):
                stream.write(framed(Record(count, to_bytes(change))))
            stream.write(framed(Record(count + 1, _FOOTER.pack(_MAGIC, count, sequence))))
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror or error}; is the disk full?") from error


def read(folder: Path, damages: list[Damage]) -> tuple[dict[str, Change], int]:
    """Returns the newest state by item id, and the number of the last change in it; nothing and 0 where there is none.

    Raises:
        StorageError: it cannot be read.
    """
    paths = sorted(folder.glob(PATTERN))
    if not paths:
        return {}, 0
    return read_file(paths[-1], damages)


def read_file(path: Path, damages: list[Damage]) -> tuple[dict[str, Change], int]:
    """Returns the states in a file, and the number of the last change in it.

    Raises:
        StorageError: it cannot be read.
    """
    states: dict[str, Change] = {}
    expected: int | None = None
    sequence = int(path.stem.split("-")[1])
    for record in read_records(path, damages):
        if record.payload.startswith(_MAGIC) and len(record.payload) == _FOOTER.size:
            _, expected, sequence = _FOOTER.unpack(record.payload)
            continue
        try:
            change = from_bytes(record.payload)
        except (ValueError, KeyError, TypeError) as error:
            damages.append(Damage(path, 0, 0, f"item {record.sequence} cannot be understood: {error}"))
            continue
        states[change.item_id] = change
    if expected is None or expected != len(states):
        whole = "unknown" if expected is None else f"{expected:,}"
        damages.append(Damage(path, 0, 0, f"{len(states):,} of {whole} items could be read"))
    return states, sequence


def newest_number(folder: Path) -> int:
    """Returns the number of the last change in the newest state; 0 where there is none."""
    paths = sorted(folder.glob(PATTERN))
    return int(paths[-1].stem.split("-")[1]) if paths else 0


def write_snapshot(folder: Path, states: Mapping[str, Change], sequence: int) -> Path:
    """Writes a state and what describes it, with its digest; returns the file of the state.

    Raises:
        StorageError: it cannot be written.
    """
    path = path_of(folder, sequence)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} could not be made: {error.strerror or error}") from error
    write(path, states.values(), sequence)
    deleted = sum(change.item is None for change in states.values())
    plain = {
        "format": 1,
        "file": path.name,
        "sha256": durable.sha256_of(path),
        "sequence": sequence,
        "changed_items": len(states) - deleted,
        "deleted_items": deleted,
    }
    durable.write_atomic(folder / SNAPSHOT, json.dumps(plain, indent=1) + "\n")
    return path


def restore(snapshot: Path, folder: Path) -> int:
    """Copies a snapshot into the folder of a gateway that does not run; returns how many items it has.

    Raises:
        StorageError: the snapshot is damaged, or the folder has changes already.
    """
    try:
        described = json.loads((snapshot / SNAPSHOT).read_text("utf-8"))
        source, expected = snapshot / Path(described["file"]).name, described["sha256"]
        digest = durable.sha256_of(source)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{snapshot} is not a snapshot of a catalogue: {error}") from error
    if digest != expected:
        raise StorageError(f"{source} is not the file that {SNAPSHOT} describes: its digest is another one")
    if any(path.stat().st_size for path in (*folder.glob(PATTERN), *folder.glob(LOG_PATTERN))):
        raise StorageError(f"{folder} has changes already; restore into another --state, or move the folder away")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with durable.replaced(folder / source.name) as temporary:
            shutil.copyfile(source, temporary)
        # Whoever has a copy of what was here begins again.
        (folder / IDENTITY).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}") from error
    return int(described["changed_items"]) + int(described["deleted_items"])


def fold(states: dict[str, Change], records: Iterable[tuple[Path, Record]], damages: list[Damage]) -> None:
    """Applies the records of a log to states; what cannot be understood is left out and appended to `damages`."""
    for path, record in records:
        try:
            change = from_bytes(record.payload)
        except (ValueError, KeyError, TypeError) as error:
            damages.append(Damage(path, 0, 0, f"change {record.sequence} cannot be understood: {error}"))
            continue
        states[change.item_id] = change.after(states.get(change.item_id))
