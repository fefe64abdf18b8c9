"""Conditions as they are written on a command line: genre=jazz,blues, genre!=pop, price<20, price=14.5, vegan=yes."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cli.flags.call import WrongArgument
from domain import condition as domain_condition
from domain.contradiction import contradiction
from domain.rule_words import condition_from

if TYPE_CHECKING:
    from shortlist import Condition, GeoRadius, ShortlistCallError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# How a gateway says what an attribute is, where a condition does not fit it.
_TYPE = re.compile(r'attribute "(?P<name>[^"]*)" is an? (?P<kind>\w+)')


def conditions_of(words: Sequence[str], types: Mapping[str, str] | None = None) -> "list[Condition]":
    """Reads conditions that all have to hold.

    Args:
        words: as they were written.
        types: what is known of attributes, by name.

    Raises:
        WrongArgument: one is not a condition, or two contradict each other.
    """
    conditions = [_read(word, types) for word in words]
    pair = contradiction(conditions)
    if pair is not None:
        first, second = (words[place] for place in pair)
        raise WrongArgument(f"no item can meet both {first} and {second}; leave one out")
    return [_sent(condition) for condition in conditions]


def condition_of(word: str, types: Mapping[str, str] | None = None) -> "Condition":
    """Reads a condition as it is written on a command line.

    Args:
        word: for example `price<20`.
        types: what is known of attributes, by name; without it, the value tells: numbers are numbers, true and false
            truth values.

    Raises:
        WrongArgument: it is not one.
    """
    return _sent(_read(word, types))


def _sent(condition: domain_condition.Condition) -> "Condition":
    try:
        return client_condition(condition)
    except OverflowError as error:
        raise WrongArgument(str(error)) from error


def _read(word: str, types: Mapping[str, str] | None) -> domain_condition.Condition:
    try:
        return condition_from(word, types)
    except (ValueError, OverflowError) as error:
        raise WrongArgument(str(error)) from error


def client_condition(condition: domain_condition.Condition) -> "Condition":
    """Returns a condition that was read from words as the client's; moments to the microsecond, inside the range.

    Raises:
        OverflowError: a moment beyond the years 1 to 9999.
    """
    from shortlist import AnyNumber, AnyOf, Equals, Range, TimeRange

    name, test, negate = condition.attribute, condition.test, condition.negate
    match test:
        case domain_condition.AnyOf():
            return AnyOf(name, sorted(test.values), negate=negate)
        case domain_condition.AnyNumber():
            return AnyNumber(name, sorted(test.values), negate=negate)
        case domain_condition.Equals():
            return Equals(name, value=test.value, negate=negate)
        case domain_condition.Range():
            return Range(name, min=test.minimum, max=test.maximum, negate=negate)
        case domain_condition.TimeRange():
            low, high = test.minimum, test.maximum
            return TimeRange(
                name,
                min=None if low is None else _EPOCH + timedelta(seconds=low[0], microseconds=-(-low[1] // 1_000)),
                max=None if high is None else _EPOCH + timedelta(seconds=high[0], microseconds=high[1] // 1_000),
                negate=negate,
            )
    raise ValueError(f"{test} cannot be written in words")


def near_of(word: str, attributes: Sequence[str]) -> "GeoRadius":
    """Reads a circle: the centre's latitude and longitude in degrees, and the radius in kilometres.

    Args:
        word: for example `52.52,13.40,5`.
        attributes: names of the latitude and of the longitude.

    Raises:
        WrongArgument: it is not one.
    """
    from shortlist import GeoRadius

    parts = word.split(",")
    numbers = [number for part in parts if (number := _number(part)) is not None]
    if not len(numbers) == len(parts) == 3:
        raise WrongArgument(f"--near {word}: expected LATITUDE,LONGITUDE,KILOMETRES such as 52.52,13.40,5")
    latitude, longitude, radius_km = numbers
    for name, value, most in (("latitude", latitude, 90), ("longitude", longitude, 180)):
        if abs(value) > most:
            raise WrongArgument(f"--near {word}: a {name} lies between -{most} and {most} degrees, found {value:g}")
    if radius_km <= 0:
        raise WrongArgument(f"--near {word}: the radius must be above 0 km, found {radius_km:g}")
    return GeoRadius(*attributes, latitude=latitude, longitude=longitude, radius_km=radius_km)


def pair_of(word: str) -> tuple[str, str]:
    """Reads the names of two attributes: lat,lon.

    Raises:
        WrongArgument: they are not two names.
    """
    names = tuple(part.strip() for part in word.split(","))
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise WrongArgument(f"--near-attributes {word}: expected two names, latitude first, such as lat,lon")
    return names[0], names[1]


def types_told(error: "ShortlistCallError") -> dict[str, str]:
    """Returns the types of attributes that a gateway's refusal names."""
    texts = [error.message, *(violation.description for violation in error.violations)]
    return {match["name"]: match["kind"] for text in texts for match in _TYPE.finditer(text)}


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
