"""Check of a file of interactions: counts, problems, and the protocols that it is large enough for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from domain.errors import NothingToLearnFrom
from training.interactions.positives import out_of_scale, positive_records
from training.interactions.table import KINDS, Interactions

_FEW_EVENTS = 5
# A smaller share of positive records hints at a rule that does not fit the column.
_FEW_POSITIVE = 0.02


@dataclass(frozen=True)
class Spread:
    """Distribution of a count over users or items."""

    least: int
    median: float
    mean: float
    p90: float
    most: int


@dataclass(frozen=True)
class RatingRange:
    """Range of the ratings.

    Attributes:
        least, highest: of those within the scale.
        mean: of those within the scale.
        out_of_range_count: ratings outside the scale that 99 % keep to.
        missing_count: records without one.
    """

    least: float
    highest: float
    mean: float
    out_of_range_count: int
    missing_count: int


@dataclass(frozen=True)
class CheckReport:
    """Report of `check_interactions`, in plain values that can be written as JSON.

    Attributes:
        interaction_count, user_count, item_count: as in the file.
        duplicate_count: records whose (user, item) occurs in an earlier one.
        unknown_item_count: distinct items that the item file lacks; None without an item file.
        unknown_record_count: interactions with them.
        untouched_item_count: items of the item file with no interaction; None without an item file.
        density: distinct pairs / (users x items).
        per_user, per_item: distinct pairs each.
        first, last: ISO 8601; None without times.
        time_words: how times were read, for example "seconds since 1970"; empty without times.
        same_time: every record has one and the same timestamp.
        rating: None without ratings.
        kinds: records by kind, those that occur.
        positive_rule: the rule of what counts as a choice; empty where none fits.
        positive_count: records that count.
        positive_user_count: users with one at least.
        sequence_user_count: users with five distinct positive items, as cold-items and warm-users need.
        text_count: records with a text.
        problems: reasons why training will be refused.
        notes: hints for people.
    """

    interaction_count: int
    user_count: int
    item_count: int
    duplicate_count: int
    unknown_item_count: int | None
    unknown_record_count: int
    untouched_item_count: int | None
    density: float
    per_user: Spread
    per_item: Spread
    first: str | None
    last: str | None
    time_words: str
    same_time: bool
    rating: RatingRange | None
    kinds: dict[str, int]
    positive_rule: str
    positive_count: int
    positive_user_count: int
    sequence_user_count: int
    text_count: int
    problems: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())


def check_interactions(
    interactions: Interactions, item_ids: Sequence[str] | None = None, positive_rating: float | None = None
) -> CheckReport:
    """Describes interactions and finds problems of training on them.

    Args:
        interactions: as read.
        item_ids: the catalogue's; None where there is no item file.
        positive_rating: the least rating that counts as a choice; None to derive it.
    """
    user, item = interactions.user, interactions.item
    pairs, first = np.unique(user * len(interactions.item_ids) + item, return_index=True)
    unknown = _unknown(interactions, item_ids)
    rating = _rating(interactions)
    problems, notes = _doubts(interactions, unknown, rating, explained=positive_rating is not None)
    positive, rule = np.zeros(len(interactions), bool), ""
    try:
        positive, positive_rule = positive_records(interactions, positive_rating)
        rule = positive_rule.words
        if not positive.any():
            problems.append(f"no interaction is positive ({rule})")
        elif rating is not None and positive_rating is None and positive.mean() < _FEW_POSITIVE:
            notes.append(
                f"only {positive.mean():.2%} of the records are positive ({rule}, from the highest rating): if these "
                "are counts and not ratings, name the column weight; else give --positive-rating"
            )
    except NothingToLearnFrom as error:
        problems.append(str(error))
    chosen = np.unique(pairs_of(interactions, positive & ~unknown))
    counts = np.bincount(chosen // len(interactions.item_ids), minlength=len(interactions.user_ids))
    times = interactions.time_s
    return CheckReport(
        interaction_count=len(interactions),
        user_count=len(interactions.user_ids),
        item_count=len(interactions.item_ids),
        duplicate_count=len(interactions) - len(first),
        unknown_item_count=None if item_ids is None else len(np.unique(item[unknown])),
        unknown_record_count=int(unknown.sum()),
        untouched_item_count=None if item_ids is None else len(set(item_ids) - set(interactions.item_ids)),
        density=len(pairs) / (len(interactions.user_ids) * len(interactions.item_ids)),
        per_user=_spread(np.bincount(pairs // len(interactions.item_ids))),
        per_item=_spread(np.bincount(pairs % len(interactions.item_ids))),
        first=None if times is None else _iso(times.min()),
        last=None if times is None else _iso(times.max()),
        time_words=interactions.time_words,
        same_time=bool(times is not None and np.ptp(times) == 0),
        rating=rating,
        kinds=_kinds(interactions),
        positive_rule=rule,
        positive_count=int(positive.sum()),
        positive_user_count=int((counts > 0).sum()),
        sequence_user_count=int((counts >= _FEW_EVENTS).sum()),
        text_count=0 if interactions.text is None else int((interactions.text != "").sum()),
        problems=tuple(problems),
        notes=tuple(notes),
    )


def report_lines(report: CheckReport) -> list[tuple[str, str]]:
    """Returns the report as (name, words) for people."""
    lines = [
        ("interactions", f"{report.interaction_count:,}"),
        ("users", f"{report.user_count:,}, {_spread_words(report.per_user)} items each"),
        ("items", f"{report.item_count:,}, {_spread_words(report.per_item)} users each"),
        ("density", f"{report.density:.3%} of all pairs"),
        (
            "duplicates",
            f"{report.duplicate_count:,} records repeat a user and item ({_share(report, 'duplicate_count')})",
        ),
    ]
    if report.unknown_item_count is not None:
        records = f"{report.unknown_record_count:,} records ({_share(report, 'unknown_record_count')})"
        lines.append(("unknown items", f"{report.unknown_item_count:,} are not in the item file, {records}"))
        lines.append(("untouched items", f"{report.untouched_item_count:,} of the item file have no interaction"))
    if report.first is not None:
        how = f", read as {report.time_words}" if report.time_words else ""
        lines.append(("time", f"{report.first} to {report.last}{how}"))
    if report.rating is not None:
        rating = report.rating
        outside = f"; {rating.out_of_range_count:,} out of range" if rating.out_of_range_count else ""
        lines.append(("ratings", f"{rating.least:g} to {rating.highest:g}, mean {rating.mean:.2f}{outside}"))
    if report.kinds:
        lines.append(("kinds", ", ".join(f"{kind} {count:,}" for kind, count in report.kinds.items())))
    if report.text_count:
        lines.append(("texts", f"{report.text_count:,} records ({_share(report, 'text_count')})"))
    share = _share(report, "positive_count")
    lines.append(("positive", f"{report.positive_count:,} ({share}): {report.positive_rule or 'no rule fits'}"))
    users = f"{report.positive_user_count:,} with a positive item, {report.sequence_user_count:,} with {_FEW_EVENTS}"
    lines.append(("users to train on", users))
    lines.extend(("note", note) for note in report.notes)
    lines.extend(("PROBLEM", problem) for problem in report.problems)
    return lines


def pairs_of(interactions: Interactions, records: np.ndarray) -> np.ndarray:
    """Returns int64[records], a number for each (user, item): user x items + item."""
    return np.asarray(interactions.user[records] * len(interactions.item_ids) + interactions.item[records])


def _unknown(interactions: Interactions, item_ids: Sequence[str] | None) -> np.ndarray:
    if item_ids is None:
        return np.zeros(len(interactions), bool)
    catalogue = set(item_ids)
    return np.asarray(np.array([item_id not in catalogue for item_id in interactions.item_ids])[interactions.item])


def _rating(interactions: Interactions) -> RatingRange | None:
    if interactions.rating is None:
        return None
    outside, least, highest = out_of_scale(interactions.rating)
    missing = np.isnan(interactions.rating)
    inside = interactions.rating[~outside & ~missing]
    mean = float(inside.mean()) if len(inside) else 0.0
    return RatingRange(least, highest, mean, int(outside.sum()), int(missing.sum()))


def _doubts(
    interactions: Interactions, unknown: np.ndarray, rating: RatingRange | None, *, explained: bool
) -> tuple[list[str], list[str]]:
    """Returns problems and notes; `explained` if a positive rating is set."""
    problems, notes = [], list(interactions.notes)
    for ids, what in ((interactions.user_ids, "user"), (interactions.item_ids, "item")):
        if len(ids) < 2:
            problems.append(f"there is one {what} only; at least 2 are needed, better thousands")
    if unknown.all():
        problems.append("the item file has none of the items; give the one that belongs to these interactions")
    elif unknown.any():
        notes.append(f"{unknown.mean():.1%} of the records name items that the item file lacks; they are left out")
    if interactions.time_s is not None and len(interactions) > 1 and np.ptp(interactions.time_s) == 0:
        notes.append(
            "every record has the same timestamp: the order of events is unknown, so next-item is not possible"
        )
    if rating is not None and rating.out_of_range_count and explained:
        notes.append(f"{rating.out_of_range_count:,} ratings lie outside {rating.least:g} to {rating.highest:g}")
    if rating is not None and rating.least == rating.highest:
        notes.append("every rating is the same, so ratings carry no information")
    return problems, notes


def _spread(counts: np.ndarray) -> Spread:
    p50, p90 = np.quantile(counts, [0.5, 0.9])
    return Spread(int(counts.min()), float(p50), float(counts.mean()), float(p90), int(counts.max()))


def _kinds(interactions: Interactions) -> dict[str, int]:
    if interactions.kind is None:
        return {}
    counts = np.bincount(interactions.kind, minlength=len(KINDS))
    return {str(kind): int(count) for kind, count in zip(KINDS, counts, strict=True) if count}


def _iso(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(float(seconds), UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g} s"


def _spread_words(spread: Spread) -> str:
    return f"{spread.least:,} to {spread.most:,}, median {spread.median:g}, mean {spread.mean:.1f}"


def _share(report: CheckReport, name: str) -> str:
    return f"{getattr(report, name) / report.interaction_count:.1%}"
