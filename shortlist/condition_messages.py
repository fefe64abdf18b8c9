"""Conditions to protobuf and back."""

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from shortlist.conditions import AnyNumber, AnyOf, Condition, Equals, Exists, GeoRadius, Range, TimeRange
from shortlist.v1 import filter_pb2

_Several = TypeVar("_Several")


def condition_message(condition: Condition) -> filter_pb2.AttributeCondition:
    """Builds the message of a condition.

    Raises:
        TypeError: one string instead of a sequence of strings.
        ValueError: a time without zone.
    """
    message = filter_pb2.AttributeCondition(attribute=condition.attribute, negate=condition.negate)
    match condition:
        case AnyOf():
            message.any_of.ignore_case = condition.ignore_case
            message.any_of.values.extend(several("values", condition.values))
            message.any_of.SetInParent()
        case AnyNumber(values=[number]):
            message.number_equals = number
        case AnyNumber():
            message.any_number.values.extend(condition.values)
            message.any_number.SetInParent()
        case Exists():
            message.exists = condition.value
        case GeoRadius():
            circle = message.geo_radius
            circle.longitude_attribute, circle.radius_km = condition.longitude_attribute, condition.radius_km
            circle.latitude, circle.longitude = condition.latitude, condition.longitude
        case Range():
            message.range.CopyFrom(filter_pb2.NumberRange(min=condition.min, max=condition.max))
        case TimeRange():
            message.time_range.SetInParent()
            for name, end in (("min", condition.min), ("max", condition.max)):
                if end is not None:
                    what = f"{name} of the condition on {condition.attribute!r}"
                    getattr(message.time_range, name).CopyFrom(timestamp_message(end, what))
        case Equals():
            message.bool_equals = condition.value
    return message


def read_condition(message: filter_pb2.AttributeCondition) -> Condition | None:
    """Reads a condition; None for a test that this client does not know."""
    read = _READERS.get(message.WhichOneof("test") or "")
    return None if read is None else read(message)


def timestamp_message(time: datetime, what: str) -> Timestamp:
    """Builds the message of a moment.

    Raises:
        ValueError: it has no time zone; the message begins with `what`.
    """
    if time.tzinfo is None:
        raise ValueError(f"{what} needs a time zone, for example datetime.UTC")
    message = Timestamp()
    message.FromDatetime(time)
    return message


def several(name: str, values: _Several) -> _Several:
    """Refuses a lone string, which would otherwise be taken letter by letter.

    Raises:
        TypeError: `values` is one string.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} is a sequence of strings; for one, write [{values[:40]!r}]")
    return values


def _any_of(message: filter_pb2.AttributeCondition) -> AnyOf:
    strings = message.any_of
    return AnyOf(message.attribute, tuple(strings.values), ignore_case=strings.ignore_case, negate=message.negate)


def _range(message: filter_pb2.AttributeCondition) -> Range:
    ends = message.range
    low, high = (getattr(ends, end) if ends.HasField(end) else None for end in ("min", "max"))
    return Range(message.attribute, min=low, max=high, negate=message.negate)


def _geo_radius(message: filter_pb2.AttributeCondition) -> GeoRadius:
    circle = message.geo_radius
    return GeoRadius(
        message.attribute,
        circle.longitude_attribute,
        latitude=circle.latitude,
        longitude=circle.longitude,
        radius_km=circle.radius_km,
        negate=message.negate,
    )


def _time_range(message: filter_pb2.AttributeCondition) -> TimeRange:
    ends = message.time_range
    first, last = (
        getattr(ends, end).ToDatetime(timezone.utc) if ends.HasField(end) else None for end in ("min", "max")
    )
    return TimeRange(message.attribute, min=first, max=last, negate=message.negate)


_READERS: Mapping[str, Callable[[filter_pb2.AttributeCondition], Condition]] = {
    "any_of": _any_of,
    "range": _range,
    "time_range": _time_range,
    "geo_radius": _geo_radius,
    "bool_equals": lambda message: Equals(message.attribute, value=message.bool_equals, negate=message.negate),
    "exists": lambda message: Exists(message.attribute, value=message.exists, negate=message.negate),
    "number_equals": lambda message: AnyNumber(message.attribute, (message.number_equals,), negate=message.negate),
    "any_number": lambda message: AnyNumber(message.attribute, tuple(message.any_number.values), negate=message.negate),
}
