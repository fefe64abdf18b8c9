"""Ends of a condition on a number: strictness, units of time, whole years."""

import math
from datetime import UTC, datetime

from core.query.attributes import FIRST_YEAR, LAST_YEAR, NumberAttribute, holds_word
from domain.condition import TimeRange

_MINUTES_PER_HOUR = 60
_HOURS = frozenset({"hours", "hour", "hrs", "h"})


def bounds(bound: str, value: float, attribute: NumberAttribute) -> tuple[float | None, float | None]:
    """Returns both ends, included. "Under 300" ends at 299.99 for money, at 299 for whole numbers, else at 300."""
    whole = attribute.extent.integral or attribute.is_time
    step = 0.01 if attribute.role == "price" else 0.0
    if bound == "equal":
        return value, value
    if bound == "at_most":
        return None, value
    if bound == "at_least":
        return value, None
    if bound == "below":
        return None, float(math.ceil(value) - 1) if whole else round(value - step, 2)
    return (float(math.floor(value) + 1) if whole else round(value + step, 2)), None


def time_factor(attribute: NumberAttribute | None, unit: str) -> float:
    """Returns units of the attribute per unit of the text; an attribute without a unit counts minutes."""
    if attribute is None or unit not in ("minutes", "hours"):
        return 1.0
    in_hours = holds_word(attribute.phrase, _HOURS)
    if unit == "hours":
        return 1.0 if in_hours else float(_MINUTES_PER_HOUR)
    return 1 / _MINUTES_PER_HOUR if in_hours else 1.0


def are_years(low: float | None, high: float | None) -> bool:
    """Returns whether ends are years that a text may mean; None is open."""
    return all(end is None or FIRST_YEAR <= end <= LAST_YEAR for end in (low, high))


def time_range(low: float | None, high: float | None) -> TimeRange:
    """Returns the instants of whole years, UTC."""
    start = None if low is None else (int(datetime(int(low), 1, 1, tzinfo=UTC).timestamp()), 0)
    end = None if high is None else (int(datetime(int(high) + 1, 1, 1, tzinfo=UTC).timestamp()) - 1, 999_999_999)
    return TimeRange(start, end)
