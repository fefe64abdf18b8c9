"""Wishes in a few words: "year 1994", "price up to 300", "not genre Horror"."""

from datetime import UTC, datetime

from domain.condition import AnyNumber, AnyOf, Condition, Equals, Exists, GeoRadius, Range, TimeRange
from server.stages.wording import Wording

_VALUES_SHOWN = 3


def wish_words(condition: Condition, wording: Wording) -> str:
    """Returns a wish in the words of a language."""
    name, test, negate = wording.name(condition.attribute), condition.test, condition.negate
    if isinstance(test, Exists):
        return wording.wishes["exists" if test.value is not negate else "not_exists"].format(attribute=name)
    if isinstance(test, AnyOf | AnyNumber):
        listed = wording.listed(_values(test)[:_VALUES_SHOWN])
        return wording.wishes["not_value" if negate else "value"].format(attribute=name, value=listed)
    if isinstance(test, Equals):
        words, negate = wording.wishes["true"].format(attribute=name), test.value is negate
    elif isinstance(test, GeoRadius):
        place = {"latitude": number_words(test.latitude), "longitude": number_words(test.longitude)}
        words = wording.wishes["within"].format(radius_km=number_words(test.radius_km), **place)
    else:
        words = _range_words(name, *_ends(test), wording)
    return wording.wishes["not"].format(wish=words) if negate else words


def number_words(value: float) -> str:
    """Returns a number without a needless fraction."""
    return str(int(value)) if float(value).is_integer() else str(value)


def _range_words(name: str, minimum: str | None, maximum: str | None, wording: Wording) -> str:
    if minimum is not None and maximum is not None:
        kind = "exactly" if minimum == maximum else "between"
    else:
        kind = "at_least" if maximum is None else "at_most"
    return wording.wishes[kind].format(attribute=name, minimum=minimum, maximum=maximum)


def _values(test: AnyOf | AnyNumber) -> list[str]:
    if isinstance(test, AnyNumber):
        return [number_words(value) for value in sorted(test.values)]
    return sorted(test.values)


def _ends(test: Range | TimeRange) -> tuple[str | None, str | None]:
    """Returns both ends in words; a whole year of time is its number."""
    if isinstance(test, Range):
        first, last = (None if end is None else number_words(end) for end in (test.minimum, test.maximum))
        return first, last
    first, last = (None if end is None else _day(end[0]) for end in (test.minimum, test.maximum))
    if first is not None and last is not None and (first[:4], first[4:], last[4:]) == (last[:4], "-01-01", "-12-31"):
        return first[:4], last[:4]
    return first, last


def _day(seconds: int) -> str:
    """Returns the day of an instant in UTC; its seconds where no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return str(seconds)
