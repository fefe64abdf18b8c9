"""Conditions and rules as people write them: genre=jazz,blues  price<20  vegan=yes  category=2/5  item-7@3."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from domain.arrangement import Boost, Cap, Pin
from domain.condition import AnyNumber, AnyOf, Condition, Equals, Range, TimeRange
from domain.item import AttributeType

_CONDITION = re.compile(r"(?P<name>[^!<>=]+)(?P<sign>!=|>=|<=|==|=|<|>)(?P<value>.*)", re.DOTALL)
_CAP = re.compile(r"(?P<attribute>.+)=(?P<most>\d{1,9})(/(?P<within>\d{1,9}))?", re.DOTALL)
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_DAY_CHARACTERS = len("2026-01-31")
_NANOS = 1_000_000_000


def condition_from(words: str, types: Mapping[str, str] | None = None) -> Condition:
    """Reads a condition.

    Args:
        words: for example `price<20`.
        types: what is known of attributes, by name; without it the value tells: numbers are numbers, true and false
            truth values.

    Raises:
        ValueError: it is not one; the message says what was expected.
    """
    match = _CONDITION.fullmatch(words)
    if match is None or not match["name"].strip():
        raise ValueError(
            f'"{words}" is not a condition; expected NAME=VALUE, NAME!=VALUE, or NAME with >=, <=, > or < and a number '
            "or a moment"
        )
    name, sign, value = match["name"].strip(), match["sign"], match["value"].strip()
    if sign in (">=", "<=", ">", "<"):
        return Condition(name, _range(words, sign, value))
    kind = (types or {}).get(name) or _kind_of(value)
    return Condition(name, _equality(words, name, value, kind), negate=sign == "!=")


def cap_from(words: str) -> Cap:
    """Reads a cap: author=2, or category=2/5 for 2 in any 5.

    Raises:
        ValueError: it is not one.
    """
    match = _CAP.fullmatch(words)
    if match is None:
        raise ValueError(f'"{words}" is not a cap; expected ATTRIBUTE=MOST, or ATTRIBUTE=MOST/WITHIN as category=2/5')
    most, within = int(match["most"]), int(match["within"] or 0)
    if most < 1 or (within and within <= most):
        raise ValueError(f'"{words}": the cap must be at least 1, and below the number of places after the slash')
    return Cap(match["attribute"].strip(), most, within)


def pin_from(words: str) -> Pin:
    """Reads a pinned item: item-7@3.

    Raises:
        ValueError: it is not one.
    """
    item_id, _, place = words.rpartition("@")
    if not item_id or not place.isdecimal() or not 1 <= int(place) <= 1_000:
        raise ValueError(
            f'"{words}" is not a pinned item; expected ID@PLACE with a place from 1 to 1,000, such as item-7@3'
        )
    return Pin(item_id, int(place))


def boost_from(words: str, types: Mapping[str, str] | None = None) -> Boost:
    """Reads a boost: genre=jazz@.3, or item-7@-1; `types` as for `condition_from`.

    Raises:
        ValueError: it is not one.
    """
    what, _, strength = words.rpartition("@")
    try:
        by = float(strength)
    except ValueError:
        by = 0.0
    if not what or not by or not -1 <= by <= 1:
        raise ValueError(
            f'"{words}" is not a boost; expected CONDITION@STRENGTH or ID@STRENGTH, from -1 to 1, such as genre=jazz@.3'
        )
    if _CONDITION.fullmatch(what):
        return Boost(by, condition=condition_from(what, types))
    return Boost(by, (what,))


def _kind_of(value: str) -> str:
    if value.lower() in ("true", "false"):
        return AttributeType.BOOLEAN
    return AttributeType.STRING if any(_number(part) is None for part in value.split(",")) else AttributeType.NUMBER


def _equality(words: str, name: str, value: str, kind: str) -> AnyOf | AnyNumber | Equals:
    parts = [part.strip() for part in value.split(",")]
    if kind == AttributeType.BOOLEAN:
        truth = _TRUTH.get(value.lower())
        if truth is None:
            raise ValueError(f'"{words}": {name} is true or false, found {value}')
        return Equals(truth)
    if kind == AttributeType.NUMBER:
        numbers = [number for part in parts if (number := _number(part)) is not None]
        if len(numbers) < len(parts):
            raise ValueError(f'"{words}": {name} is a number, found {value}')
        return AnyNumber(frozenset(numbers))
    return AnyOf(frozenset(parts))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _range(words: str, sign: str, value: str) -> Range | TimeRange:
    # The ends of a range are included: the next value above or below is the end of one that leaves its own out.
    above, strict = sign.startswith(">"), len(sign) == 1
    number = _number(value)
    if number is None:
        seconds, nanos = _moment(words, value)
        carried, nanos = divmod(nanos + strict * (1 if above else -1), _NANOS)
        moment = seconds + carried, nanos
        return TimeRange(moment, None) if above else TimeRange(None, moment)
    if strict:
        number = math.nextafter(number, math.inf if above else -math.inf)
    return Range(number, None) if above else Range(None, number)


def _moment(words: str, value: str) -> tuple[int, int]:
    """Returns seconds since 1970 and nanoseconds of a moment with its offset, or of a day, at midnight UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f'"{words}": {value} is neither a number nor a moment such as 2026-01-31T09:30:00Z') from error
    if moment.tzinfo is None:
        if len(value) > _DAY_CHARACTERS:
            raise ValueError(f'"{words}": {value} needs its offset, for example {value}Z')
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() // 1), moment.microsecond * 1_000
