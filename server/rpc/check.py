"""Limits of requests, and the violations of one."""

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from domain.errors import FieldViolation, InvalidRequest
from domain.item import ID_LIMIT_BYTES
from domain.text import is_visible
from domain.timestamp import FIRST_SECOND, LAST_SECOND
from server.rpc.fixed_limits import MOST_VIOLATIONS

# A status travels in the trailing metadata, of which gRPC allows 8 KiB, and holds each violation twice.
_MOST_BYTES = 2_400


@dataclass(frozen=True)
class RequestLimits:
    """Limits of one request, named as in the settings."""

    default_k: int
    max_k: int
    max_text_bytes: int
    max_events: int
    max_item_ids: int
    max_exclusions: int
    max_candidates: int
    max_conditions: int
    max_condition_values: int
    max_item_attributes: int
    max_batch_requests: int
    max_batch_items: int
    max_embed_texts: int


class Check:
    """The first violations of a request, so that a caller gets all of them at once."""

    def __init__(self) -> None:
        self._violations: list[FieldViolation] = []
        self._bytes = 0

    def that(self, holds: object, field: str, description: str) -> bool:
        """Notes a violation where something does not hold; returns whether it does."""
        if not holds and len(self._violations) < MOST_VIOLATIONS:
            self._bytes += len(field.encode()) + len(description.encode())
            if self._bytes <= _MOST_BYTES or not self._violations:
                self._violations.append(FieldViolation(field, description))
        return bool(holds)

    def count(self, values: object, most: int, field: str) -> bool:
        """Checks a number of entries."""
        count = len(values)  # type: ignore[arg-type]
        # Words are put together for violations alone: they take longer than all the checks of a request.
        return count <= most or self.that(False, field, f"at most {most:,} entries, found {count:,}")

    def text(self, text: str, most_bytes: int, field: str) -> None:
        """Checks a text."""
        size = len(text.encode())
        if size > most_bytes:
            self.that(False, field, f"at most {most_bytes:,} bytes of UTF-8, found {size:,}")
        self.that(is_visible(text), field, "must not be blank; leave the field out instead")
        self.that("\0" not in text, field, "must not hold NUL")

    def time(self, time: Timestamp, field: str) -> bool:
        """Checks a time."""
        fits = 0 <= time.nanos < 1_000_000_000 and FIRST_SECOND <= time.seconds <= LAST_SECOND
        return self.that(fits, field, "must be a valid Timestamp (years 1 to 9999)")

    def share(self, value: float, field: str) -> None:
        """Checks a number from 0 to 1."""
        if not 0 <= value <= 1:
            self.that(False, field, f"must lie between 0 and 1, found {value}")

    def item_id(self, item_id: str, field: str) -> bool:
        """Checks an id."""
        # A character has at most four bytes, so short ids need no encoding.
        fits = item_id and (4 * len(item_id) <= ID_LIMIT_BYTES or len(item_id.encode()) <= ID_LIMIT_BYTES)
        return bool(fits) or self.that(False, field, f"an id has 1 to {ID_LIMIT_BYTES} bytes")

    def ids(self, ids: Iterable[str], field: str) -> None:
        """Checks until the first bad id: thousands of equal violations help nobody."""
        for number, item_id in enumerate(ids):
            unsure = not item_id or 4 * len(item_id) > ID_LIMIT_BYTES
            if unsure and not self.item_id(item_id, f"{field}[{number}]"):
                return

    def raise_any(self) -> None:
        """Raises InvalidRequest with all violations, if any."""
        if self._violations:
            raise InvalidRequest(*self._violations)
