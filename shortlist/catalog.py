"""Changes of the catalogue: what a caller gives, the messages, and what comes back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shortlist.condition_messages import several, timestamp_message
from shortlist.enums import ChangeOutcome
from shortlist.replies import named, read_entry_error, read_item
from shortlist.results import AttributeValue, EntryError, ItemDetails
from shortlist.v1 import catalog_pb2, item_pb2


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to add, or to replace whole.

    Attributes:
        id: unique in the catalogue, 1 to 256 bytes.
        title: a short name; may be empty where `text` is not.
        text: a description; may be empty where `title` is not.
        available: whether it may be recommended.
        attributes: every other column, by name: text, a number, a truth value, several texts, or a zoned moment.
        version: the caller's version, 1 or more; one not above the stored one changes nothing. None for the next.
    """

    id: str
    title: str = ""
    text: str = ""
    available: bool = True
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    version: int | None = None


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """The outcome of one change.

    Attributes:
        item_id: the item.
        outcome: what became of it.
        version: the item's version now.
        error: why it was refused; None otherwise.
    """

    item_id: str
    outcome: ChangeOutcome
    version: int
    error: EntryError | None = None


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as the catalogue has it.

    Attributes:
        item: with all that it has.
        version: 0 where it is as the release has it.
        release_id: the release.
    """

    item: ItemDetails
    version: int
    release_id: str


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of the catalogue.

    Attributes:
        items: in the order of the catalogue.
        next_page_token: for the next page; empty after the last one.
        total_count: items in the catalogue.
    """

    items: tuple[StoredItem, ...]
    next_page_token: str
    total_count: int


def upsert_message(items: Iterable[NewItem]) -> catalog_pb2.UpsertItemsRequest:
    """Builds the message of items.

    Raises:
        ValueError, TypeError: a value that no message can hold.
    """
    return catalog_pb2.UpsertItemsRequest(items=[_upsert(item) for item in items])


def delete_message(item_ids: Sequence[str], version: int | None) -> catalog_pb2.DeleteItemsRequest:
    """Builds the message of removals."""
    ids = several("item_ids", item_ids)
    return catalog_pb2.DeleteItemsRequest(items=[{"item_id": one, "version": version} for one in ids])


def availability_message(item_id: str, available: bool, version: int | None) -> catalog_pb2.SetAvailabilityRequest:
    """Builds the message of one item's availability."""
    edit = catalog_pb2.ItemAvailability(item_id=item_id, available=available, version=version)
    return catalog_pb2.SetAvailabilityRequest(items=[edit])


def attributes_message(
    item_id: str, attributes: Mapping[str, AttributeValue], removed: Sequence[str], version: int | None
) -> catalog_pb2.SetAttributesRequest:
    """Builds the message of one item's attributes. Raises as `upsert_message`."""
    edit = catalog_pb2.ItemAttributes(item_id=item_id, removed=several("removed", removed), version=version)
    _set_attributes(edit.attributes, attributes)
    return catalog_pb2.SetAttributesRequest(items=[edit])


def read_results(messages: Iterable[catalog_pb2.ChangeResult]) -> list[ChangeResult]:
    """Reads the outcomes of changes."""
    return [
        ChangeResult(
            item_id=message.item_id,
            outcome=named(ChangeOutcome, catalog_pb2.ChangeOutcome, message.outcome),
            version=message.version,
            error=read_entry_error(message.error) if message.HasField("error") else None,
        )
        for message in messages
    ]


def read_stored(message: catalog_pb2.GetItemResponse) -> StoredItem:
    """Reads an item."""
    return StoredItem(read_item(message.item), message.version, message.release_id)


def read_page(message: catalog_pb2.ListItemsResponse) -> ItemPage:
    """Reads a page."""
    return ItemPage(tuple(map(read_stored, message.items)), message.next_page_token, message.total_count)


def in_calls(items: Iterable[NewItem], most: int, most_bytes: int) -> Iterator[catalog_pb2.UpsertItemsRequest]:
    """Yields items in messages of at most so many items, and about so many bytes."""
    request, size = catalog_pb2.UpsertItemsRequest(), 0
    for item in items:
        message = _upsert(item)
        length = message.ByteSize()
        if request.items and (len(request.items) == most or size + length > most_bytes):
            yield request
            request, size = catalog_pb2.UpsertItemsRequest(), 0
        request.items.append(message)
        size += length
    if request.items:
        yield request


def _upsert(item: NewItem) -> catalog_pb2.ItemUpsert:
    message = catalog_pb2.ItemUpsert(
        item=item_pb2.Item(id=item.id, title=item.title, text=item.text, available=item.available),
        version=item.version,
    )
    _set_attributes(message.item.attributes, item.attributes)
    return message


def _set_attributes(target: "Mapping[str, item_pb2.AttributeValue]", values: Mapping[str, AttributeValue]) -> None:
    for name, value in values.items():
        target[name].CopyFrom(_value(name, value))


def _value(name: str, value: AttributeValue) -> item_pb2.AttributeValue:
    if isinstance(value, bool):
        return item_pb2.AttributeValue(bool_value=value)
    if isinstance(value, int | float):
        return item_pb2.AttributeValue(number_value=value)
    if isinstance(value, str):
        return item_pb2.AttributeValue(string_value=value)
    if isinstance(value, datetime):
        return item_pb2.AttributeValue(timestamp_value=timestamp_message(value, f"attribute {name}"))
    return item_pb2.AttributeValue(string_list_value=item_pb2.StringList(values=several(name, value)))
