"""Packing of histories into rows without padding waste: several short sequences share a row, separated by segment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.events import EventSequence


@dataclass(frozen=True)
class EventTable:
    """All histories end to end.

    Attributes:
        rows: int64[E], items by their row in the catalogue.
        kind: int64[E].
        age_s: float32[E], seconds; only differences within a history mean anything.
        ends: int64[H + 1], history h lies at ends[h] .. ends[h + 1].
    """

    rows: np.ndarray
    kind: np.ndarray
    age_s: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class PackedBatch:
    """Sequences side by side in R rows of L slots; a slot attends to earlier slots of its own segment only.

    Attributes:
        rows: int64[R, L], the item of each slot, 0 where empty.
        kind: int64[R, L].
        age_s: float32[R, L].
        segment: int64[R, L], number of the sequence, -1 where empty.
        from_end: int64[R, L], events of the same sequence that come after this slot.
        target: int64[R, L], the item that follows, -1 where none is known.
    """

    rows: np.ndarray
    kind: np.ndarray
    age_s: np.ndarray
    segment: np.ndarray
    from_end: np.ndarray
    target: np.ndarray


def event_table(histories: Sequence[EventSequence]) -> EventTable:
    """Lays histories end to end."""
    ends = np.cumsum([0, *(len(history) for history in histories)]).astype(np.int64)
    if not ends[-1]:
        return EventTable(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32), ends)
    return EventTable(
        np.concatenate([history.rows for history in histories]).astype(np.int64),
        np.concatenate([history.kind for history in histories]).astype(np.int64),
        np.concatenate([history.age_s for history in histories]).astype(np.float32),
        ends,
    )


def last_windows(table: EventTable, length: int) -> np.ndarray:
    """Returns int64[P, 2], start and end of the last `length` events of every history that has an event."""
    start, end = table.ends[:-1], table.ends[1:]
    windows = np.stack([np.maximum(start, end - length), end], axis=1)
    return windows[end > start]


def sliding_windows(table: EventTable, length: int, rng: np.random.Generator) -> np.ndarray:
    """Cuts every history into windows of at most `length` events, each starting on the last event of the one before.

    Cuts are drawn anew each time, so that no event always comes first. Every event but a history's first is a target
    once.

    Returns:
        int64[P, 2], start and end of each window, all of at least two events.
    """
    windows = []
    for start, end in zip(table.ends[:-1], table.ends[1:], strict=True):
        if end - start < 2:
            continue
        step = length - 1
        first = start + (rng.integers(step) if end - start > length else 0)
        cuts = np.arange(first, end - 1, step) if first > start else np.arange(start, end - 1, step)
        if first > start:
            cuts = np.concatenate([[start], cuts])
        windows.append(np.stack([cuts, np.append(cuts[1:] + 1, end)], axis=1))
    return np.concatenate(windows) if windows else np.empty((0, 2), np.int64)


def training_batches(
    table: EventTable, windows: np.ndarray, *, slots: int, length: int, rng: np.random.Generator
) -> Iterator[PackedBatch]:
    """Yields windows in random order, each batch about `slots` events; the last event of a window is a target only."""
    sizes = windows[:, 1] - windows[:, 0] - 1
    order = rng.permutation(np.flatnonzero(sizes > 0))
    marks = np.cumsum(sizes[order]) // slots
    for places in np.split(order, np.flatnonzero(np.diff(marks)) + 1):
        if len(places):
            inputs = np.stack([windows[places, 0], windows[places, 1] - 1], axis=1)
            yield pack(table, inputs, length)


def pack(table: EventTable, windows: np.ndarray, length: int) -> PackedBatch:
    """Packs windows of at most `length` events into as few rows as first-fit finds, longest first.

    The target of a window's last slot is the event after the window in the table, which training therefore leaves out
    of the window. Callers that need states only ignore the targets.
    """
    sizes = windows[:, 1] - windows[:, 0]
    room: list[int] = []
    row_of, offset_of = np.empty(len(windows), np.int64), np.empty(len(windows), np.int64)
    for place in np.argsort(-sizes, kind="stable"):
        size = int(sizes[place])
        row = next((number for number, free in enumerate(room) if free >= size), len(room))
        if row == len(room):
            room.append(length)
        row_of[place], offset_of[place] = row, length - room[row]
        room[row] -= size
    inner = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    source = np.repeat(windows[:, 0], sizes) + inner
    slot = np.repeat(row_of * length + offset_of, sizes) + inner

    def laid(values: np.ndarray, empty: int) -> np.ndarray:
        out = np.full(len(room) * length, empty, values.dtype)
        out[slot] = values
        return out.reshape(len(room), length)

    following = np.append(table.rows, -1)[source + 1]
    return PackedBatch(
        rows=laid(table.rows[source], 0),
        kind=laid(table.kind[source], 0),
        age_s=laid(table.age_s[source], 0),
        segment=laid(np.repeat(np.arange(len(windows)), sizes), -1),
        from_end=laid(np.repeat(sizes, sizes) - 1 - inner, 0),
        target=laid(following, -1),
    )


def last_slots(batch: PackedBatch, windows: int) -> np.ndarray:
    """Returns int64[P], for each packed window the place of its last event in the flattened batch."""
    flat = batch.segment.ravel()
    filled = np.flatnonzero(flat >= 0)
    last = np.empty(windows, np.int64)
    last[flat[filled]] = filled  # later slots overwrite earlier ones
    return last
