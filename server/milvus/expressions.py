"""Conditions as filter expressions of Milvus, and items as rows of a collection.

An item's attributes lie in one JSON field by type, for a path has one type there: `s` strings and lists of them, `f`
the same folded, `n` numbers, `t` seconds and `u` nanoseconds of instants, `b` truth values; `has` lists their names.
"""

import json
from collections.abc import Iterable, Mapping

from domain.condition import AnyNumber, AnyOf, ColumnTest, Equals, Exists, Range, TimeRange, folded, values_of
from domain.item import AttributeValue
from domain.timestamp import Timestamp

ATTRIBUTES = "attributes"
# Matches no row: rows begin at 0.
_NOTHING = "row < 0"


def packed(attributes: Mapping[str, AttributeValue]) -> dict[str, object]:
    """Returns attributes as the JSON field that `expression` asks."""
    fields: dict[str, dict[str, object]] = {name: {} for name in "sfntub"}
    for name, value in attributes.items():
        if isinstance(value, bool):
            fields["b"][name] = value
        elif isinstance(value, int | float):
            fields["n"][name] = float(value)
        elif isinstance(value, Timestamp):
            fields["t"][name], fields["u"][name] = value.seconds, value.nanos
        else:
            strings = values_of(value)
            fields["s"][name], fields["f"][name] = list(strings), [one.casefold() for one in strings]
    return {"has": list(attributes), **fields}


def expression(attribute: str, test: ColumnTest) -> str:
    """Returns the expression that the rows which pass a test meet; the test is not negated."""
    if isinstance(test, Exists):
        has = f"json_contains({ATTRIBUTES}{_key('has')}, {_quoted(attribute)})"
        return has if test.value else f"not ({has})"
    if isinstance(test, AnyOf):
        field = _path("f" if test.ignore_case else "s", attribute)
        return _any(f"json_contains({field}, {_quoted(value)})" for value in sorted(folded(test)))
    if isinstance(test, Equals):
        return f"{_path('b', attribute)} == {'true' if test.value else 'false'}"
    if isinstance(test, AnyNumber):
        return _any(f"{_path('n', attribute)} == {value!r}" for value in sorted(test.values))
    if isinstance(test, Range):
        number = _path("n", attribute)
        ends = [f"{number} >= {test.minimum!r}"] if test.minimum is not None else []
        ends += [f"{number} <= {test.maximum!r}"] if test.maximum is not None else []
        return _all(ends) if ends else expression(attribute, Exists())
    return _instants(attribute, test)


def _instants(attribute: str, test: TimeRange) -> str:
    seconds, nanos = _path("t", attribute), _path("u", attribute)
    ends = []
    for end, beyond in ((test.minimum, ">"), (test.maximum, "<")):
        if end is not None:
            ends.append(f"({seconds} {beyond} {end[0]} or ({seconds} == {end[0]} and {nanos} {beyond}= {end[1]}))")
    return _all(ends) if ends else expression(attribute, Exists())


def _path(field: str, attribute: str) -> str:
    return f"{ATTRIBUTES}{_key(field)}{_key(attribute)}"


def _key(name: str) -> str:
    return f"[{_quoted(name)}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _any(parts: Iterable[str]) -> str:
    return " or ".join(f"({part})" for part in parts) or _NOTHING


def _all(parts: Iterable[str]) -> str:
    return " and ".join(f"({part})" for part in parts)
