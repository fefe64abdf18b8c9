"""CatalogService: changes of the catalogue and what is in it now."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

import grpc

from domain.catalogue_change import ItemUpsert, ListQuery
from domain.errors import FieldViolation, InvalidRequest, ItemNotFound
from server.catalogue.draft import Deletion, Edit, Outcome, Result
from server.catalogue.live_catalogue import LiveCatalogue
from server.catalogue_writer import CatalogueWriter
from server.deadline import Deadline
from server.rpc import off_loop
from server.rpc.call import current_call
from server.rpc.parse_catalog import (
    list_token,
    parse_attribute_edits,
    parse_availability,
    parse_deletions,
    parse_id,
    parse_list,
    parse_upserts,
)
from server.rpc.reply import entry_error, item_message
from server.rpc.status import INTERNAL, status_of
from server.trace import Trace
from shortlist.v1 import catalog_pb2 as pb
from shortlist.v1 import catalog_pb2_grpc as pb_grpc

_OUTCOMES = {
    Outcome.APPLIED: pb.CHANGE_OUTCOME_APPLIED,
    Outcome.UNCHANGED: pb.CHANGE_OUTCOME_UNCHANGED,
    Outcome.REFUSED: pb.CHANGE_OUTCOME_REFUSED,
}
_REFUSALS_TOLD = 1_000
# A message of a stream has this long, if the call has no deadline, to be applied.
_STREAM_STEP_S = 60.0

_Parsed = TypeVar("_Parsed", ItemUpsert, Deletion, Edit)


class CatalogServicer(pb_grpc.CatalogServiceServicer):
    """Servicer of the live catalogue."""

    def __init__(self, writer: CatalogueWriter, max_reply_bytes: int) -> None:
        self._writer = writer
        self._most_bytes = max_reply_bytes // 2

    async def UpsertItems(  # noqa: D102 -- the contract's name and comment
        self, request: pb.UpsertItemsRequest, context: grpc.aio.ServicerContext
    ) -> pb.UpsertItemsResponse:
        call = current_call.get()
        results = await self._upserted(request, call.deadline)
        return pb.UpsertItemsResponse(
            results=[_result(one) for one in results], release_id=self._writer.live().release_id
        )

    async def UpsertItemStream(  # noqa: D102
        self, request_iterator: AsyncIterator[pb.UpsertItemsRequest], context: grpc.aio.ServicerContext
    ) -> pb.UpsertItemStreamResponse:
        reply = pb.UpsertItemStreamResponse()
        async for request in request_iterator:
            left_s = context.time_remaining()
            deadline = Deadline.after(_STREAM_STEP_S if left_s is None else min(left_s, _STREAM_STEP_S))
            for result in await self._upserted(request, deadline):
                reply.applied_count += result.outcome is Outcome.APPLIED
                reply.unchanged_count += result.outcome is Outcome.UNCHANGED
                if result.outcome is Outcome.REFUSED:
                    reply.refused_count += 1
                    if len(reply.refused) < _REFUSALS_TOLD:
                        reply.refused.append(_result(result))
        return reply

    async def DeleteItems(  # noqa: D102
        self, request: pb.DeleteItemsRequest, context: grpc.aio.ServicerContext
    ) -> pb.DeleteItemsResponse:
        results = await _applied(parse_deletions(request), self._writer.apply)
        return pb.DeleteItemsResponse(results=[_result(one) for one in results])

    async def SetAvailability(  # noqa: D102
        self, request: pb.SetAvailabilityRequest, context: grpc.aio.ServicerContext
    ) -> pb.SetAvailabilityResponse:
        results = await _applied(parse_availability(request), self._writer.apply)
        return pb.SetAvailabilityResponse(results=[_result(one) for one in results])

    async def SetAttributes(  # noqa: D102
        self, request: pb.SetAttributesRequest, context: grpc.aio.ServicerContext
    ) -> pb.SetAttributesResponse:
        edits = await off_loop.check(self._writer.workers, parse_attribute_edits, request)
        results = await _applied(edits, self._writer.apply)
        return pb.SetAttributesResponse(results=[_result(one) for one in results])

    async def GetItem(  # noqa: D102
        self, request: pb.GetItemRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetItemResponse:
        item_id = parse_id(request.item_id)
        release, catalogue = self._writer.live(), self._writer.store().current
        rows = catalogue.rows_of([item_id])
        if not rows:
            raise ItemNotFound(f'the catalogue has no item "{item_id[:64]}"')
        return _item(catalogue, rows[item_id], release.release_id)

    async def ListItems(  # noqa: D102
        self, request: pb.ListItemsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListItemsResponse:
        query = parse_list(request)
        release, catalogue = self._writer.live(), self._writer.store().current
        if query.release_id not in (None, release.release_id):
            raise InvalidRequest(
                FieldViolation("page_token", f"is of release {query.release_id}; begin the list again")
            )
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._writer.workers, _page, query, catalogue, release.release_id, self._most_bytes
        )

    async def _upserted(self, request: pb.UpsertItemsRequest, deadline: Deadline) -> list[Result]:
        trace, started_s = Trace(), time.monotonic()
        upserts = await off_loop.check(self._writer.workers, parse_upserts, request)
        trace.record("parse", started_s, time.monotonic())
        return await _applied(upserts, lambda valid: self._writer.upsert(valid, deadline, trace))


async def _applied(
    parsed: Sequence[_Parsed | Result], apply: Callable[[list[_Parsed]], Awaitable[list[Result]]]
) -> list[Result]:
    """Applies what was not refused; returns all results in their order."""
    valid = [one for one in parsed if not isinstance(one, Result)]
    applied = iter(await apply(valid)) if valid else iter(())
    return [one if isinstance(one, Result) else next(applied) for one in parsed]


def _page(query: ListQuery, catalogue: LiveCatalogue, release_id: str, most_bytes: int) -> pb.ListItemsResponse:
    """Returns the items from a row on, as many as fit."""
    reply = pb.ListItemsResponse(total_count=catalogue.item_count)
    size = 0
    for row in catalogue.rows_from(query.first_row, changed_only=query.changed_only):
        if len(reply.items) == query.size or size > most_bytes:
            reply.next_page_token = list_token(row, release_id)
            break
        entry = _item(catalogue, row, release_id)
        size += entry.ByteSize()
        reply.items.append(entry)
    return reply


def _item(catalogue: LiveCatalogue, row: int, release_id: str) -> pb.GetItemResponse:
    stored = catalogue.state_of(row)
    assert stored.item is not None
    return pb.GetItemResponse(item=item_message(stored.item), version=stored.version, release_id=release_id)


def _result(result: Result) -> pb.ChangeResult:
    status = None if result.error is None else status_of(result.error) or INTERNAL
    error = None if status is None else entry_error(status)
    return pb.ChangeResult(
        item_id=result.item_id, outcome=_OUTCOMES[result.outcome], version=result.version, error=error
    )
