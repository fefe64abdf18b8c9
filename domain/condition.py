"""Conditions on attributes of items."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from domain.item import AttributeType, AttributeValue
from domain.timestamp import Timestamp

_NAME_SHOWN = 64
EARTH_RADIUS_KM = 6_371.0088


@dataclass(frozen=True)
class AnyOf:
    """Condition that a string equals, or a list of strings holds, one of these.

    Attributes:
        values: the strings.
        ignore_case: whether upper and lower case are the same, by Unicode's full case folding.
    """

    values: frozenset[str]
    ignore_case: bool = False


@dataclass(frozen=True)
class Range:
    """Condition that a number lies between two ends, both included; None leaves an end open."""

    minimum: float | None
    maximum: float | None


@dataclass(frozen=True)
class AnyNumber:
    """Condition that a number equals one of these."""

    values: frozenset[float]


@dataclass(frozen=True)
class TimeRange:
    """Condition that an instant lies between two ends, both included; None leaves an end open.

    Attributes:
        minimum: seconds since 1970 UTC and nanoseconds.
        maximum: the same.
    """

    minimum: tuple[int, int] | None
    maximum: tuple[int, int] | None


@dataclass(frozen=True)
class Equals:
    """Condition that a truth value equals this."""

    value: bool


@dataclass(frozen=True)
class Exists:
    """Condition that an item has the attribute, whatever its type; with False, that it has not."""

    value: bool = True


@dataclass(frozen=True)
class GeoRadius:
    """Condition that a place lies within a distance of another one; the condition's attribute is the latitude.

    Attributes:
        longitude_attribute: name of the longitude's attribute.
        latitude: of the centre, in degrees, -90 to 90.
        longitude: of the centre, in degrees, -180 to 180.
        radius_km: above 0, along a great circle.
    """

    longitude_attribute: str
    latitude: float
    longitude: float
    radius_km: float

    @property
    def haversine(self) -> float:
        """Largest haversine of the angle to the centre, 0 to 1."""
        return math.sin(min(self.radius_km / (2 * EARTH_RADIUS_KM), math.pi / 2)) ** 2


ColumnTest = AnyOf | Range | AnyNumber | TimeRange | Equals | Exists
Test = ColumnTest | GeoRadius

_FITTING: Mapping[AttributeType, tuple[tuple[type, ...], str]] = {
    AttributeType.STRING: ((AnyOf,), "any_of fits it"),
    AttributeType.STRING_LIST: ((AnyOf,), "any_of fits it"),
    AttributeType.NUMBER: (
        (Range, AnyNumber, GeoRadius),
        "range, number_equals, any_number and geo_radius fit it",
    ),
    AttributeType.BOOLEAN: ((Equals,), "bool_equals fits it"),
    AttributeType.TIMESTAMP: ((TimeRange,), "time_range fits it"),
}


@dataclass(frozen=True)
class Condition:
    """Condition on one attribute.

    An item without the attribute meets none but `Exists(False)`, and every other one negated.
    """

    attribute: str
    test: Test
    negate: bool = False


def misfits(condition: Condition, types: Mapping[str, AttributeType]) -> list[tuple[str, str]]:
    """Returns why a catalogue cannot decide a condition: fields of the condition, and what was expected of each.

    Args:
        condition: to be decided.
        types: the catalogue's attributes.

    Returns:
        None of them where it can.
    """
    test = condition.test
    wrong = _misfit(condition.attribute, test, types)
    found = [] if wrong is None else [("" if condition.attribute in types else ".attribute", wrong)]
    if isinstance(test, GeoRadius):
        wrong = _misfit(test.longitude_attribute, test, types)
        if wrong is None and test.longitude_attribute == condition.attribute:
            wrong = "the longitude must be another attribute than the latitude"
        if wrong is not None:
            found.append((".geo_radius.longitude_attribute", wrong))
    return found


def _misfit(attribute: str, test: Test, types: Mapping[str, AttributeType]) -> str | None:
    name, kind = attribute[:_NAME_SHOWN], types.get(attribute)
    if kind is None:
        return f'no item has an attribute "{name}"{suggestion(name, types)}'
    fitting, words = _FITTING[kind]
    return None if isinstance(test, (*fitting, Exists)) else f'attribute "{name}" is a {kind}; {words}'


def suggestion(name: str, known: Mapping[str, AttributeType]) -> str:
    """Returns a question about the known name that is most like another one; empty where none is."""
    alike = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean "{alike[0][:_NAME_SHOWN]}"?' if alike else ""


def meets(condition: Condition, attributes: Mapping[str, AttributeValue]) -> bool:
    """Returns whether an item with these attributes meets a condition; a catalogue decides by the same rules."""
    test, value = condition.test, attributes.get(condition.attribute)
    if isinstance(test, GeoRadius):
        return _lies_within(test, value, attributes.get(test.longitude_attribute)) is not condition.negate
    return _passes(test, value) is not condition.negate


def _lies_within(test: GeoRadius, latitude: AttributeValue | None, longitude: AttributeValue | None) -> bool:
    if not (_is_number(latitude) and _is_number(longitude) and abs(latitude) <= 90 and math.isfinite(longitude)):
        return False
    here, there = math.radians(test.latitude), math.radians(latitude)
    away = math.sin(math.radians(longitude - test.longitude) / 2)
    haversine = math.sin((there - here) / 2) ** 2 + math.cos(here) * math.cos(there) * away**2
    return min(haversine, 1.0) <= test.haversine


def _is_number(value: AttributeValue | None) -> TypeGuard[float]:
    return not isinstance(value, bool) and isinstance(value, int | float)


def _passes(test: ColumnTest, value: AttributeValue | None) -> bool:
    if isinstance(test, Exists):
        return (value is not None) is test.value
    if isinstance(test, AnyOf):
        return not folded(test).isdisjoint(
            map(str.casefold, values_of(value)) if test.ignore_case else values_of(value)
        )
    if isinstance(test, Equals):
        return isinstance(value, bool) and value is test.value
    if isinstance(test, Range | AnyNumber):
        return _is_number(value) and _number_passes(test, value)
    if not isinstance(value, Timestamp):
        return False
    moment = (value.seconds, value.nanos)
    after = test.minimum is None or moment >= test.minimum
    return after and (test.maximum is None or moment <= test.maximum)


def _number_passes(test: Range | AnyNumber, value: float) -> bool:
    if isinstance(test, AnyNumber):
        return value in test.values
    return (test.minimum is None or value >= test.minimum) and (test.maximum is None or value <= test.maximum)


def folded(test: AnyOf) -> frozenset[str]:
    """Returns the strings to compare with: folded where case is ignored."""
    return frozenset(map(str.casefold, test.values)) if test.ignore_case else test.values


def names(test: AnyOf, value: str) -> bool:
    """Returns whether a value is one that a test names."""
    return value in test.values or (test.ignore_case and value.casefold() in folded(test))


def values_of(value: AttributeValue | None) -> tuple[str, ...]:
    """Returns the strings of an attribute's value."""
    if isinstance(value, str):
        return (value,)
    return value if isinstance(value, tuple) else ()
