"""The one value for what a user did: items, kinds of event and ages, oldest first."""

from dataclasses import dataclass, field

import numpy as np


def _no_rows() -> np.ndarray:
    return np.empty(0, np.int64)


def _no_ages() -> np.ndarray:
    return np.empty(0, np.float32)


@dataclass(frozen=True)
class EventSequence:
    """Events of one user, oldest first.

    Attributes:
        rows: int64[N], items by their row in the catalogue.
        kind: int64[N], places in `list(domain.event.EventKind)`.
        age_s: float32[N], seconds before the moment of the request; 0 where no time is known.
        impressions: int64[W], items that the user met but did not choose, such as those rated low. Only whole training
            histories have them; models may learn from them.
    """

    rows: np.ndarray = field(default_factory=_no_rows)
    kind: np.ndarray = field(default_factory=_no_rows)
    age_s: np.ndarray = field(default_factory=_no_ages)
    impressions: np.ndarray = field(default_factory=_no_rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def distinct_rows(self) -> np.ndarray:
        """int64[M], each row once, in order of its first event."""
        return np.asarray(list(dict.fromkeys(self.rows.tolist())), dtype=np.int64)

    def take(self, places: np.ndarray | slice) -> "EventSequence":
        """Returns the events at these places, without impressions; ages stay as they are."""
        return EventSequence(self.rows[places], self.kind[places], self.age_s[places])

    def before(self, place: int) -> "EventSequence":
        """Returns the events before a place, their ages measured from the moment of the event at that place."""
        age_s = self.age_s[:place] - self.age_s[place] if place < len(self) else self.age_s
        return EventSequence(self.rows[:place], self.kind[:place], np.maximum(age_s[:place], 0).astype(np.float32))
