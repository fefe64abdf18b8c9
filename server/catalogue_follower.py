"""Follower of another gateway's catalogue: takes its changes in order, onto the disk and into the live release."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import grpc
import structlog

from domain.errors import ConfigurationError, EncoderUnavailable, ShortlistError, StorageError
from server.catalogue.change import Change, from_bytes
from server.catalogue.draft import Replica
from server.catalogue.live_catalogue import LiveCatalogue
from server.catalogue.store import CatalogueStore
from server.observability.logs import message_of
from server.release.live_release import LiveRelease
from server.release.serving import LiveServing, changed_segment, embedded_in_order
from shortlist.channel import Tls, open_async_channel
from shortlist.v1 import replication_pb2 as pb
from shortlist.v1 import replication_pb2_grpc as pb_grpc

# The writer says something every second.
_SILENT_S = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


class FollowObserver(Protocol):
    """Receiver of a follower's state."""

    def following(self, *, connected: bool, lag_changes: int, behind_s: float) -> None:
        """Receives whether the writer answers, and how far behind it this gateway is.

        Args:
            connected: whether changes come.
            lag_changes: changes of the writer that are not shown here yet.
            behind_s: seconds since this gateway last had them all.
        """


@dataclass(frozen=True)
class Writer:
    """The gateway that is followed.

    Attributes:
        address: HOST:PORT.
        key: API key or token with the scope `replicate`; empty for none.
        ca: PEM of who signed its certificate; None for plaintext.
    """

    address: str
    key: str = ""
    ca: bytes | None = None

    @classmethod
    def read(cls, address: str, key_file: Path | None, ca_file: Path | None) -> "Writer":
        """Reads the key and the certificate.

        Raises:
            ConfigurationError: a file cannot be read, or has no key.
        """
        try:
            key = "" if key_file is None else key_file.read_text("utf-8").strip()
            ca = None if ca_file is None else ca_file.read_bytes()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"follow_key_file or follow_ca cannot be read: {error}") from error
        if key_file is not None and not key:
            raise ConfigurationError(
                f"follow_key_file {key_file} is empty; put a key in it that the writer's "
                "`shortlist key add NAME --scopes replicate --keys KEYS` printed"
            )
        return cls(address, key, ca)

    def messages(self, request: pb.FollowChangesRequest) -> AsyncIterator[pb.FollowChangesResponse]:
        """Yields what the writer sends; raises `grpc.aio.AioRpcError` and TimeoutError."""
        return _messages(self, request)


class CatalogueFollower:
    """Follows a writer, over breaks and restarts of both. Belongs to one event loop."""

    def __init__(
        self, writer: Writer, served: Callable[[], LiveServing], unreadable_limit: float, observer: FollowObserver
    ) -> None:
        """Keeps what it needs.

        Args:
            writer: to follow.
            served: returns what is served, over a store that follows.
            unreadable_limit: see `ReleaseLoader`.
            observer: takes the state.
        """
        self._writer = writer
        self._served = served
        self._unreadable_limit = unreadable_limit
        self._observer = observer
        self._log = structlog.get_logger("follower")
        self._whole_s = time.monotonic()
        self._state: dict[str, Change] | None = None

    async def run(self) -> None:
        """Follows until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            since_s = time.monotonic()
            try:
                await self._follow()
            except (grpc.aio.AioRpcError, TimeoutError, ShortlistError) as error:
                reason = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.aio.AioRpcError) else ""
                reason = reason or message_of(error) or "nothing came for too long"
                self._log.warning("the writer's changes do not come", writer=self._writer.address, error=reason)
            except Exception as error:
                self._log.error("following failed", writer=self._writer.address, exc_info=error)
            self._observer.following(connected=False, lag_changes=0, behind_s=time.monotonic() - self._whole_s)
            if time.monotonic() - since_s > _SILENT_S:
                pause_s = _FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _follow(self) -> None:
        store = self._store()
        self._state = None
        request = pb.FollowChangesRequest(
            catalogue_id=store.identity.catalogue_id if store.identity.is_copy else "", after_sequence=store.sequence
        )
        async for message in self._writer.messages(request):
            if message.state_part != pb.STATE_PART_UNSPECIFIED:
                await self._take_state(message)
            elif message.changes:
                await self._take(message.changes)
            if self._state is None:
                self._note(message.writer_sequence)

    def _note(self, writer_sequence: int) -> None:
        lag = max(0, writer_sequence - self._store().sequence)
        if not lag:
            self._whole_s = time.monotonic()
        self._observer.following(connected=True, lag_changes=lag, behind_s=time.monotonic() - self._whole_s)

    async def _take(self, records: Sequence[pb.ReplicatedChange]) -> None:
        """Takes changes that follow those that are here.

        Raises:
            StorageError: there is a gap, or they cannot be written.
            EncoderUnavailable: they are not of the live encoder, which is away.
        """
        store, served = self._store(), self._served()
        first = records[0].sequence
        if first != store.sequence + 1:
            raise StorageError(f"change {store.sequence + 1:,} is expected and {first:,} came; following begins again")
        changes = await asyncio.to_thread(lambda: [_change(record.record) for record in records])
        segment = store.current.segment
        ready = await embedded_in_order(served.release, changes, segment, self._unreadable_limit)
        await asyncio.wrap_future(store.submit([Replica(change) for change in ready]))

    async def _take_state(self, message: pb.FollowChangesResponse) -> None:
        """Collects a whole state, and replaces the copy with it."""
        if message.state_part == pb.STATE_PART_BEGIN:
            self._state = {}
        if self._state is None:
            raise StorageError("the state of the writer came without its beginning; following begins again")
        if message.state_part == pb.STATE_PART_MIDDLE:
            changes = await asyncio.to_thread(lambda: [_change(record.record) for record in message.changes])
            self._state.update((change.item_id, change) for change in changes)
        if message.state_part == pb.STATE_PART_END:
            states, self._state = self._state, None
            await self._begin_again(states, message.changes[0].sequence, message.catalogue_id)

    async def _begin_again(self, states: Mapping[str, Change], sequence: int, catalogue_id: str) -> None:
        store, release = self._store(), self._served().release
        if not store.identity.is_copy and store.sequence:
            kept = await asyncio.to_thread(store.keep_aside)
            self._log.warning("the changes of before are kept aside: the writer's take their place", folder=str(kept))
        shown = await self._shown(release, states)
        if self._served().release is not release:
            raise EncoderUnavailable("the release was switched meanwhile; following begins again")
        await asyncio.to_thread(store.begin_again, states, sequence, catalogue_id, shown)
        self._log.info("took the whole state of the writer", writer=self._writer.address, item_count=len(states))

    async def _shown(self, release: LiveRelease, states: Mapping[str, Change]) -> LiveCatalogue:
        segment = await changed_segment(release, states, self._unreadable_limit)
        return LiveCatalogue(segment, segment.view(), release.data.mean)

    def _store(self) -> CatalogueStore:
        store = self._served().store
        assert store is not None  # settings: a follower has one
        return store


async def _messages(writer: Writer, request: pb.FollowChangesRequest) -> AsyncIterator[pb.FollowChangesResponse]:
    tls = None if writer.ca is None else Tls(writer.ca)
    metadata = (("authorization", f"Bearer {writer.key}"),) if writer.key else ()
    async with open_async_channel(writer.address, tls) as channel:
        call = pb_grpc.ReplicationServiceStub(channel).FollowChanges(request, metadata=metadata, wait_for_ready=False)
        replies = call.__aiter__()
        while True:
            try:
                async with asyncio.timeout(_SILENT_S):
                    message = await anext(replies)
            except StopAsyncIteration:
                return
            yield message


def _change(record: bytes) -> Change:
    try:
        return from_bytes(record)
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"a change of the writer cannot be understood: {error}; is it of this version?") from error
