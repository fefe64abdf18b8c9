"""Conditions on attributes of items."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.item import AttributeValue
from domain.timestamp import Timestamp


@dataclass(frozen=True)
class AnyOf:
    """Condition that a string equals, or a list of strings holds, one of these."""

    values: frozenset[str]


@dataclass(frozen=True)
class Range:
    """Condition that a number lies between two ends, both included; None leaves an end open."""

    minimum: float | None
    maximum: float | None


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
class Condition:
    """Condition on one attribute. An item without the attribute meets none, and every negated one."""

    attribute: str
    test: AnyOf | Range | TimeRange | Equals
    negate: bool = False


def meets(condition: Condition, attributes: Mapping[str, AttributeValue]) -> bool:
    """Returns whether an item with these attributes meets a condition; a catalogue decides by the same rules."""
    return _passes(condition.test, attributes.get(condition.attribute)) is not condition.negate


def _passes(test: AnyOf | Range | TimeRange | Equals, value: AttributeValue | None) -> bool:
    if isinstance(test, AnyOf):
        return not test.values.isdisjoint(values_of(value))
    if isinstance(test, Equals):
        return isinstance(value, bool) and value is test.value
    if isinstance(test, Range):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        above = test.minimum is None or value >= test.minimum
        return above and (test.maximum is None or value <= test.maximum)
    if not isinstance(value, Timestamp):
        return False
    moment = (value.seconds, value.nanos)
    after = test.minimum is None or moment >= test.minimum
    return after and (test.maximum is None or moment <= test.maximum)


def values_of(value: AttributeValue | None) -> tuple[str, ...]:
    """Returns the strings of an attribute's value."""
    if isinstance(value, str):
        return (value,)
    return value if isinstance(value, tuple) else ()
