"""Feed of a catalogue's changes for another gateway: those behind its number, or the whole state before them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.catalogue import checkpoint
from server.catalogue.change import Change
from server.catalogue.log_records import Damage, read_log
from server.catalogue.tap import ChangeTap


@dataclass(frozen=True)
class Feed:
    """Changes for one reader.

    Attributes:
        catalogue_id: of the catalogue.
        records: number and bytes of each change behind the reader's number; None where a state is sent instead.
        states: the whole state; empty where the log goes back far enough.
        tap: of the changes to come; `tap.after` is the last number in `records` and `states`.
    """

    catalogue_id: str
    records: Sequence[tuple[int, bytes]] | None
    states: Sequence[Change]
    tap: ChangeTap


def log_after(folder: Path, files: Sequence[Path], after: int, until: int) -> list[tuple[int, bytes]] | None:
    """Returns the records behind a number, up to another one; None where the log does not have them all; blocking.

    Args:
        folder: of the changes.
        files: of the log, oldest first.
        after: the number.
        until: the last number.
    """
    if after > until or after < checkpoint.newest_number(folder):
        return None
    damages: list[Damage] = []
    records = [(record.sequence, record.payload) for _, record in read_log(files, damages, after, until)]
    return None if damages or len(records) != until - after else records
