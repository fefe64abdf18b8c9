"""The names that requests and replies use."""

import enum
from typing import Self


class OpenEnum(enum.StrEnum):
    """Names that a newer gateway may add to: a name this client does not know becomes a member of that name.

    Compare members with `==`: a member made for an unknown name is a new object each time.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member


class EventKind(enum.StrEnum):
    """The kind of an event: an action of a user on an item."""

    VIEW = "VIEW"
    CLICK = "CLICK"
    LIKE = "LIKE"
    FAVOURITE = "FAVOURITE"
    CART = "CART"
    BUY = "BUY"
    PLAY = "PLAY"
    FINISH = "FINISH"
    SHARE = "SHARE"
    COMMENT = "COMMENT"
    DISLIKE = "DISLIKE"


class HistoryEncoding(enum.StrEnum):
    """The way in which events and liked items become a query."""

    VECTORS = "VECTORS"
    """The centred mean of the items' own vectors; no encoder call, any language. What the gateway does by default."""
    TEXT = "TEXT"
    """The history told as one sentence and encoded as text."""


class TextInterpretation(enum.StrEnum):
    """The use of the wishes that a text names."""

    PREFER = "PREFER"
    """Items that meet them come first. What the gateway does by default."""
    ENFORCE = "ENFORCE"
    """Items that do not meet them are left out."""
    OFF = "OFF"
    """Nothing is understood: the text is only matched by words and meaning."""


class TextRole(enum.StrEnum):
    """The role of a text for the encoder."""

    QUERY = "QUERY"
    """A text that a user writes or searches for."""
    PASSAGE = "PASSAGE"
    """An item's own text."""


class RecallSource(OpenEnum):
    """The recall source of a candidate."""

    SEMANTIC_TEXT = "SEMANTIC_TEXT"
    SEMANTIC_HISTORY = "SEMANTIC_HISTORY"
    LEXICAL = "LEXICAL"
    COLLABORATIVE = "COLLABORATIVE"
    FRESH = "FRESH"
    POPULAR = "POPULAR"
    FILL = "FILL"
    USER_TOWER = "USER_TOWER"
    NEXT_ITEM = "NEXT_ITEM"


class DegradationReason(OpenEnum):
    """In what way a reply is worse than a full one."""

    ENCODER_LANGUAGE_UNSUPPORTED = "ENCODER_LANGUAGE_UNSUPPORTED"
    ENCODER_UNAVAILABLE = "ENCODER_UNAVAILABLE"
    TEXT_TRUNCATED = "TEXT_TRUNCATED"
    EXPLANATION_SKIPPED = "EXPLANATION_SKIPPED"
    RANKER_UNAVAILABLE = "RANKER_UNAVAILABLE"
    USER_TOWER_UNAVAILABLE = "USER_TOWER_UNAVAILABLE"
    NOTHING_RELEVANT = "NOTHING_RELEVANT"
    COLD_START = "COLD_START"


class ErrorReason(OpenEnum):
    """Reason for the refusal of a call."""

    UNSPECIFIED = "UNSPECIFIED"
    """The gateway gave no reason; most often it was not reached."""
    INVALID_FIELD = "INVALID_FIELD"
    NOTHING_TO_GO_ON = "NOTHING_TO_GO_ON"
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"
    NOT_SERVED = "NOT_SERVED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    OVERLOADED = "OVERLOADED"
    ENCODER_UNAVAILABLE = "ENCODER_UNAVAILABLE"
    NO_RELEASE = "NO_RELEASE"
    INTERNAL = "INTERNAL"
    REPLY_TOO_LARGE = "REPLY_TOO_LARGE"


class HealthStatus(OpenEnum):
    """The health of a service of the gateway (`grpc.health.v1`)."""

    UNKNOWN = "UNKNOWN"
    SERVING = "SERVING"
    NOT_SERVING = "NOT_SERVING"
    SERVICE_UNKNOWN = "SERVICE_UNKNOWN"
