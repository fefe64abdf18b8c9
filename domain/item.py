"""An item of the catalogue and the types its attributes may have."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from domain.timestamp import Timestamp, parse_timestamp

AttributeValue = str | int | float | bool | tuple[str, ...] | Timestamp

ID_LIMIT_BYTES = 256


class AttributeType(StrEnum):
    """Type of one attribute in the whole catalogue."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    STRING_LIST = "string_list"
    TIMESTAMP = "timestamp"


class WrongItem(ValueError):
    """Refusal of an object that is not an item.

    Attributes:
        faults: every fault found, a sentence each.
        attributes: the attributes that have none.
    """

    def __init__(self, faults: Sequence[str], attributes: "Mapping[str, AttributeValue]") -> None:
        """Takes at least one fault; the message has all of them."""
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)
        self.attributes = attributes


@dataclass(frozen=True, slots=True)
class Item:
    """Item of the catalogue.

    Attributes:
        id: unique in the catalogue, 1 to 256 bytes of UTF-8.
        title: a short name; may be empty where `text` is not.
        text: a description; may be empty where `title` is not.
        available: whether it may be recommended.
        attributes: every other column, by name.
    """

    id: str
    title: str
    text: str
    available: bool = True
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


def attribute_type(value: AttributeValue) -> AttributeType:
    """Returns the type of an attribute's value."""
    if isinstance(value, bool):
        return AttributeType.BOOLEAN
    if isinstance(value, int | float):
        return AttributeType.NUMBER
    if isinstance(value, str):
        return AttributeType.STRING
    if isinstance(value, Timestamp):
        return AttributeType.TIMESTAMP
    return AttributeType.STRING_LIST


def parse_attribute(value: object) -> AttributeValue:
    """Turns a JSON value into an attribute's value.

    Raises:
        ValueError: the value is no string, finite number, truth value or list of strings.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return checked_text(value)
    if isinstance(value, int | float):
        if not (isinstance(value, float) or abs(value) < 2**1023) or not math.isfinite(value):
            raise ValueError("a number must be finite and fit a double")
        return value
    if isinstance(value, list):
        if not all(isinstance(entry, str) for entry in value):
            raise ValueError("a list must hold strings only")
        return tuple(checked_text(entry) for entry in value)
    raise ValueError(f"expected a string, number, boolean or list of strings, found {json_name(value)}")


def _timestamp(value: object) -> Timestamp:
    moment = parse_timestamp(value) if isinstance(value, str) else None
    if moment is None:
        raise ValueError(f"expected a timestamp as RFC 3339 writes it (2026-01-31T09:30:00Z), found {json_name(value)}")
    return moment


def checked_text(value: str) -> str:
    """Returns the text unchanged.

    Raises:
        ValueError: it holds NUL or a lone surrogate, which UTF-8 cannot carry.
    """
    if "\0" in value:
        raise ValueError("text must not hold NUL")
    try:
        if not value.isascii():
            value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("text holds a lone surrogate, which is not valid UTF-8") from error
    return value


def json_name(value: object) -> str:
    """Names the JSON type of a value for an error message."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def item_to_json(item: Item) -> dict[str, object]:
    """Returns the item as the object that `items.jsonl` holds; `item_from_json` reads it back unchanged."""
    columns: dict[str, object] = {"id": item.id, "title": item.title, "text": item.text, "available": item.available}
    columns.update((name, _to_json(value)) for name, value in item.attributes.items())
    return columns


def _to_json(value: AttributeValue) -> object:
    if isinstance(value, tuple):
        return list(value)
    return value.text if isinstance(value, Timestamp) else value


def item_from_json(columns: Mapping[str, object], timestamps: Collection[str] = ()) -> Item:
    """Checks one object of an item file.

    Args:
        columns: `id` and one of `title` and `text` are required, `available` is optional; every other column is an
            attribute. A null is the same as an absent column.
        timestamps: the attributes whose strings are timestamps: JSON itself cannot tell the two apart.

    Raises:
        WrongItem: columns are missing or of the wrong type; the message names each.
    """
    faults: list[str] = []
    key = _checked(item_id, faults, columns)
    title, text = (_checked(_text, faults, columns, name) for name in ("title", "text"))
    if title is not None and text is not None and not title.strip() and not text.strip():
        named = "the item" if key is None else f'item "{key}"'
        faults.append(f"{named} has neither title nor text; one of the two is required")
    available = columns.get("available")
    if available is not None and not isinstance(available, bool):
        faults.append(f'"available" must be true or false, found {json_name(available)}')
    attributes: dict[str, AttributeValue] = {}
    for name, value in columns.items():
        if name in ("id", "title", "text", "available") or value is None:
            continue
        try:
            attributes[checked_text(name)] = _timestamp(value) if name in timestamps else parse_attribute(value)
        except ValueError as error:
            faults.append(f'attribute "{name}": {error}')
    if faults or key is None or title is None or text is None:
        raise WrongItem(faults, attributes)
    return Item(key, title, text, available is not False, attributes)


def _checked(check: Callable[..., str], faults: list[str], *values: object) -> str | None:
    """Returns what a check returns, or None and a fault more."""
    try:
        return check(*values)
    except ValueError as error:
        faults.append(str(error))
        return None


def item_id(columns: Mapping[str, object]) -> str:
    """Returns the id in one object of an item file; a whole number is an id too.

    Raises:
        ValueError: it is missing or none.
    """
    value = columns.get("id")
    if value is None:
        raise ValueError('"id" is missing')
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f'"id" must be a string, found {json_name(value)}')
    try:
        size = len(checked_text(value).encode())
    except ValueError as error:
        raise ValueError(f'"id": {error}') from error
    if not 1 <= size <= ID_LIMIT_BYTES:
        raise ValueError(f'"id" must have 1 to {ID_LIMIT_BYTES} bytes, has {size}')
    return value


def _text(columns: Mapping[str, object], name: str) -> str:
    value = columns.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f'"{name}" must be a string, found {json_name(value)}')
    try:
        return checked_text(value)
    except ValueError as error:
        raise ValueError(f'"{name}": {error}') from error
