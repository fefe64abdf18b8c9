"""Figures of a live catalogue, for metrics."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CatalogueFigures:
    """State of the changes.

    Attributes:
        log_bytes: of the log on disk.
        changed_items: entries of the segment in memory, one for each version of an item.
        item_count: items in the catalogue.
        stale_share: share of the release's vectors that changed or were deleted.
        compacted_age_s: seconds since the log was compacted, or since the start.
        unmerged_vectors: changed vectors that are compared one by one.
        merged_vectors: that are found by a graph of their own.
        segments: that a search by meaning looks at.
        merged_age_s: seconds since vectors were merged, or since the start.
        refuses: whether the last change could not be written.
    """

    log_bytes: int
    changed_items: int
    item_count: int
    stale_share: float
    compacted_age_s: float
    unmerged_vectors: int
    merged_vectors: int
    segments: int
    merged_age_s: float
    refuses: bool
