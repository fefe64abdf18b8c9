"""Request and answer of a recommendation, free of protobuf."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from domain.arrangement import Arrangement, ArrangementRule
from domain.condition import Condition
from domain.event import Event
from domain.interpretation import Interpretation, TextInterpretation
from domain.item import AttributeValue, Item
from domain.prompts import TextRole
from domain.scene import FallbackList
from domain.user_history import Caller, Impression, SeenRule
from domain.vector_format import VectorFormat

# How much a history counts beside a text where the caller does not say: the release's own strength.
DEFAULT_PERSONALIZATION = 0.5


class Source(StrEnum):
    """Recall source of a candidate."""

    SEMANTIC_TEXT = "semantic_text"
    SEMANTIC_HISTORY = "semantic_history"
    LEXICAL = "lexical"
    COLLABORATIVE = "collaborative"
    NEXT_ITEM = "next_item"
    SIMILAR_USERS = "similar_users"
    USER_TOWER = "user_tower"
    POPULAR = "popular"
    FRESH = "fresh"
    TRENDING = "trending"
    CATEGORY_POPULAR = "category_popular"
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
    OVERLOADED = "overloaded"
    ARRANGEMENT_LIMITED = "arrangement_limited"
    USER_HISTORY_UNAVAILABLE = "user_history_unavailable"


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
class ItemDetails:
    """Details of an item that a reply carries; None for what was not asked for.

    Attributes:
        id: the item's.
        title: a short name.
        text: a description.
        available: whether it may be recommended.
        attributes: those that were asked for, by name.
    """

    id: str
    title: str | None = None
    text: str | None = None
    available: bool | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)

    @classmethod
    def of(cls, item: Item, mask: ItemMask) -> "ItemDetails":
        """Returns the details that a mask names."""
        everything = "attributes" in mask.fields
        return cls(
            id=item.id,
            title=item.title if "title" in mask.fields else None,
            text=item.text if "text" in mask.fields else None,
            available=item.available if "available" in mask.fields else None,
            attributes={
                name: value for name, value in item.attributes.items() if everything or name in mask.attributes
            },
        )


@dataclass(frozen=True)
class EmbedQuery:
    """Texts to encode.

    Attributes:
        texts: in the order of the answer.
        role: what they are, which chooses their prompt.
        vector_format: of the answer.
    """

    texts: tuple[str, ...]
    role: TextRole
    vector_format: VectorFormat = VectorFormat.FLOAT32


@dataclass(frozen=True)
class Page:
    """Continuation of a list.

    Attributes:
        release_id: the release that began it.
        offset: items already returned.
        seed: of its draws; None where nothing was drawn.
    """

    release_id: str
    offset: int
    seed: int | None = None


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
        any_of_groups: groups of conditions, of which one must hold whole; empty where there are none.
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
        arrangement: rules by which the ranked list is arranged.
        scene: that the request names, or the gateway's default one; empty for none.
        sources: recall sources that a history is looked up in; None for all.
        fallback: list for callers of whom nothing is known; None for what is popular, or new.
        caller: the user or session; None where nobody is named.
        event_token: of events that must count; may be empty.
        statements: what the caller said or searched for, oldest first: it counts as part of the history.
        impressions: items that lists showed the caller.
        seen_rules: what of a kept history is left out; None takes the gateway's rules.
        without_repeats: whether what lists with this field showed before is left out.
        returnable_item_ids: items of the history that may be returned all the same, since no rule leaves them out.
        ignored: how often items were shown and never touched, by id.
    """

    text: str = ""
    events: tuple[Event, ...] = ()
    item_ids: tuple[str, ...] = ()
    tell_history: bool = False
    exclude_item_ids: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    any_of_groups: tuple[tuple[Condition, ...], ...] = ()
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
    arrangement: Arrangement = field(default_factory=Arrangement)
    scene: str = ""
    sources: frozenset[str] | None = None
    fallback: FallbackList | None = None
    caller: Caller | None = None
    event_token: str = ""
    statements: tuple[str, ...] = ()
    impressions: tuple[Impression, ...] = ()
    seen_rules: tuple[SeenRule, ...] | None = None
    without_repeats: bool = False
    returnable_item_ids: frozenset[str] = frozenset()
    ignored: Mapping[str, int] = field(default_factory=dict)

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
        arranged_by: rules that gave it its place, or kept it from a better one.
        ranked_place: its place by score, from 1; None where the list is not arranged, or it was not ranked.
    """

    id: str
    rank: int
    score: float
    similarity: float | None
    provenance: tuple[SourceRank, ...]
    explanation: Explanation | None = None
    item: ItemDetails | None = None
    match_probability: float | None = None
    relevance: float | None = None
    choice_probability: float | None = None
    arranged_by: tuple[ArrangementRule, ...] = ()
    ranked_place: int | None = None


@dataclass(frozen=True)
class StageTimes:
    """Seconds of each stage of one request.

    `tokenize`, `queue` and `triton` are parts of `represent`, `rank_triton` is a part of `rank`. `arrange` holds the
    making of the list too where it is arranged.
    """

    parse_s: float = 0.0
    user_s: float = 0.0
    represent_s: float = 0.0
    tokenize_s: float = 0.0
    queue_s: float = 0.0
    triton_s: float = 0.0
    recall_s: float = 0.0
    rank_s: float = 0.0
    rank_triton_s: float = 0.0
    explain_s: float = 0.0
    arrange_s: float = 0.0

    def by_stage(self) -> dict[str, float]:
        """Returns the seconds by the stages' names."""
        return {name.removesuffix("_s"): seconds for name, seconds in vars(self).items()}


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
        unplaced_item_ids: pinned items that may not be recommended, or do not exist.
        seed: of the draws; None where nothing was drawn.
        scene: that gave the request's defaults; empty for none.
        bucket: of the caller while releases are compared on callers; empty while none are.
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
    unplaced_item_ids: tuple[str, ...] = ()
    seed: int | None = None
    scene: str = ""
    bucket: str = ""
