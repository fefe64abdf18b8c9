"""Segments of users: by how active they are and how popular their taste is, so that a mean hides nobody."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.evaluation.evaluate import Evaluation
from training.splits.split import EvalSet

_PARTS = 3
# Fewer users in a segment say nothing.
_FEWEST = 20


@dataclass(frozen=True)
class Segment:
    """Some of a table's users.

    Attributes:
        name: for people, for example "activity: 3 to 7 events".
        users: bool[users], in the order of the table's users.
    """

    name: str
    users: np.ndarray

    @property
    def count(self) -> int:
        """Users in it."""
        return int(self.users.sum())

    def mean(self, table: Evaluation, method: str, metric: str) -> float:
        """Returns a method's mean over these users; NaN where none has a value."""
        values = table.values_by_user(method, metric)[self.users]
        values = values[~np.isnan(values)]
        return float(values.mean()) if len(values) else float("nan")


def user_segments(table: Evaluation, parts: Sequence[EvalSet], counts: np.ndarray) -> tuple[Segment, ...]:
    """Divides the users of a table into thirds by events of their history and by the popularity of its items.

    Args:
        table: whose users are divided.
        parts: the draws; a user's first case counts.
        counts: float64[n], how often each item was chosen in training.

    Returns:
        Segments of 20 users at least; none where all users are alike.
    """
    activity, fame = np.full(len(table.users), np.nan), np.full(len(table.users), np.nan)
    place_of = {user_id: place for place, user_id in enumerate(table.users)}
    for case in (case for part in reversed(parts) for case in part.cases):
        rows = np.unique(case.history.rows)
        if len(rows):
            place = place_of[case.user_id]
            activity[place], fame[place] = len(rows), np.median(counts[rows])
    found = [*_thirds("activity", "events", activity), *_thirds("taste", "choices of its typical item", fame)]
    return tuple(segment for segment in found if segment.count >= _FEWEST)


def worst_segment(table: Evaluation, segments: Sequence[Segment], method: str, metric: str) -> Segment | None:
    """Returns the segment with a method's lowest mean; None without segments."""
    means = [(segment.mean(table, method, metric), place) for place, segment in enumerate(segments)]
    told = [entry for entry in means if not np.isnan(entry[0])]
    return segments[min(told)[1]] if told else None


def _thirds(name: str, unit: str, values: np.ndarray) -> list[Segment]:
    known = values[~np.isnan(values)]
    if not len(known):
        return []
    edges = np.unique(np.quantile(known, np.arange(1, _PARTS) / _PARTS, method="lower"))
    part = np.searchsorted(edges, values, side="left")
    segments = []
    for number in range(len(edges) + 1):
        users = (part == number) & ~np.isnan(values)
        if users.any() and not users.all():
            low, high = values[users].min(), values[users].max()
            span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            segments.append(Segment(f"{name}: {span} {unit}", users))
    return segments
