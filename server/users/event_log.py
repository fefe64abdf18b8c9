"""The log of users' events: the store, with pseudonyms, masks, tokens and a cache of read histories in front."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from core.retrieval.choice_counts import ChoiceCounts
from domain.errors import ConfigurationError, FieldViolation, InvalidRequest, StoreUnavailable
from domain.user_history import Caller, UserHistory
from server.users.choices import ChoiceReader
from server.users.feature_log import FeatureLog
from server.users.masking import masked
from server.users.outcomes import DAY_S, ShownItems, shown_items
from server.users.pseudonyms import Pseudonyms
from server.users.read_records import ReadRecords
from server.users.record import NewEvent, id_digest
from server.users.replies import RecentReplies
from server.users.settings import EventSettings
from server.users.store import Append, UserStore
from server.users.tokens import Attribution, EventToken
from shortlist.v1 import event_pb2

_REOPEN_S = 1.0
_SWEEP_S = 3_600.0
_READ_AT_ONCE = 100
# No request takes longer.
_LONGEST_CALL_S = 600.0


class EventObserver(Protocol):
    """Counter of events."""

    def event_recorded(self, kind: str, place: Attribution | None) -> None:
        """Counts one event that was stored, and the place of the list that led to it."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Acknowledgement of events.

    Attributes:
        recorded: events stored.
        duplicates: events that were kept already.
        token: for requests that must see them.
        durable: whether they survive the loss of power.
        expired: events that were not stored since they are older than is kept.
        places: of the events stored, among those given.
    """

    recorded: int
    duplicates: int
    token: str
    durable: bool
    expired: int = 0
    places: tuple[int, ...] = ()


@dataclass(frozen=True)
class StoredUser:
    """The stored history of a user, as a request uses it.

    Attributes:
        history: their events.
        shown: ids of items that lists showed, where the request asked for them.
    """

    history: UserHistory = field(default_factory=UserHistory)
    shown: frozenset[str] = frozenset()


class EventLog:
    """The stored events of users."""

    def __init__(
        self,
        open_store: Callable[[], Awaitable[UserStore]],
        pseudonyms: Pseudonyms,
        settings: EventSettings,
        features: FeatureLog | None = None,
    ) -> None:
        """Keeps the parts; `open` starts.

        Args:
            open_store: opens the store; it is tried again where the store is away.
            pseudonyms: the key.
            settings: how events are kept.
            features: of served items; None where none are logged.
        """
        self.settings = settings
        self.features = features
        self._open_store = open_store
        self._pseudonyms = pseudonyms
        self._store: UserStore | None = None
        self._problem: StoreUnavailable | None = None
        self._started = False
        self._tried_s = float("-inf")
        self._opening = asyncio.Lock()
        self._choices = ChoiceReader()
        self._read = ReadRecords(settings.retention, settings.shown_retention)
        # When users were forgotten, by pseudonym, oldest first; infinity while they are.
        self._forgotten: OrderedDict[bytes, float] = OrderedDict()
        self._log = structlog.get_logger("events")

    async def open(self) -> None:
        """Opens the store; one that is away does not keep the gateway from serving: it is tried again with each call.

        Raises:
            ConfigurationError: it can never be used as it is set up.
        """
        try:
            await self._opened()
        except StoreUnavailable as error:
            self._log.warning("the store of events cannot be used", cause=str(error))
        self._started = True

    async def aclose(self) -> None:
        """Stores what waits, and ends."""
        if self.features is not None:
            await self.features.flush()
        if self._store is not None:
            await self._store.aclose()

    def prepared(
        self, events: Sequence[event_pb2.Event], now_s: float, replies: RecentReplies | None = None
    ) -> list[NewEvent]:
        """Returns checked events as they are stored: with a time, texts masked or left out. Thread-safe.

        Args:
            events: as they came.
            now_s: the time of arrival, seconds since 1970.
            replies: tell where events came from that name a request and a rank.
        """
        return [self._prepared(event, now_s, replies) for event in events]

    async def record(self, caller: Caller, events: Sequence[NewEvent]) -> Recorded:
        """Stores events.

        Raises:
            EventConflict, StoreFull, StoreUnavailable: nothing was stored.
        """
        store = await self._opened()
        done = await store.append(Append(self._pseudonyms.of(caller), events, self.settings.retention))
        token = EventToken(store.store_id, done.record.version).text()
        return Recorded(done.recorded, done.duplicates, token, store.durable, done.expired, done.places)

    async def user(self, caller: Caller, event_token: str = "", *, with_shown: bool = False) -> StoredUser:
        """Returns what is kept of a user, with one read.

        Args:
            caller: the user or session.
            event_token: of events that it must hold.
            with_shown: whether to read what lists showed too.

        Raises:
            InvalidRequest: the token is another store's.
            StoreUnavailable: nothing can be read.
        """
        store = await self._opened()
        name = self._pseudonyms.of(caller)
        token = EventToken.of(event_token) if event_token else None
        if token is not None and token.store_id != store.store_id:
            raise InvalidRequest(
                FieldViolation("event_token", "is another store's; pass it to a gateway on that store")
            )
        shown_name = self._pseudonyms.shown(name)
        records = await store.read((name, shown_name) if with_shown else (name,))
        history = self._read.history(name, records[0])
        if not with_shown:
            return StoredUser(history)
        return StoredUser(history, await self._read.shown(shown_name, records[1]))

    async def events(self, caller: Caller) -> tuple[list[event_pb2.Event], int, float | None]:
        """Returns the events kept, by time; how many items lists showed; and when something was last stored."""
        store = await self._opened()
        name = self._pseudonyms.of(caller)
        shown_name = self._pseudonyms.shown(name)
        record, shown_record = await store.read((name, shown_name))
        shown = await self._read.shown(shown_name, shown_record)
        if record is None:
            return [], len(shown), None
        return self._read.events(record), len(shown), record.version / 1e6

    async def forget(self, caller: Caller) -> bool:
        """Forgets a user or session for good; returns whether anything was kept.

        Raises:
            StoreUnavailable: something may be left.
        """
        store = await self._opened()
        name = self._pseudonyms.of(caller)
        shown = self._pseudonyms.shown(name)
        self._forgotten[name] = math.inf
        self._read.drop(name)
        self._read.drop(shown)
        self._choices.forget(name)
        try:
            found = await store.delete((name, shown))
            await self._forget_features((name,))
        finally:
            self._note_forgotten(name)
        return found

    def forgotten_since(self, caller: Caller, started_s: float) -> bool:
        """Returns whether a user was forgotten after a request began, whose reply must then leave no trace of them.

        Args:
            caller: the user or session.
            started_s: by `time.monotonic`.
        """
        return bool(self._forgotten) and self._forgotten.get(self._pseudonyms.of(caller), -math.inf) >= started_s

    def _note_forgotten(self, name: bytes) -> None:
        now_s = time.monotonic()
        self._forgotten[name] = now_s
        self._forgotten.move_to_end(name)
        while next(iter(self._forgotten.values())) < now_s - _LONGEST_CALL_S:
            self._forgotten.popitem(last=False)

    async def merge(self, session_id: str, user_id: str) -> Recorded:
        """Gives a session's events to a user, and what lists showed to it.

        Raises:
            StoreFull, StoreUnavailable: see `UserStore.merge`.
        """
        store = await self._opened()
        session, user = self._pseudonyms.session(session_id), self._pseudonyms.user(user_id)
        await store.merge(self._pseudonyms.shown(session), self._pseudonyms.shown(user), self.settings.shown_retention)
        done = await store.merge(session, user, self.settings.retention)
        if self.features is not None:
            try:
                await self.features.move(session, user)
            except OSError as error:
                self._log.warning("served features of a session were not given to its user", cause=str(error))
        self._read.drop(session)
        self._choices.forget(session)
        version = 0 if done is None else done.record.version
        return Recorded(
            0 if done is None else done.recorded, 0, EventToken(store.store_id, version).text(), store.durable
        )

    async def choices(self, since_s: float) -> ChoiceCounts:
        """Returns what users chose, see `ChoiceReader.counted`."""
        store = await self._opened()
        return await self._choices.counted(store, since_s, self.settings.retention.oldest_s(time.time()))

    async def shown_items(self, release_id: str) -> ShownItems:
        """Returns the items of logged replies of a release that were shown a day ago and more, and their outcome.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        if self.features is None:
            return ShownItems()
        store = await self._opened()
        try:
            return await shown_items(store, self.features, self._pseudonyms, release_id, time.time() - DAY_S)
        except (OSError, ValueError) as error:
            raise StoreUnavailable(f"the log of served features cannot be read: {error}") from error

    async def show(self, caller: Caller, item_ids: Sequence[str]) -> None:
        """Remembers that a list showed items.

        Raises:
            StoreFull, StoreUnavailable: it is not remembered.
        """
        store = await self._opened()
        now_s = time.time()
        events = [self._shown_event(item_id, now_s) for item_id in item_ids]
        name = self._pseudonyms.shown(self._pseudonyms.of(caller))
        await store.append(Append(name, events, self.settings.shown_retention))

    async def sweep(self) -> None:
        """Drops what is older than may be kept, now and every hour, until cancelled."""
        while True:
            try:
                store = await self._opened()
                changed = await store.sweep(self.settings.retention, self.settings.shown_retention, time.time())
                if changed:
                    self._log.info("dropped old events", users=changed)
                await self._forget_gone(store)
            except Exception as error:
                self._log.warning("old events could not be dropped", exc_info=error)
            await asyncio.sleep(_SWEEP_S)

    async def _forget_features(self, names: Collection[bytes]) -> None:
        if self.features is None or not names:
            return
        try:
            await self.features.forget(names)
        except OSError as error:
            raise StoreUnavailable(
                f"what was served to the user may still be in the log of features: {error.strerror or error}"
            ) from error

    async def _forget_gone(self, store: UserStore) -> None:
        """Erases from the log of features who is not in the store any more: another gateway may have forgotten them."""
        if self.features is None:
            return
        names = list(await self.features.users())
        gone: list[bytes] = []
        for start in range(0, len(names), _READ_AT_ONCE):
            part = names[start : start + _READ_AT_ONCE]
            gone += [name for name, record in zip(part, await store.read(part), strict=True) if record is None]
        await self._forget_features(gone)

    def token(self) -> str:
        """Returns a token for everything acknowledged so far."""
        return EventToken(self._store.store_id if self._store is not None else b"\0" * 8, 0).text()

    async def _opened(self) -> UserStore:
        if self._store is not None:
            return self._store
        async with self._opening:
            if self._store is not None:
                return self._store
            if self._problem is not None and time.monotonic() - self._tried_s < _REOPEN_S:
                raise StoreUnavailable(str(self._problem))
            self._tried_s = time.monotonic()
            try:
                self._store = await self._open_store()
            except StoreUnavailable as error:
                self._problem = error
                raise
            except ConfigurationError as error:
                if not self._started:
                    raise
                # The gateway serves: a store that came back otherwise than it should be is one that is away.
                self._problem = StoreUnavailable(str(error))
                raise self._problem from error
            return self._store

    def _prepared(self, event: event_pb2.Event, now_s: float, replies: RecentReplies | None) -> NewEvent:
        content = self._pseudonyms.content(event.SerializeToString(deterministic=True)) if event.event_id else b""
        stored = event_pb2.Event()
        stored.CopyFrom(event)
        if not event.HasField("time") or event.time.seconds > now_s:
            stored.time.FromNanoseconds(int(now_s * 1e9))
        for field_name in ("comment", "text"):
            text = getattr(event, field_name)
            if text:
                setattr(stored, field_name, masked(text) if self.settings.keep_texts else "")
        if stored.item_title:
            stored.item_title = masked(stored.item_title)
        if replies is not None and event.rank and event.request_id and not event.attribution_token:
            place = replies.attribution(event.request_id, event.rank)
            stored.attribution_token = "" if place is None else place.text()
        time_s = stored.time.seconds + stored.time.nanos / 1e9
        return NewEvent(
            stored.SerializeToString(), id_digest(event.event_id) if event.event_id else b"", content, time_s
        )

    def _shown_event(self, item_id: str, now_s: float) -> NewEvent:
        event = event_pb2.Event(item_id=item_id, kind=event_pb2.EVENT_KIND_IMPRESSION)
        event.time.FromNanoseconds(int(now_s * 1e9))
        return NewEvent(event.SerializeToString(), b"", b"", now_s)
