"""Client of the Shortlist recommender gateway: text in, ranked items out."""

from shortlist.async_client import AsyncClient
from shortlist.channel import Tls
from shortlist.client import Client
from shortlist.enums import (
    DegradationReason,
    ErrorReason,
    EventKind,
    HealthStatus,
    HistoryEncoding,
    RecallSource,
    TextRole,
)
from shortlist.errors import (
    DeadlineExceeded,
    GatewayFault,
    InvalidRequest,
    MessageTooLarge,
    NotServed,
    Overloaded,
    ShortlistCallError,
    Unavailable,
)
from shortlist.requests import AnyOf, Condition, Equals, Event, Range, RecommendRequest, TimeRange
from shortlist.results import (
    AttributeValue,
    Degradation,
    Embedding,
    Embeddings,
    EntryError,
    Explanation,
    FieldViolation,
    ItemDetails,
    Provenance,
    RankedItem,
    Shortlist,
    StageTimes,
)
from shortlist.retry import Retry

__all__ = [
    "AnyOf",
    "AsyncClient",
    "AttributeValue",
    "Client",
    "Condition",
    "DeadlineExceeded",
    "Degradation",
    "DegradationReason",
    "Embedding",
    "Embeddings",
    "EntryError",
    "Equals",
    "ErrorReason",
    "Event",
    "EventKind",
    "Explanation",
    "FieldViolation",
    "GatewayFault",
    "HealthStatus",
    "HistoryEncoding",
    "InvalidRequest",
    "ItemDetails",
    "MessageTooLarge",
    "NotServed",
    "Overloaded",
    "Provenance",
    "Range",
    "RankedItem",
    "RecallSource",
    "RecommendRequest",
    "Retry",
    "Shortlist",
    "ShortlistCallError",
    "StageTimes",
    "TextRole",
    "TimeRange",
    "Tls",
    "Unavailable",
]
