"""The one value for what a user did: items, kinds of event and ages, oldest first."""

from dataclasses import dataclass, field

import numpy as np

from domain.event import EventKind

# How much an event of a kind speaks beside others; what is not named counts in full.
KIND_WEIGHTS = {EventKind.VIEW: 0.5, EventKind.CLICK: 0.5, EventKind.COMMENT: 0.7}
# Of a history's vector, this share goes to its latest items; an item this many places back counts half of the last one.
RECENT_SHARE = 0.15
RECENT_HALF_LIFE = 5.0
_BY_PLACE = np.array([KIND_WEIGHTS.get(kind, 1.0) for kind in EventKind])


def _no_rows() -> np.ndarray:
    return np.empty(0, np.int64)


def _no_comments() -> np.ndarray:
    return np.empty(0, object)


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
        comments: object[N] of str, what the user said of each item, "" for nothing; empty where nothing was said.
    """

    rows: np.ndarray = field(default_factory=_no_rows)
    kind: np.ndarray = field(default_factory=_no_rows)
    age_s: np.ndarray = field(default_factory=_no_ages)
    impressions: np.ndarray = field(default_factory=_no_rows)
    comments: np.ndarray = field(default_factory=_no_comments)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def distinct_rows(self) -> np.ndarray:
        """int64[M], each row once, in order of its first event."""
        return np.asarray(list(dict.fromkeys(self.rows.tolist())), dtype=np.int64)

    def recency(self, rows: np.ndarray, half_life: float) -> np.ndarray:
        """Returns float64[M], 2^-(events since the row's latest one / half_life): 1 for the last event's row.

        Args:
            rows: int64[M]; a row without an event counts as the latest.
            half_life: in events; 0 counts all alike.
        """
        if half_life <= 0 or not len(self.rows):
            return np.ones(len(rows))
        since = np.arange(len(self.rows))[::-1]
        latest = {int(row): int(age) for row, age in zip(self.rows, since, strict=True)}  # a later event replaces
        return np.exp2(-np.array([latest.get(int(row), 0) for row in rows], np.float64) / half_life)

    def take(self, places: np.ndarray | slice) -> "EventSequence":
        """Returns the events at these places, without impressions; ages stay as they are."""
        return EventSequence(
            self.rows[places], self.kind[places], self.age_s[places], comments=self._comments_at(places)
        )

    def before(self, place: int) -> "EventSequence":
        """Returns the events before a place, their ages measured from the moment of the event at that place."""
        age_s = self.age_s[:place] - self.age_s[place] if place < len(self) else self.age_s
        return EventSequence(
            self.rows[:place],
            self.kind[:place],
            np.maximum(age_s[:place], 0).astype(np.float32),
            comments=self._comments_at(slice(place)),
        )

    def _comments_at(self, places: np.ndarray | slice) -> np.ndarray:
        return self.comments[places] if len(self.comments) else self.comments


def history_weights(rows: np.ndarray, kind: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Returns float64[M], how much each item of a history counts in its mean vector, summing to 1.

    Each item counts once, by its strongest event; a share of the whole goes to the items touched last. On
    movielens-small that is no worse than equal weights where the last fifth of a user's films is to be found (NDCG@100
    .0438 for .0430), and better for the next one (NDCG@10 .0142 for .0131). With all of the weight on the latest, the
    next film gains a third and the others lose a tenth.

    Args:
        rows: int64[N], items of the events, oldest first.
        kind: int64[N], places in `list(EventKind)`.
        weight: float[N], weights of single events; None for 1.

    Returns:
        The weights of the distinct rows, in the order of their first events.
    """
    if not len(rows):
        return np.empty(0)
    strength = _BY_PLACE[kind] if weight is None else _BY_PLACE[kind] * weight
    distinct = {row: place for place, row in enumerate(dict.fromkeys(rows.tolist()))}
    places = np.array([distinct[row] for row in rows.tolist()])
    strongest, last = np.zeros(len(distinct)), np.zeros(len(distinct), np.int64)
    np.maximum.at(strongest, places, strength)
    np.maximum.at(last, places, np.arange(len(rows)))
    recency = np.exp2(-(np.argsort(np.argsort(-last))) / RECENT_HALF_LIFE)
    steady, recent = strongest / strongest.sum(), strongest * recency
    shares: np.ndarray = (1 - RECENT_SHARE) * steady + RECENT_SHARE * recent / recent.sum()
    return shares
