"""Protobuf conditions to checked domain conditions that fit the catalogue's attributes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from domain.condition import AnyNumber, AnyOf, Condition, Equals, Exists, GeoRadius, Range, Test, TimeRange, misfits
from domain.contradiction import contradiction
from domain.item import AttributeType
from server.rpc.check import Check
from shortlist.v1 import filter_pb2

_TESTS = "any_of, range, bool_equals, time_range, number_equals, any_number, exists and geo_radius"


@dataclass(frozen=True)
class ConditionParser:
    """Parser of one request's conditions.

    Attributes:
        types: the catalogue's attributes.
        most: conditions in one field, and groups.
        most_values: values of one condition.
        check: collects what is wrong.
    """

    types: Mapping[str, AttributeType]
    most: int
    most_values: int
    check: Check

    def groups(self, groups: Iterable[filter_pb2.ConditionGroup], field: str) -> tuple[tuple[Condition, ...], ...]:
        """Checks groups of conditions."""
        if not self.check.count(groups, self.most, field):
            return ()
        parsed = []
        for number, group in enumerate(groups):
            where = f"{field}[{number}].conditions"
            self.check.that(group.conditions, where, "at least one condition")
            parsed.append(self.conditions(group.conditions, where))
        return tuple(parsed)

    def conditions(
        self, conditions: Sequence[filter_pb2.AttributeCondition], field: str, *, all_hold: bool = True
    ) -> tuple[Condition, ...]:
        """Checks conditions; where all have to hold, they must not contradict each other."""
        if not self.check.count(conditions, self.most, field):
            return ()
        parsed = []
        for number, message in enumerate(conditions):
            where = f"{field}[{number}]"
            condition = self.condition(message, where)
            if condition is not None:
                parsed.append(condition)
        pair = contradiction(parsed) if all_hold and len(parsed) == len(conditions) else None
        if pair is not None:
            other, place = pair
            words = f"no item can meet both this and {field}[{other}]; leave one out"
            self.check.that(False, f"{field}[{place}]", words)
        return tuple(parsed)

    def condition(self, message: filter_pb2.AttributeCondition, where: str) -> Condition | None:
        """Checks a condition; None where its test is not given."""
        test = self._test(message, where)
        if test is None:
            return None
        condition = Condition(message.attribute, test, message.negate)
        for field, description in misfits(condition, self.types):
            self.check.that(False, where + field, description)
        return condition

    def _test(self, message: filter_pb2.AttributeCondition, where: str) -> Test | None:
        kind = message.WhichOneof("test")
        place = f"{where}.{kind}"
        test: Test | None = None
        match kind:
            case "any_of":
                self._values(message.any_of.values, f"{place}.values")
                test = AnyOf(frozenset(message.any_of.values), message.any_of.ignore_case)
            case "range":
                test = self._range(message.range, place)
            case "time_range":
                test = self._time_range(message.time_range, place)
            case "bool_equals":
                test = Equals(message.bool_equals)
            case "number_equals":
                test = self._numbers([message.number_equals], place)
            case "any_number":
                self._values(message.any_number.values, f"{place}.values")
                test = self._numbers(message.any_number.values, f"{place}.values")
            case "exists":
                test = Exists(message.exists)
            case "geo_radius":
                test = self._geo_radius(message.geo_radius, place)
            case _:
                self.check.that(False, where, f"one of {_TESTS} must be given")
        return test

    def _values(self, values: object, where: str) -> None:
        self.check.that(values, where, "at least one value")
        self.check.count(values, self.most_values, where)

    def _numbers(self, numbers: Iterable[float], where: str) -> AnyNumber:
        self.check.that(not any(math.isnan(number) for number in numbers), where, "a number must not be NaN")
        return AnyNumber(frozenset(numbers))

    def _geo_radius(self, message: filter_pb2.GeoRadius, where: str) -> GeoRadius:
        for name, most in (("latitude", 90), ("longitude", 180)):
            value, given = getattr(message, name), message.HasField(name)
            expected = f"must be given and lie between -{most} and {most} degrees"
            found = f", found {value}" if given else ""
            self.check.that(given and -most <= value <= most, f"{where}.{name}", expected + found)
        radius = message.radius_km
        expected = f"must be above 0 and finite, found {radius}"
        self.check.that(0 < radius < math.inf, f"{where}.radius_km", expected)
        return GeoRadius(message.longitude_attribute, message.latitude, message.longitude, radius)

    def _range(self, message: filter_pb2.NumberRange, where: str) -> Range:
        low = message.min if message.HasField("min") else None
        high = message.max if message.HasField("max") else None
        ends = [end for end in (low, high) if end is not None]
        self.check.that(ends, where, "at least one of min and max")
        self.check.that(not any(math.isnan(end) for end in ends), where, "an end must not be NaN")
        self.check.that(ends == sorted(ends), where, "min must not lie above max")
        return Range(low, high)

    def _time_range(self, message: filter_pb2.TimeRange, where: str) -> TimeRange:
        ends: dict[str, tuple[int, int]] = {}
        for name in ("min", "max"):
            if message.HasField(name):
                end: Timestamp = getattr(message, name)
                self.check.time(end, f"{where}.{name}")
                ends[name] = (end.seconds, end.nanos)
        self.check.that(ends, where, "at least one of min and max")
        self.check.that(list(ends.values()) == sorted(ends.values()), where, "min must not lie after max")
        return TimeRange(ends.get("min"), ends.get("max"))
