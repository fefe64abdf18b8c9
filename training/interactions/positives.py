"""Positive interactions (choices) by user, as rows of a catalogue."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from core.events import EventSequence
from domain.errors import NothingToLearnFrom, SplitRefused
from domain.event import EventKind
from training.interactions.table import KINDS, Interactions

POSITIVE_SHARE_OF_SCALE = 0.8
_MOST_UNKNOWN = 0.5
# Tops of scales in use; the rare rating above the one that nearly all keep to is a mistake.
_SCALE_TOPS = (1.0, 5.0, 10.0, 20.0, 100.0)
_RARE = 0.01
_NO_ROWS = np.empty(0, np.int64)
_NO_COMMENTS = np.empty(0, object)
_LIKE = KINDS.index(EventKind.LIKE)
_DISLIKE = KINDS.index(EventKind.DISLIKE)


@dataclass(frozen=True)
class PositiveRule:
    """Rule by which an interaction counts as a choice.

    Attributes:
        words: the rule as text.
        rating: the least rating that counts; None where ratings don't decide.
    """

    words: str
    rating: float | None = None


@dataclass(frozen=True)
class Positives:
    """Choices of each user: every item once, at its first time, oldest first.

    Attributes:
        item_ids: the catalogue, by row.
        user_ids: users with at least one, sorted as strings.
        starts: int64[users + 1]; the events of user u stand at starts[u]:starts[u + 1].
        rows: int64[m], rows of the catalogue.
        kind: int64[m], places in `list(EventKind)`; likes where the file has no kinds.
        time_s: float64[m], seconds since 1970; None where unknown.
        ordered: whether times or positions of the file order the events, and differ.
        rule: of what counts.
        unknown_count: interactions left out since the catalogue lacks their item.
        impressions: int64[W] by user id, rows that the user met but did not choose: rated low or
            disliked. Users without any are absent.
        text: object[m] of str, what the user said of the item, "" for nothing; None where the file has no texts.
    """

    item_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    starts: np.ndarray
    rows: np.ndarray
    kind: np.ndarray
    time_s: np.ndarray | None
    ordered: bool
    rule: PositiveRule
    unknown_count: int
    impressions: Mapping[str, np.ndarray] = field(default_factory=dict)
    text: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def counts(self) -> np.ndarray:
        """int64[users], choices a user."""
        return np.diff(self.starts)

    def users(self, min_events: int) -> Iterator[tuple[str, "Chosen"]]:
        """Yields (id, choices) of the users with at least so many, sorted by id as strings."""
        for place in np.flatnonzero(self.counts >= min_events):
            part = slice(self.starts[place], self.starts[place + 1])
            times = None if self.time_s is None else self.time_s[part]
            impressions = self.impressions.get(self.user_ids[place], _NO_ROWS)
            comments = _NO_COMMENTS if self.text is None else self.text[part]
            yield self.user_ids[place], Chosen(self.rows[part], self.kind[part], times, impressions, comments)


@dataclass(frozen=True)
class Chosen:
    """One user's choices, oldest first.

    Attributes:
        rows: int64[N].
        kind: int64[N], places in `list(EventKind)`.
        time_s: float64[N], seconds since 1970; None where unknown.
        impressions: int64[W], as of `Positives`.
        comments: object[N] of str, as of `EventSequence`.
    """

    rows: np.ndarray
    kind: np.ndarray
    time_s: np.ndarray | None
    impressions: np.ndarray = field(default_factory=lambda: _NO_ROWS)
    comments: np.ndarray = field(default_factory=lambda: _NO_COMMENTS)

    def __len__(self) -> int:
        return len(self.rows)

    def whole(self) -> EventSequence:
        """Returns all events with the user's impressions: for training only."""
        return replace(self.history(slice(None)), impressions=self.impressions)

    def history(self, kept: np.ndarray | slice, now_s: float | None = None) -> EventSequence:
        """Returns the events kept, with ages measured from a moment, or from the last event kept."""
        rows, kind = self.rows[kept], self.kind[kept]
        comments = self.comments[kept] if len(self.comments) else self.comments
        if self.time_s is None or not len(rows):
            return EventSequence(rows, kind, np.zeros(len(rows), np.float32), comments=comments)
        times = self.time_s[kept]
        age_s = (times[-1] if now_s is None else now_s) - times
        return EventSequence(rows, kind, np.maximum(age_s, 0).astype(np.float32), comments=comments)


def read_positives(
    interactions: Interactions,
    item_ids: Sequence[str] | None = None,
    positive_rating: float | None = None,
    *,
    least: int = 2,
) -> Positives:
    """Returns the choices among interactions.

    Args:
        interactions: as read.
        item_ids: the catalogue's, in its order; None where there is no catalogue: then those of the interactions,
            sorted as strings.
        positive_rating: the least rating that counts, where 0.8 of the scale's top does not fit.
        least: users and items that must remain; two for training, one for a test.

    Raises:
        NothingToLearnFrom: too few users or items, or no choice at all.
        SplitRefused: most interactions name items that the catalogue lacks.
    """
    chosen, rule = positive_records(interactions, positive_rating)
    if not chosen.any():
        raise NothingToLearnFrom(
            f"no interaction is positive ({rule.words}) of {len(interactions):,}; give --positive-rating, or look at "
            "the file with shortlist check"
        )
    ids = tuple(interactions.item_ids if item_ids is None else item_ids)
    row = catalogue_rows(interactions, ids)[interactions.item]
    kept = np.flatnonzero(chosen & (row >= 0))
    _check_enough(interactions.user[kept], row[kept], least)
    kept = kept[np.lexsort((kept, interactions.order[kept], interactions.user[kept]))]
    kept = kept[_first_of_pairs(interactions.user[kept], row[kept])]
    user_places, counts = np.unique(interactions.user[kept], return_counts=True)
    kind = np.full(len(kept), _LIKE) if interactions.kind is None else interactions.kind[kept]
    return Positives(
        ids,
        tuple(interactions.user_ids[place] for place in user_places),
        np.concatenate([[0], np.cumsum(counts)]),
        row[kept],
        kind,
        None if interactions.time_s is None else interactions.time_s[kept],
        bool(np.ptp(interactions.order[kept]) > 0),
        rule,
        int((chosen & (row < 0)).sum()),
        _impressions_by_user(interactions, row, ~chosen & (row >= 0)),
        None if interactions.text is None else interactions.text[kept],
    )


def _impressions_by_user(interactions: Interactions, row: np.ndarray, impressions: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the distinct catalogue rows of the impressions by user id."""
    places = np.flatnonzero(impressions)
    places = places[np.argsort(interactions.user[places], kind="stable")]
    users, starts = np.unique(interactions.user[places], return_index=True)
    parts = np.split(row[places], starts[1:]) if len(users) else []
    return {interactions.user_ids[user]: np.unique(part) for user, part in zip(users, parts, strict=True)}


def positive_records(
    interactions: Interactions, positive_rating: float | None = None
) -> tuple[np.ndarray, PositiveRule]:
    """Returns bool[m], whether a record counts as a choice, and the rule.

    Ratings decide where there are any; then kinds: all but dislikes; then weights: above 0; else every record.

    Raises:
        NothingToLearnFrom: a few ratings lie outside the scale that nearly all keep to.
    """
    not_disliked = np.ones(len(interactions), bool) if interactions.kind is None else interactions.kind != _DISLIKE
    if interactions.rating is not None:
        if positive_rating is None:
            _check_scale(interactions.rating)
        least = positive_rating
        if least is None:
            least = POSITIVE_SHARE_OF_SCALE * float(np.nanmax(interactions.rating, initial=0.0))
        rated = ~np.isnan(interactions.rating)
        liked = interactions.rating >= (least if least > 0 or positive_rating is not None else np.inf)
        return np.where(rated, liked, not_disliked) & not_disliked, PositiveRule(f"rating >= {least:g}", least)
    if interactions.kind is not None:
        return not_disliked, PositiveRule("every kind but dislike")
    if interactions.weight is not None:
        return interactions.weight > 0, PositiveRule("weight > 0")
    return not_disliked, PositiveRule("every interaction")


def out_of_scale(rating: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Finds ratings outside the scale that 99 % keep to.

    Args:
        rating: float64[m], NaN where there is none.

    Returns:
        bool[m], and the scale's least and highest rating in use.
    """
    rated = rating[~np.isnan(rating)]
    if not len(rated):
        return np.zeros(len(rating), bool), 0.0, 0.0
    top = next((top for top in _SCALE_TOPS if (rated > top).mean() <= _RARE), np.inf)
    bottom = 0.0 if (rated < 0).mean() <= _RARE else -np.inf
    outside = (rating > top) | (rating < bottom)
    inside = rated[(rated <= top) & (rated >= bottom)]
    return outside, float(inside.min()), float(inside.max())


def catalogue_rows(interactions: Interactions, item_ids: Sequence[str]) -> np.ndarray:
    """Returns int64[items of the interactions], each one's row in the catalogue, -1 where it lacks it.

    Raises:
        SplitRefused: the catalogue lacks most of what the interactions name.
    """
    row_of = {item_id: row for row, item_id in enumerate(item_ids)}
    rows = np.array([row_of.get(item_id, -1) for item_id in interactions.item_ids], np.int64)
    unknown = float((rows[interactions.item] < 0).mean())
    if unknown > _MOST_UNKNOWN:
        example = interactions.item_ids[int(np.flatnonzero(rows < 0)[0])]
        raise SplitRefused(
            f'{unknown:.0%} of the interactions name items that the catalogue lacks, for example "{example}"; its '
            f'first item is "{item_ids[0]}". Give the item file that belongs to these interactions'
        )
    return rows


def _check_enough(user: np.ndarray, row: np.ndarray, least: int) -> None:
    users, items = len(np.unique(user)), len(np.unique(row))
    if users < least or items < least:
        raise NothingToLearnFrom(
            f"{users:,} user(s) and {items:,} item(s) have positive interactions; at least {least} of each are needed"
        )


def _check_scale(rating: np.ndarray) -> None:
    outside, least, highest = out_of_scale(rating)
    if outside.any():
        worst = rating[outside][np.argmax(np.abs(rating[outside]))]
        raise NothingToLearnFrom(
            f"{outside.sum():,} rating(s) out of range, for example {worst:g}: the others lie between {least:g} and "
            f"{highest:g}. Correct them, drop them with shortlist check --clean --in-range, give "
            "--positive-rating, or name the column weight if it has counts"
        )


def _first_of_pairs(user: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Returns the places, ascending, of the first of each (user, row)."""
    _, first = np.unique(user * (int(row.max(initial=0)) + 1) + row, return_index=True)
    return np.sort(first)
