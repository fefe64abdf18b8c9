"""The names that requests and replies use: those of the contract, so `EventKind.VIEW` is "EVENT_KIND_VIEW"."""

import enum

from typing_extensions import Self


class WireEnum(str, enum.Enum):  # noqa: UP042 -- StrEnum came with Python 3.11
    """Names of the contract. A member is also found by its short name: `EventKind("VIEW")`."""

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls.__members__.get(value) if isinstance(value, str) else None


class OpenEnum(WireEnum):
    """Names that a newer gateway may add to: a name this client does not know becomes a member of that name.

    Compare members with `==`: a member made for an unknown name is a new object each time.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        known = super()._missing_(value)
        if known is not None or not isinstance(value, str):
            return known
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member


class EventKind(WireEnum):
    """The kind of an event: an action of a user on an item, or something that they said."""

    VIEW = "EVENT_KIND_VIEW"
    CLICK = "EVENT_KIND_CLICK"
    LIKE = "EVENT_KIND_LIKE"
    FAVOURITE = "EVENT_KIND_FAVOURITE"
    CART = "EVENT_KIND_CART"
    BUY = "EVENT_KIND_BUY"
    PLAY = "EVENT_KIND_PLAY"
    FINISH = "EVENT_KIND_FINISH"
    SHARE = "EVENT_KIND_SHARE"
    COMMENT = "EVENT_KIND_COMMENT"
    DISLIKE = "EVENT_KIND_DISLIKE"
    IMPRESSION = "EVENT_KIND_IMPRESSION"
    """Saw it in a list."""
    NOT_HELPFUL = "EVENT_KIND_NOT_HELPFUL"
    """Said that the item's explanation was not helpful."""
    SEARCH = "EVENT_KIND_SEARCH"
    """Searched for, or said, `text`; there is no item."""


class HistoryEncoding(WireEnum):
    """The way in which events and liked items become a query."""

    VECTORS = "HISTORY_ENCODING_VECTORS"
    """The centred mean of the items' own vectors; no encoder call, any language. What the gateway does by default."""
    TEXT = "HISTORY_ENCODING_TEXT"
    """The history told as one sentence and encoded as text."""


class TextInterpretation(WireEnum):
    """The use of the wishes that a text names."""

    PREFER = "TEXT_INTERPRETATION_PREFER"
    """Items that meet them come first. What the gateway does by default."""
    ENFORCE = "TEXT_INTERPRETATION_ENFORCE"
    """Items that do not meet them are left out."""
    OFF = "TEXT_INTERPRETATION_OFF"
    """Nothing is understood: the text is only matched by words and meaning."""


class TextRole(WireEnum):
    """The role of a text for the encoder."""

    QUERY = "TEXT_ROLE_QUERY"
    """A text that a user writes or searches for."""
    PASSAGE = "TEXT_ROLE_PASSAGE"
    """An item's own text."""


class VectorFormat(WireEnum):
    """The form of vectors on the wire; whatever it is, `Embedding.vector` has float32 numbers."""

    FLOAT32 = "VECTOR_FORMAT_FLOAT32"
    """4 bytes a number. What the gateway does by default."""
    FLOAT16 = "VECTOR_FORMAT_FLOAT16"
    """2 bytes a number; each is within 2^-12 of the float32 one."""
    INT8 = "VECTOR_FORMAT_INT8"
    """1 byte a number; each is within 1/254 of the vector's largest one."""


class RecallSource(OpenEnum):
    """The recall source of a candidate."""

    SEMANTIC_TEXT = "RECALL_SOURCE_SEMANTIC_TEXT"
    SEMANTIC_HISTORY = "RECALL_SOURCE_SEMANTIC_HISTORY"
    LEXICAL = "RECALL_SOURCE_LEXICAL"
    COLLABORATIVE = "RECALL_SOURCE_COLLABORATIVE"
    FRESH = "RECALL_SOURCE_FRESH"
    TRENDING = "RECALL_SOURCE_TRENDING"
    CATEGORY_POPULAR = "RECALL_SOURCE_CATEGORY_POPULAR"
    SIMILAR_USERS = "RECALL_SOURCE_SIMILAR_USERS"
    POPULAR = "RECALL_SOURCE_POPULAR"
    FILL = "RECALL_SOURCE_FILL"
    USER_TOWER = "RECALL_SOURCE_USER_TOWER"
    NEXT_ITEM = "RECALL_SOURCE_NEXT_ITEM"


class ArrangementRule(OpenEnum):
    """The rule that gave an item its place, or kept it from a better one."""

    PIN = "ARRANGEMENT_RULE_PIN"
    BOOST = "ARRANGEMENT_RULE_BOOST"
    CAP = "ARRANGEMENT_RULE_CAP"
    DIVERSITY = "ARRANGEMENT_RULE_DIVERSITY"
    NEW = "ARRANGEMENT_RULE_NEW"
    EXPLORATION = "ARRANGEMENT_RULE_EXPLORATION"
    NOVELTY = "ARRANGEMENT_RULE_NOVELTY"


class DegradationReason(OpenEnum):
    """In what way a reply is worse than a full one."""

    ENCODER_LANGUAGE_UNSUPPORTED = "DEGRADATION_REASON_ENCODER_LANGUAGE_UNSUPPORTED"
    ENCODER_UNAVAILABLE = "DEGRADATION_REASON_ENCODER_UNAVAILABLE"
    TEXT_TRUNCATED = "DEGRADATION_REASON_TEXT_TRUNCATED"
    EXPLANATION_SKIPPED = "DEGRADATION_REASON_EXPLANATION_SKIPPED"
    RANKER_UNAVAILABLE = "DEGRADATION_REASON_RANKER_UNAVAILABLE"
    USER_TOWER_UNAVAILABLE = "DEGRADATION_REASON_USER_TOWER_UNAVAILABLE"
    NOTHING_RELEVANT = "DEGRADATION_REASON_NOTHING_RELEVANT"
    COLD_START = "DEGRADATION_REASON_COLD_START"
    OVERLOADED = "DEGRADATION_REASON_OVERLOADED"
    ARRANGEMENT_LIMITED = "DEGRADATION_REASON_ARRANGEMENT_LIMITED"
    USER_HISTORY_UNAVAILABLE = "DEGRADATION_REASON_USER_HISTORY_UNAVAILABLE"


class ChangeOutcome(OpenEnum):
    """Fate of a change of the catalogue."""

    APPLIED = "CHANGE_OUTCOME_APPLIED"
    """It is on the disk, and seen by the next request."""
    UNCHANGED = "CHANGE_OUTCOME_UNCHANGED"
    """This version, or a later one, was stored already; or there was nothing to delete or to set."""
    REFUSED = "CHANGE_OUTCOME_REFUSED"
    """It was refused; see the error."""


class ErrorReason(OpenEnum):
    """Reason for the refusal of a call."""

    UNSPECIFIED = "ERROR_REASON_UNSPECIFIED"
    """The gateway gave no reason; most often it was not reached."""
    INVALID_FIELD = "ERROR_REASON_INVALID_FIELD"
    NOTHING_TO_GO_ON = "ERROR_REASON_NOTHING_TO_GO_ON"
    MALFORMED_MESSAGE = "ERROR_REASON_MALFORMED_MESSAGE"
    NOT_SERVED = "ERROR_REASON_NOT_SERVED"
    DEADLINE_EXCEEDED = "ERROR_REASON_DEADLINE_EXCEEDED"
    OVERLOADED = "ERROR_REASON_OVERLOADED"
    ENCODER_UNAVAILABLE = "ERROR_REASON_ENCODER_UNAVAILABLE"
    NO_RELEASE = "ERROR_REASON_NO_RELEASE"
    INTERNAL = "ERROR_REASON_INTERNAL"
    REPLY_TOO_LARGE = "ERROR_REASON_REPLY_TOO_LARGE"
    QUOTA_EXCEEDED = "ERROR_REASON_QUOTA_EXCEEDED"
    UNKNOWN_SCENE = "ERROR_REASON_UNKNOWN_SCENE"
    UNAUTHENTICATED = "ERROR_REASON_UNAUTHENTICATED"
    PERMISSION_DENIED = "ERROR_REASON_PERMISSION_DENIED"
    ITEM_NOT_FOUND = "ERROR_REASON_ITEM_NOT_FOUND"
    STORAGE = "ERROR_REASON_STORAGE"
    RELEASE_REJECTED = "ERROR_REASON_RELEASE_REJECTED"
    FOLLOWER = "ERROR_REASON_FOLLOWER"
    STORE_UNAVAILABLE = "ERROR_REASON_STORE_UNAVAILABLE"
    STORE_FULL = "ERROR_REASON_STORE_FULL"
    EVENT_CONFLICT = "ERROR_REASON_EVENT_CONFLICT"


class HealthStatus(OpenEnum):
    """The health of a service of the gateway (`grpc.health.v1`)."""

    UNKNOWN = "UNKNOWN"
    SERVING = "SERVING"
    NOT_SERVING = "NOT_SERVING"
    SERVICE_UNKNOWN = "SERVICE_UNKNOWN"
