"""Conditions on attributes of items."""

from dataclasses import dataclass


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
