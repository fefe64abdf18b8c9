"""ReplicationService: the changes of the catalogue for gateways that follow this one."""

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing

import grpc

from domain.errors import Overloaded
from server.catalogue.change import to_bytes
from server.catalogue.store import CatalogueStore
from server.catalogue.tap import close_once_open
from shortlist.v1 import replication_pb2 as pb
from shortlist.v1 import replication_pb2_grpc as pb_grpc

_LOOK_EVERY_S = 0.05
_SAY_EVERY_S = 1.0
# A message has no more changes and bytes of records than this, if one change is not larger.
_MOST_CHANGES = 1_000
_MOST_BYTES = 1 << 20
# Each may hold a whole state in memory.
_MOST_FOLLOWERS = 32


class ReplicationServicer(pb_grpc.ReplicationServiceServicer):
    """Servicer of followers."""

    def __init__(self, store: Callable[[], CatalogueStore], stopping: asyncio.Event | None = None) -> None:
        """Keeps what it sends.

        Args:
            store: returns the changes of the catalogue; raises NoRelease and NotServed.
            stopping: set once the gateway stops, which ends every stream; None where it never does.
        """
        self._store = store
        self._stopping = stopping or asyncio.Event()
        self._followers = 0

    async def FollowChanges(  # noqa: D102 -- the contract's name and comment
        self, request: pb.FollowChangesRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.FollowChangesResponse]:
        store = self._store()
        if self._followers >= _MOST_FOLLOWERS:
            raise Overloaded(f"{_MOST_FOLLOWERS} gateways follow this one already; have further ones follow those")
        self._followers += 1
        try:
            async with aclosing(self._messages(store, request)) as messages:
                async for message in messages:
                    yield message
        finally:
            self._followers -= 1

    async def _messages(
        self, store: CatalogueStore, request: pb.FollowChangesRequest
    ) -> AsyncGenerator[pb.FollowChangesResponse, None]:
        catalogue_id = store.identity.catalogue_id

        def message(
            changes: Sequence[tuple[int, bytes]] = (), part: pb.StatePart = pb.STATE_PART_UNSPECIFIED
        ) -> pb.FollowChangesResponse:
            records = [pb.ReplicatedChange(sequence=number, record=record) for number, record in changes]
            return pb.FollowChangesResponse(
                catalogue_id=catalogue_id, writer_sequence=store.sequence, state_part=part, changes=records
            )

        open_feed = functools.partial(store.open_feed, request.catalogue_id, request.after_sequence)
        opening = asyncio.ensure_future(asyncio.to_thread(open_feed))
        try:
            # A large state takes longer to read than a follower waits in silence.
            while not opening.done():
                yield message()
                await asyncio.wait([opening], timeout=_SAY_EVERY_S)
            feed = opening.result()
            catalogue_id = feed.catalogue_id
            if feed.records is None:
                yield message(part=pb.STATE_PART_BEGIN)
                async for turn in _in_messages((feed.tap.after, to_bytes(change)) for change in feed.states):
                    yield message(turn, pb.STATE_PART_MIDDLE)
                yield message([(feed.tap.after, b"")], pb.STATE_PART_END)
            else:
                async for turn in _in_messages(feed.records):
                    yield message(turn)
            silent_s = _SAY_EVERY_S
            while store.identity.catalogue_id == catalogue_id and not feed.tap.overflowed:
                if self._stopping.is_set():
                    return
                changes = feed.tap.take()
                async for turn in _in_messages((number, to_bytes(change)) for number, change in changes):
                    yield message(turn)
                if not changes and silent_s >= _SAY_EVERY_S:
                    yield message()
                silent_s = 0.0 if changes or silent_s >= _SAY_EVERY_S else silent_s + _LOOK_EVERY_S
                await asyncio.sleep(_LOOK_EVERY_S)
            raise Overloaded("the follower took the changes too slowly, or the catalogue was replaced; call again")
        finally:
            close_once_open(store, opening, lambda feed: feed.tap)


async def _in_messages(changes: Iterable[tuple[int, bytes]]) -> AsyncIterator[list[tuple[int, bytes]]]:
    """Yields changes in lists that fit a message, each made in a thread."""
    turns = _turns(changes)
    while (turn := await asyncio.to_thread(next, turns, None)) is not None:
        yield turn


def _turns(changes: Iterable[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """Yields changes in lists that fit a message."""
    turn: list[tuple[int, bytes]] = []
    size = 0
    for number, record in changes:
        if turn and (len(turn) == _MOST_CHANGES or size + len(record) > _MOST_BYTES):
            yield turn
            turn, size = [], 0
        turn.append((number, record))
        size += len(record)
    if turn:
        yield turn
