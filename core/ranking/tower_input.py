"""Input of the user tower: events of some users as padded arrays, the same in export and in the gateway."""

from collections.abc import Sequence

import numpy as np

from core.events import EventSequence

_SHORTEST_BUCKET = 4


def event_buckets(most: int) -> tuple[int, ...]:
    """Returns the padded lengths of a history, ascending: 4, 8, 16 and so on, the last exactly `most`."""
    buckets = []
    bucket = _SHORTEST_BUCKET
    while bucket < most:
        buckets.append(bucket)
        bucket *= 2
    return (*buckets, most)


def tower_input(pasts: Sequence[EventSequence], vectors: np.ndarray, most: int) -> dict[str, np.ndarray]:
    """Returns the arrays of one call: the last events of each user, padded behind to a bucket.

    Args:
        pasts: of B users, at least one event each.
        vectors: float32[n, d], the catalogue's content vectors.
        most: events that the tower looks back on.

    Returns:
        vectors float32[B, N, d], item_row int64[B, N], kind int64[B, N], age_seconds float32[B, N], mask int64[B, N].
    """
    longest = min(most, max(len(past) for past in pasts))
    width = next(bucket for bucket in event_buckets(most) if bucket >= longest)
    shape = (len(pasts), width)
    content = np.zeros((*shape, vectors.shape[1]), np.float32)
    item_row = np.full(shape, -1, np.int64)
    kind, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    age_s = np.zeros(shape, np.float32)
    for place, past in enumerate(pasts):
        rows = past.rows[-most:]
        real = slice(0, len(rows))
        content[place, real] = vectors[rows]
        item_row[place, real] = rows
        kind[place, real] = past.kind[-most:]
        age_s[place, real] = past.age_s[-most:]
        mask[place, real] = 1
    return {"vectors": content, "item_row": item_row, "kind": kind, "age_seconds": age_s, "mask": mask}
