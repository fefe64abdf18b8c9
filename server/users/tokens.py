"""Tokens: one says which store acknowledged which events, another which place of which list an event came from."""

import base64
import binascii
import struct
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

from domain.errors import FieldViolation, InvalidRequest

_EVENT_TOKEN = struct.Struct(">8sq")
_SEPARATOR = ":"


@lru_cache(maxsize=64)
def _quoted(text: str) -> str:
    """Returns a part of a token; those of a reply's items are the same but for the rank."""
    return quote(text, safe="")


@dataclass(frozen=True, slots=True)
class EventToken:
    """Acknowledged events.

    Attributes:
        store_id: 8 bytes, of the store that has them.
        version: of the record that holds them; 0 where the token stands for many.
    """

    store_id: bytes
    version: int

    def text(self) -> str:
        """Returns what a caller passes on."""
        return base64.urlsafe_b64encode(_EVENT_TOKEN.pack(self.store_id, self.version)).decode().rstrip("=")

    @classmethod
    def of(cls, text: str) -> "EventToken":
        """Reads one.

        Raises:
            InvalidRequest: it is not a token.
        """
        try:
            return cls(*_EVENT_TOKEN.unpack(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
        except (binascii.Error, struct.error, ValueError) as error:
            raise InvalidRequest(
                FieldViolation("event_token", "is not a token of RecordEvents; pass one on as it came")
            ) from error


@dataclass(frozen=True, slots=True)
class Attribution:
    """Place of a list that an event came from.

    Attributes:
        rank: from 1.
        source: that recalled the item best.
        release_id: that answered.
        request_id: of the reply.
    """

    rank: int
    source: str
    release_id: str
    request_id: str

    def text(self) -> str:
        """Returns what a caller passes on."""
        return _SEPARATOR.join(
            ("1", str(self.rank), _quoted(self.source), _quoted(self.release_id), _quoted(self.request_id))
        )

    @classmethod
    def of(cls, text: str) -> "Attribution | None":
        """Reads one; None where it is not one."""
        parts = text.split(_SEPARATOR)
        if len(parts) != 5 or parts[0] != "1" or not parts[1].isdecimal():
            return None
        return cls(int(parts[1]), *(unquote(part) for part in parts[2:]))
