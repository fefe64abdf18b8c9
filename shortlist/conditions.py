"""Conditions on attributes of items."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A text attribute that equals any of the values, or a list attribute that holds any of them.

    Attributes:
        attribute: the attribute's name.
        values: 1 to 1,000 strings, compared exactly.
        ignore_case: whether upper and lower case are the same.
        negate: turns the condition round.
    """

    attribute: str
    values: Sequence[str]
    _: KW_ONLY
    ignore_case: bool = False
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """A number attribute between two ends, both included. At least one end must be given.

    Attributes:
        attribute: the attribute's name.
        min: the lower end.
        max: the upper end.
        negate: turns the condition round.
    """

    attribute: str
    _: KW_ONLY
    min: float | None = None
    max: float | None = None
    negate: bool = False


@dataclass(frozen=True, slots=True)
class AnyNumber:
    """A number attribute that equals any of the values.

    Attributes:
        attribute: the attribute's name.
        values: 1 to 1,000 numbers.
        negate: turns the condition round.
    """

    attribute: str
    values: Sequence[float]
    _: KW_ONLY
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """An item that has the attribute, whatever its type.

    Attributes:
        attribute: the attribute's name.
        value: False is met by items that do not have it.
        negate: turns the condition round.
    """

    attribute: str
    _: KW_ONLY
    value: bool = True
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Equals:
    """A truth-value attribute that has the value.

    Attributes:
        attribute: the attribute's name.
        value: the value it must have.
        negate: turns the condition round (an item without the attribute then meets it).
    """

    attribute: str
    _: KW_ONLY
    value: bool
    negate: bool = False


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A timestamp attribute between two moments, both included. At least one end must be given.

    Attributes:
        attribute: the attribute's name.
        min: the earliest moment, with a time zone.
        max: the latest moment, with a time zone.
        negate: turns the condition round.
    """

    attribute: str
    _: KW_ONLY
    min: datetime | None = None
    max: datetime | None = None
    negate: bool = False


@dataclass(frozen=True, slots=True)
class GeoRadius:
    """A pair of number attributes, latitude and longitude in degrees, no further from a place than a radius.

    Attributes:
        attribute: the name of the latitude's attribute.
        longitude_attribute: the name of the longitude's attribute.
        latitude: the centre's latitude, -90 to 90.
        longitude: the centre's longitude, -180 to 180.
        radius_km: the radius in kilometres, above 0, along a great circle.
        negate: turns the condition round (an item without a place then meets it).
    """

    attribute: str
    longitude_attribute: str
    _: KW_ONLY
    latitude: float
    longitude: float
    radius_km: float
    negate: bool = False


Condition = AnyOf | Range | AnyNumber | TimeRange | Equals | Exists | GeoRadius
