"""Protobuf requests to change the catalogue to checked domain requests; each item has violations of its own."""

import base64
import binascii
import math
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.catalogue_change import ItemUpsert, ListQuery
from domain.errors import FieldViolation, InvalidRequest
from domain.item import AttributeValue, Item
from domain.text import is_visible
from domain.timestamp import Timestamp
from server.catalogue.availability import AVAILABLE_UNTIL
from server.catalogue.draft import Deletion, Edit, Outcome, Result
from server.rpc.check import Check
from server.rpc.fixed_limits import MOST_ATTRIBUTES, MOST_ITEM_BYTES, MOST_ITEMS, NAME_BYTES
from shortlist.v1 import catalog_pb2 as pb
from shortlist.v1 import item_pb2

_DEFAULT_PAGE = 100
_LARGEST_VERSION = 2**63 - 1
_TOKEN = struct.Struct("<q")
_RESERVED = frozenset({"id", "title", "text", "available"})


class _Versioned(Protocol):
    version: int

    def HasField(self, field: str) -> bool: ...


def parse_upserts(request: pb.UpsertItemsRequest) -> list[ItemUpsert | Result]:
    """Returns the items in their order; those that are refused as their results.

    Raises:
        InvalidRequest: there are none or too many.
    """
    _check_count(request.items)
    return [_upsert(one, f"items[{place}]") for place, one in enumerate(request.items)]


def parse_deletions(request: pb.DeleteItemsRequest) -> list[Deletion | Result]:
    """Returns the removals in their order; see `parse_upserts`."""
    _check_count(request.items)
    found: list[Deletion | Result] = []
    for place, one in enumerate(request.items):
        check, field = Check(), f"items[{place}]"
        check.item_id(one.item_id, f"{field}.item_id")
        version = _version(one, field, check)
        found.append(_refused(one.item_id, check) or Deletion(one.item_id, version))
    return found


def parse_availability(request: pb.SetAvailabilityRequest) -> list[Edit | Result]:
    """Returns the edits in their order; see `parse_upserts`."""
    _check_count(request.items)
    found: list[Edit | Result] = []
    for place, one in enumerate(request.items):
        check, field = Check(), f"items[{place}]"
        check.item_id(one.item_id, f"{field}.item_id")
        version = _version(one, field, check)
        edit = Edit(one.item_id, version, available=one.available, field=field)
        found.append(_refused(one.item_id, check) or edit)
    return found


def parse_attribute_edits(request: pb.SetAttributesRequest) -> list[Edit | Result]:
    """Returns the edits in their order; see `parse_upserts`."""
    _check_count(request.items)
    found: list[Edit | Result] = []
    for place, one in enumerate(request.items):
        check, field = Check(), f"items[{place}]"
        check.item_id(one.item_id, f"{field}.item_id")
        check.that(one.ByteSize() <= MOST_ITEM_BYTES, field, f"at most {MOST_ITEM_BYTES:,} bytes")
        check.that(one.attributes or one.removed, field, "attributes to set or to remove")
        version = _version(one, field, check)
        attributes = _attributes(one.attributes, f"{field}.attributes", check)
        edit = Edit(one.item_id, version, attributes=attributes, removed=tuple(one.removed), field=field)
        found.append(_refused(one.item_id, check) or edit)
    return found


def parse_id(item_id: str) -> str:
    """Returns a checked id.

    Raises:
        InvalidRequest: it is not one.
    """
    check = Check()
    check.item_id(item_id, "item_id")
    check.raise_any()
    return item_id


def parse_list(request: pb.ListItemsRequest) -> ListQuery:
    """Returns the page to read.

    Raises:
        InvalidRequest: the size is out of range, or the token is not one of `list_token`.
    """
    size = request.page_size if request.HasField("page_size") else _DEFAULT_PAGE
    check = Check()
    check.that(1 <= size <= MOST_ITEMS, "page_size", f"must lie between 1 and {MOST_ITEMS:,}, found {size}")
    check.raise_any()
    if not request.page_token:
        return ListQuery(size, 0, None, request.changed_only)
    try:
        raw = base64.urlsafe_b64decode(request.page_token.encode())
        (row,) = _TOKEN.unpack(raw[: _TOKEN.size])
        release_id = raw[_TOKEN.size :].decode()
    except (binascii.Error, struct.error, UnicodeError, ValueError) as error:
        raise InvalidRequest(
            FieldViolation("page_token", "not a token of this service; send a reply's next_page_token as it is")
        ) from error
    check.that(row >= 0 and release_id, "page_token", "not a token of this service")
    check.raise_any()
    return ListQuery(size, row, release_id, request.changed_only)


def list_token(row: int, release_id: str) -> str:
    """Returns the token of the page that begins with a row."""
    return base64.urlsafe_b64encode(_TOKEN.pack(row) + release_id.encode()).decode()


def _check_count(items: Sequence[object]) -> None:
    check = Check()
    check.that(items, "items", "at least one item")
    check.count(items, MOST_ITEMS, "items")
    check.raise_any()


def _upsert(one: pb.ItemUpsert, field: str) -> ItemUpsert | Result:
    check, item = Check(), one.item
    check.item_id(item.id, f"{field}.item.id")
    check.that("\0" not in item.id, f"{field}.item.id", "must not hold NUL")
    size = item.ByteSize()
    check.that(size <= MOST_ITEM_BYTES, f"{field}.item", f"at most {MOST_ITEM_BYTES:,} bytes, found {size:,}")
    for name in ("title", "text"):
        check.that("\0" not in getattr(item, name), f"{field}.item.{name}", "must not hold NUL")
    visible = is_visible(item.title) or is_visible(item.text)
    check.that(visible, f"{field}.item.title", "an item needs a title or a text")
    version = _version(one, field, check)
    attributes = _attributes(item.attributes, f"{field}.item.attributes", check)
    if one.HasField("item_ttl"):
        attributes |= _until(one.item_ttl.seconds + one.item_ttl.nanos / 1e9, f"{field}.item_ttl", check)
    refused = _refused(item.id, check)
    return refused or ItemUpsert(Item(item.id, item.title, item.text, _is_available(item), attributes), version, field)


def _is_available(item: item_pb2.Item) -> bool:
    return item.available if item.HasField("available") else True


def _until(ttl_s: float, field: str, check: Check) -> dict[str, AttributeValue]:
    """Returns the end of an item's time, its ttl from now."""
    if not check.that(ttl_s > 0, field, "must be above 0"):
        return {}
    end_s = time.time() + ttl_s
    seconds = math.floor(end_s)
    try:
        return {AVAILABLE_UNTIL: Timestamp.of(seconds, int((end_s - seconds) * 1e9))}
    except ValueError:
        check.that(False, field, "ends after the year 9999; leave it out instead")
        return {}


def _version(one: _Versioned, field: str, check: Check) -> int | None:
    if not one.HasField("version"):
        return None
    # The last number would leave no room for the next change.
    expected = f"must lie between 1 and {_LARGEST_VERSION - 1:,}, found {one.version}"
    check.that(1 <= one.version < _LARGEST_VERSION, f"{field}.version", expected)
    return one.version


def _attributes(given: Mapping[str, item_pb2.AttributeValue], field: str, check: Check) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    if not check.count(given, MOST_ATTRIBUTES, field):
        return found
    # Maps of protobuf have no order; items with the same attributes shall be equal, byte for byte.
    for name in sorted(given):
        where = f"{field}[{name[:64]}]"
        named = 1 <= len(name.encode()) <= NAME_BYTES and "\0" not in name and name not in _RESERVED
        check.that(named, where, f"a name has 1 to {NAME_BYTES} bytes and is none of {', '.join(sorted(_RESERVED))}")
        value = _value(given[name], where, check)
        if value is not None:
            found[name] = value
    return found


def _value(given: item_pb2.AttributeValue, field: str, check: Check) -> AttributeValue | None:
    """Returns a value; None where it is none, which is noted."""
    kind = given.WhichOneof("value")
    check.that(kind is not None, field, "a value; leave the attribute out instead")
    value: AttributeValue | None = None
    if kind == "string_value":
        check.that("\0" not in given.string_value, field, "must not hold NUL")
        value = given.string_value
    elif kind == "number_value":
        check.that(math.isfinite(given.number_value), field, "must be a finite number")
        value = given.number_value
    elif kind == "bool_value":
        value = given.bool_value
    elif kind == "string_list_value":
        check.that(not any("\0" in one for one in given.string_list_value.values), field, "must not hold NUL")
        value = tuple(given.string_list_value.values)
    elif kind == "timestamp_value" and check.time(given.timestamp_value, field):
        value = Timestamp.of(given.timestamp_value.seconds, given.timestamp_value.nanos)
    return value


def _refused(item_id: str, check: Check) -> Result | None:
    """Returns the result of an item with violations; None without any."""
    try:
        check.raise_any()
    except InvalidRequest as error:
        return Result(item_id[:256], Outcome.REFUSED, 0, error)
    return None
