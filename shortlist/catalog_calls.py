"""The calls about the catalogue, for both clients."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from shortlist.call import Call, Calls
from shortlist.catalog import (
    ChangeResult,
    ItemPage,
    NewItem,
    StoredItem,
    attributes_message,
    availability_message,
    delete_message,
    in_calls,
    read_page,
    read_results,
    read_stored,
    upsert_message,
)
from shortlist.results import AttributeValue
from shortlist.v1 import catalog_pb2
from shortlist.v1.catalog_pb2_grpc import CatalogServiceStub

_Result = TypeVar("_Result")
_MOST_ITEMS = 500
_MOST_BYTES = 1_000_000


class CatalogCalls:
    """Calls by which a client changes and reads the catalogue."""

    _calls: Calls
    _catalog: CatalogServiceStub

    def _send(self, rpc: Callable[..., Any], message: Message, reader: Callable[[Any], _Result], call: Call) -> _Result:
        raise NotImplementedError

    def upsert_items(self, items: Sequence[NewItem], *, deadline_s: float | None = None) -> list[ChangeResult]:
        """Adds items, or replaces them whole; the next request sees them, and they survive a restart.

        Args:
            items: 1 to 1,000 items.
            deadline_s: how long the call may take, in seconds; None takes the client's. Texts are embedded meanwhile.

        Returns:
            An outcome for each item, in the same order; one's error does not fail the others.

        Raises:
            ShortlistCallError: the call as a whole failed.
            ValueError, TypeError: a value that no message can hold.
        """
        call = self._calls.begin(deadline_s, None)
        return self._send(self._catalog.UpsertItems, upsert_message(items), _read_all, call)

    def upsert_many(self, items: Iterable[NewItem], *, deadline_s: float | None = None) -> Iterable[ChangeResult]:
        """Adds any number of items, call by call; yields their outcomes as they come.

        Args:
            items: may be a stream.
            deadline_s: how long each call may take, in seconds; None takes the client's.

        Raises:
            ShortlistCallError, ValueError, TypeError: as `upsert_items`.
        """
        for message in in_calls(items, _MOST_ITEMS, _MOST_BYTES):
            call = self._calls.begin(deadline_s, None)
            yield from self._send(self._catalog.UpsertItems, message, _read_all, call)

    def delete_items(
        self, item_ids: Sequence[str], *, version: int | None = None, deadline_s: float | None = None
    ) -> list[ChangeResult]:
        """Removes items; deleting what does not exist is no error. Raises as `upsert_items`."""
        call = self._calls.begin(deadline_s, None)
        message = delete_message(item_ids, version)
        return self._send(self._catalog.DeleteItems, message, _read_all, call)

    def set_availability(
        self, item_id: str, *, available: bool, version: int | None = None, deadline_s: float | None = None
    ) -> ChangeResult:
        """Sets whether an item may be recommended; nothing is embedded. Raises as `upsert_items`."""
        call = self._calls.begin(deadline_s, None)
        message = availability_message(item_id, available, version)
        return self._send(self._catalog.SetAvailability, message, _read_one, call)

    def set_attributes(
        self,
        item_id: str,
        attributes: Mapping[str, AttributeValue],
        *,
        removed: Sequence[str] = (),
        version: int | None = None,
        deadline_s: float | None = None,
    ) -> ChangeResult:
        """Sets and removes attributes of an item; nothing is embedded. Raises as `upsert_items`."""
        call = self._calls.begin(deadline_s, None)
        message = attributes_message(item_id, attributes, removed, version)
        return self._send(self._catalog.SetAttributes, message, _read_one, call)

    def get_item(self, item_id: str, *, deadline_s: float | None = None) -> StoredItem:
        """Returns an item as the catalogue has it.

        Raises:
            ShortlistCallError: the call failed; code NOT_FOUND where there is no such item.
        """
        call = self._calls.begin(deadline_s, None)
        return self._send(self._catalog.GetItem, catalog_pb2.GetItemRequest(item_id=item_id), read_stored, call)

    def list_items(
        self,
        *,
        page_size: int | None = None,
        page_token: str = "",
        changed_only: bool = False,
        deadline_s: float | None = None,
    ) -> ItemPage:
        """Returns a page of the catalogue.

        Args:
            page_size: 1 to 1,000 items; None for 100.
            page_token: of the page before; empty for the first one.
            changed_only: only items that were changed since the release was built.
            deadline_s: how long the call may take, in seconds; None takes the client's.

        Raises:
            ShortlistCallError: the call failed.
        """
        call = self._calls.begin(deadline_s, None)
        message = catalog_pb2.ListItemsRequest(page_size=page_size, page_token=page_token, changed_only=changed_only)
        return self._send(self._catalog.ListItems, message, read_page, call)


class AsyncCatalogCalls:
    """Calls of `AsyncClient` about the catalogue."""

    _calls: Calls
    _catalog: Any

    async def upsert_items(self, items: Sequence[NewItem], *, deadline_s: float | None = None) -> list[ChangeResult]:
        """Adds items, or replaces them whole, as Client.upsert_items."""
        call = self._calls.begin(deadline_s, None)
        return await self._send(self._catalog.UpsertItems, upsert_message(items), _read_all, call)

    async def upsert_many(
        self, items: Iterable[NewItem], *, deadline_s: float | None = None
    ) -> AsyncIterator[ChangeResult]:
        """Adds any number of items, call by call, as Client.upsert_many."""
        for message in in_calls(items, _MOST_ITEMS, _MOST_BYTES):
            call = self._calls.begin(deadline_s, None)
            for result in await self._send(self._catalog.UpsertItems, message, _read_all, call):
                yield result

    async def delete_items(
        self, item_ids: Sequence[str], *, version: int | None = None, deadline_s: float | None = None
    ) -> list[ChangeResult]:
        """Removes items, as Client.delete_items."""
        call = self._calls.begin(deadline_s, None)
        return await self._send(self._catalog.DeleteItems, delete_message(item_ids, version), _read_all, call)

    async def set_availability(
        self, item_id: str, *, available: bool, version: int | None = None, deadline_s: float | None = None
    ) -> ChangeResult:
        """Sets whether an item may be recommended, as Client.set_availability."""
        call = self._calls.begin(deadline_s, None)
        message = availability_message(item_id, available, version)
        return await self._send(self._catalog.SetAvailability, message, _read_one, call)

    async def set_attributes(
        self,
        item_id: str,
        attributes: Mapping[str, AttributeValue],
        *,
        removed: Sequence[str] = (),
        version: int | None = None,
        deadline_s: float | None = None,
    ) -> ChangeResult:
        """Sets and removes attributes of an item, as Client.set_attributes."""
        call = self._calls.begin(deadline_s, None)
        message = attributes_message(item_id, attributes, removed, version)
        return await self._send(self._catalog.SetAttributes, message, _read_one, call)

    async def get_item(self, item_id: str, *, deadline_s: float | None = None) -> StoredItem:
        """Returns an item as the catalogue has it, as Client.get_item."""
        call = self._calls.begin(deadline_s, None)
        return await self._send(self._catalog.GetItem, catalog_pb2.GetItemRequest(item_id=item_id), read_stored, call)

    async def list_items(
        self,
        *,
        page_size: int | None = None,
        page_token: str = "",
        changed_only: bool = False,
        deadline_s: float | None = None,
    ) -> ItemPage:
        """Returns a page of the catalogue, as Client.list_items."""
        call = self._calls.begin(deadline_s, None)
        message = catalog_pb2.ListItemsRequest(page_size=page_size, page_token=page_token, changed_only=changed_only)
        return await self._send(self._catalog.ListItems, message, read_page, call)

    async def _send(
        self, rpc: Callable[..., Awaitable[Any]], message: Message, reader: Callable[[Any], _Result], call: Call
    ) -> _Result:
        raise NotImplementedError


def _read_all(reply: Any) -> list[ChangeResult]:  # noqa: ANN401 -- the replies of all changes
    return read_results(reply.results)


def _read_one(reply: Any) -> ChangeResult:  # noqa: ANN401
    return read_results(reply.results)[0]
