"""Request and answer of a recommendation, free of protobuf."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from domain.condition import Condition
from domain.event import Event
from domain.interpretation import Interpretation, TextInterpretation
from domain.item import Item
from domain.prompts import TextRole

# How much a history counts beside a text where the caller does not say: the release's own strength.
DEFAULT_PERSONALIZATION = 0.5


class Source(StrEnum):
    """Recall source of a candidate."""

    SEMANTIC_TEXT = "semantic_text"
    SEMANTIC_HISTORY = "semantic_history"
    LEXICAL = "lexical"
    COLLABORATIVE = "collaborative"
    NEXT_ITEM = "next_item"
    USER_TOWER = "user_tower"
    POPULAR = "popular"
    FRESH = "fresh"
    FILL = "fill"


class DegradationReason(StrEnum):
    """Kind of degradation of a reply."""

    ENCODER_LANGUAGE_UNSUPPORTED = "encoder_language_unsupported"
    ENCODER_UNAVAILABLE = "encoder_unavailable"
    TEXT_TRUNCATED = "text_truncated"
    EXPLANATION_SKIPPED = "explanation_skipped"
    RANKER_UNAVAILABLE = "ranker_unavailable"
    USER_TOWER_UNAVAILABLE = "user_tower_unavailable"
    NOTHING_RELEVANT = "nothing_relevant"
    COLD_START = "cold_start"


@dataclass(frozen=True)
class Degradation:
    """Degradation of a reply, with cause and effect in a sentence."""

    reason: DegradationReason
    detail: str


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
class Page:
    """Continuation of a list.

    Attributes:
        release_id: the release that began it.
        offset: items already returned.
    """

    release_id: str
    offset: int


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
        personalization: how much the history counts beside a text, 0 to 1; by default with the release's own strength.
        interpretation: what becomes of the wishes that the text names.
        preferences: conditions that move items up.
        min_relevance: least relevance of a returned item, 0 to 1; None leaves nothing out.
        candidate_item_ids: the items to rank; empty for the whole catalogue.
        page: the list that is continued; None begins one.
        language: BCP 47 tag of the explanations; empty where not given.
        exact_spelling: whether the text is searched as it is spelt.
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
    personalization: float = DEFAULT_PERSONALIZATION
    interpretation: TextInterpretation = TextInterpretation.PREFER
    preferences: tuple[Condition, ...] = ()
    min_relevance: float | None = None
    candidate_item_ids: tuple[str, ...] = ()
    page: Page | None = None
    language: str = ""
    exact_spelling: bool = False

    @property
    def offset(self) -> int:
        """Items of the list before the first one returned."""
        return 0 if self.page is None else self.page.offset


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
class FieldMatch:
    """Field of an item that matched the request's text.

    Attributes:
        field: "title", "text", or the attribute's name.
        value: the words or the value that matched, as the item has them.
        whole_value: whether `value` is a whole value of the field, such as a name.
    """

    field: str
    value: str
    whole_value: bool = False


@dataclass(frozen=True)
class Explanation:
    """Explanation of a recommended item.

    Attributes:
        text: one sentence, in the request's language.
        matched_terms: terms of the request's text that the item shares.
        because_of_item_id: the history's item that speaks most for it; empty where there is none.
        because_of_similarity: cosine to that item.
        because_of_title: its title.
        field_matches: the item's fields that the text matched, the strongest first.
    """

    text: str
    matched_terms: tuple[str, ...] = ()
    because_of_item_id: str = ""
    because_of_similarity: float | None = None
    because_of_title: str = ""
    field_matches: tuple[FieldMatch, ...] = ()


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
        relevance: probability that it is what the text asks for, 0 to 1; None without a text.
        choice_probability: softmax over the ranked candidates, 0 to 1; None where nothing ranks.
    """

    id: str
    rank: int
    score: float
    similarity: float | None
    provenance: tuple[SourceRank, ...]
    explanation: Explanation | None = None
    item: Item | None = None
    match_probability: float | None = None
    relevance: float | None = None
    choice_probability: float | None = None


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
        interpretation: what was understood of the text.
        corrected_text: the text that was searched by words; empty where it was searched as it is.
        next_offset: items up to and including the last one returned; None where nothing follows.
    """

    items: tuple[RankedItem, ...]
    release_id: str
    stage_times: StageTimes
    degradations: tuple[Degradation, ...] = ()
    shortfall_count: int = 0
    unknown_token_share: float = 0.0
    unknown_item_ids: tuple[str, ...] = ()
    recalled_counts: Mapping[str, int] = field(default_factory=dict)
    interpretation: Interpretation = field(default_factory=Interpretation)
    corrected_text: str = ""
    next_offset: int | None = None
