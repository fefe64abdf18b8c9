"""The seam of the store: one record a user, one read a request. `sqlite_store` and `redis_store` stand behind it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from server.users.record import Appended, NewEvent, Retention, UserRecord


@dataclass(frozen=True, slots=True)
class Append:
    """Events of one user or session to store together.

    Attributes:
        pseudonym: 16 bytes, see `Pseudonyms`.
        events: all of them are stored or, with a conflict, none.
        retention: what is kept afterwards.
    """

    pseudonym: bytes
    events: Sequence[NewEvent]
    retention: Retention


@dataclass(frozen=True, slots=True)
class RecordVersion:
    """The state of a record, without its events.

    Attributes:
        pseudonym: of the user or session, or of what lists showed to it.
        version: see `UserRecord`.
        oldest_s: see `UserRecord`.
    """

    pseudonym: bytes
    version: int
    oldest_s: float


class UserStore(Protocol):
    """Records by pseudonym. Every gateway on one store sees what any of them stored, at once."""

    @property
    def store_id(self) -> bytes:
        """8 bytes, the same for every gateway on this store, in tokens."""

    @property
    def durable(self) -> bool:
        """True where what was acknowledged survives the loss of power."""

    async def read(self, pseudonyms: Sequence[bytes]) -> list[UserRecord | None]:
        """Returns the records, None for each that there is none of.

        Raises:
            StoreUnavailable: the store is locked, gone or corrupt.
        """

    async def append(self, change: Append) -> Appended:
        """Stores events; returns when they are durable.

        Raises:
            EventConflict: an id is kept with other content.
            StoreFull, StoreUnavailable: nothing was stored.
        """

    async def merge(self, source: bytes, target: bytes, retention: Retention) -> Appended | None:
        """Gives the events of one record to another and forgets it; None where there is none.

        Raises:
            StoreFull, StoreUnavailable: nothing was changed.
        """

    async def delete(self, pseudonyms: Sequence[bytes]) -> bool:
        """Forgets records for good; returns whether there was one. Nothing of them is left in the store's files.

        Raises:
            StoreUnavailable: they may be left.
        """

    async def sweep(self, retention: Retention, shown: Retention, now_s: float) -> int:
        """Drops what is older than may be kept; returns how many records changed. Damaged ones are told and left.

        Args:
            retention: of records of events.
            shown: of records of what lists showed.
            now_s: seconds since 1970.

        Raises:
            StoreUnavailable: see `read`.
        """

    def scan(self) -> AsyncIterator[tuple[bytes, UserRecord]]:
        """Yields every record with its pseudonym, in no order.

        Raises:
            StoreUnavailable: see `read`.
        """

    def versions(self) -> AsyncIterator[Sequence[RecordVersion]]:
        """Yields the state of every record, some at a time, in no order, without reading events.

        Raises:
            StoreUnavailable: see `read`.
        """

    async def aclose(self) -> None:
        """Stores what waits, and ends."""


def tell_damaged(pseudonym: bytes, error: Exception) -> None:
    """Logs a record that is passed over; the others are gone on with."""
    structlog.get_logger("events").warning("a record is passed over", pseudonym=pseudonym.hex(), cause=str(error))
