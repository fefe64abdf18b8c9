"""Request and answer of a recommendation, free of protobuf."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from domain.event import Event
from domain.item import Item
from domain.prompts import TextRole


class Source(StrEnum):
    """Recall source of a candidate."""

    SEMANTIC_TEXT = "semantic_text"
    SEMANTIC_HISTORY = "semantic_history"
    LEXICAL = "lexical"
    COLLABORATIVE = "collaborative"
    NEXT_ITEM = "next_item"
    USER_TOWER = "user_tower"
    POPULAR = "popular"
    FILL = "fill"


class DegradationReason(StrEnum):
    """Kind of degradation of a reply."""

    ENCODER_LANGUAGE_UNSUPPORTED = "encoder_language_unsupported"
    ENCODER_UNAVAILABLE = "encoder_unavailable"
    TEXT_TRUNCATED = "text_truncated"
    EXPLANATION_SKIPPED = "explanation_skipped"
    RANKER_UNAVAILABLE = "ranker_unavailable"
    USER_TOWER_UNAVAILABLE = "user_tower_unavailable"


@dataclass(frozen=True)
class Degradation:
    """Degradation of a reply, with cause and effect in a sentence."""

    reason: DegradationReason
    detail: str


@dataclass(frozen=True)
class AnyOf:
    """Condition that a string equals, or a list of strings holds, one of these."""

    values: frozenset[str]


@dataclass(frozen=True)
class Range:
    """Condition that a number lies between two ends, both included; None leaves an end open."""

    minimum: float | None
    maximum: float | None


@dataclass(frozen=True)
class TimeRange:
    """Condition that an instant lies between two ends, both included; None leaves an end open.

    Attributes:
        minimum: seconds since 1970 UTC and nanoseconds.
        maximum: the same.
    """

    minimum: tuple[int, int] | None
    maximum: tuple[int, int] | None


@dataclass(frozen=True)
class Equals:
    """Condition that a truth value equals this."""

    value: bool


@dataclass(frozen=True)
class Condition:
    """Condition on one attribute. An item without the attribute meets none, and every negated one."""

    attribute: str
    test: AnyOf | Range | TimeRange | Equals
    negate: bool = False


@dataclass(frozen=True)
class ItemMask:
    """Selection of an item's details for the reply.

    Attributes:
        fields: of `title`, `text`, `available`, `attributes`.
        attributes: single attributes by name.
    """

    fields: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class EmbedQuery:
    """Texts to encode.

    Attributes:
        texts: in the order of the answer.
        role: what they are, which chooses their prompt.
    """

    texts: tuple[str, ...]
    role: TextRole


@dataclass(frozen=True)
class RecommendQuery:
    """One checked request.

    Attributes:
        text: what the caller looks for; empty where not given.
        events: what the caller did.
        item_ids: items the caller likes.
        tell_history: whether the history is told as text instead of taken as vectors.
        exclude_item_ids: items that must not be returned.
        conditions: all must hold.
        k: how many items.
        explain: whether to say why.
        item_mask: details wanted; None for none.
        include_seen: whether the history's own items may be returned.
    """

    text: str = ""
    events: tuple[Event, ...] = ()
    item_ids: tuple[str, ...] = ()
    tell_history: bool = False
    exclude_item_ids: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    k: int = 10
    explain: bool = False
    item_mask: ItemMask | None = None
    include_seen: bool = False


@dataclass(frozen=True)
class SourceRank:
    """Rank of an item in one source.

    Attributes:
        source: name of the source, a value of `Source` for all that the contract names.
        rank: its place there, from 1.
        score: its score there.
    """

    source: str
    rank: int
    score: float


@dataclass(frozen=True)
class Explanation:
    """Explanation of a recommended item.

    Attributes:
        text: one English sentence.
        matched_terms: terms of the request's text that the item shares.
        because_of_item_id: the history's item that speaks most for it; empty where there is none.
        because_of_similarity: cosine to that item.
    """

    text: str
    matched_terms: tuple[str, ...] = ()
    because_of_item_id: str = ""
    because_of_similarity: float | None = None


@dataclass(frozen=True)
class RankedItem:
    """One item of a shortlist.

    Attributes:
        id: the item.
        rank: from 1.
        score: the final sort key, higher is better.
        similarity: cosine to the query; None where no query vector was made.
        provenance: every source that recalled it, best rank first.
        explanation: where asked for.
        item: details, where asked for.
        match_probability: that the caller would choose it, 0 to 1; None where no ranker was asked.
    """

    id: str
    rank: int
    score: float
    similarity: float | None
    provenance: tuple[SourceRank, ...]
    explanation: Explanation | None = None
    item: Item | None = None
    match_probability: float | None = None


@dataclass(frozen=True)
class StageTimes:
    """Seconds of each stage of one request.

    `tokenize`, `queue` and `triton` are parts of `represent`, `rank_triton` is a part of `rank`.
    """

    parse_s: float = 0.0
    represent_s: float = 0.0
    tokenize_s: float = 0.0
    queue_s: float = 0.0
    triton_s: float = 0.0
    recall_s: float = 0.0
    rank_s: float = 0.0
    rank_triton_s: float = 0.0
    explain_s: float = 0.0

    def by_stage(self) -> dict[str, float]:
        """Returns the seconds by the stages' names."""
        return {name.removesuffix("_s"): seconds for name, seconds in asdict(self).items()}


@dataclass(frozen=True)
class Recommendation:
    """The answer to a RecommendQuery.

    Attributes:
        items: best first.
        release_id: what answered.
        stage_times: where the time went.
        degradations: in what ways it is worse than a full answer.
        shortfall_count: items fewer than asked for.
        unknown_token_share: of the request's texts, 0 to 1.
        unknown_item_ids: ids that the catalogue does not have and that carry no title.
        recalled_counts: candidates by recall source.
    """

    items: tuple[RankedItem, ...]
    release_id: str
    stage_times: StageTimes
    degradations: tuple[Degradation, ...] = ()
    shortfall_count: int = 0
    unknown_token_share: float = 0.0
    unknown_item_ids: tuple[str, ...] = ()
    recalled_counts: Mapping[str, int] = field(default_factory=dict)
