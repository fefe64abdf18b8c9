"""The results of calls."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shortlist.enums import DegradationReason, ErrorReason, RecallSource
from shortlist.requests import Condition

AttributeValue = str | float | bool | tuple[str, ...] | datetime


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Time spent in each step inside the gateway, in milliseconds.

    Attributes:
        total_ms: the whole call, from the first byte parsed to the reply built.
        parse_ms: reading and checking the request.
        represent_ms: text to vectors: tokenising, queueing and Triton together.
        tokenize_ms: of `represent_ms`: tokenising.
        queue_ms: of `represent_ms`: waiting for a batch.
        triton_ms: of `represent_ms`: the call to Triton, network included.
        recall_ms: looking for candidates in all sources.
        rank_ms: fusing and ordering them.
        explain_ms: making explanations.
        rank_triton_ms: of `rank_ms`: the ranker's call to Triton.
    """

    total_ms: float = 0.0
    parse_ms: float = 0.0
    represent_ms: float = 0.0
    tokenize_ms: float = 0.0
    queue_ms: float = 0.0
    triton_ms: float = 0.0
    recall_ms: float = 0.0
    rank_ms: float = 0.0
    explain_ms: float = 0.0
    rank_triton_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Provenance:
    """One source's view of an item.

    Attributes:
        source: which source recalled it.
        rank: its place in that source's list, from 1.
        score: its score there: cosine for semantic sources and the user tower, BM25 for the lexical one, the sum of
            weights for the collaborative and the following one, log P for the popular one.
    """

    source: RecallSource
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class FieldMatch:
    """Field of an item that matched the request's text.

    Attributes:
        field: "title", "text", or the attribute's name.
        value: the words or the value that matched, as the item has them.
        whole_value: whether `value` is a whole value of the field, such as a name.
    """

    field: str
    value: str
    whole_value: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Explanation of a recommended item.

    Attributes:
        text: one sentence, in the request's language.
        matched_terms: terms of the request's text that the item shares.
        because_of_item_id: the passed-along item that speaks most for this one; None where no history was used.
        because_of_similarity: cosine between the two.
        because_of_title: title of that item; empty where it has none.
        field_matches: the item's fields that the text matched, the strongest first.
    """

    text: str
    matched_terms: tuple[str, ...]
    because_of_item_id: str | None
    because_of_similarity: float | None
    because_of_title: str = ""
    field_matches: tuple[FieldMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemDetails:
    """The details of an item that `item_mask` asked for; what was not asked for is empty or False.

    Attributes:
        id: the item's id.
        title: a short name.
        text: a description.
        available: whether it may be recommended.
        attributes: every other column of the item file, by name: text, a number, a truth value, several texts, or a
            moment in UTC to the microsecond.
    """

    id: str
    title: str
    text: str
    available: bool
    attributes: Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class RankedItem:
    """One item of a shortlist.

    Attributes:
        id: the item's id.
        rank: its place in the reply, from 1.
        score: the final sort key, higher is better; comparable within one reply only.
        similarity: cosine between query and item, -1 to 1; None where no vector query was made.
        provenance: every source that recalled it, best rank first.
        explanation: why it is here; None without `explain`.
        item: its details; None without `item_mask`.
        match_probability: how likely the caller is to choose it, 0 to 1; None where no ranker was asked.
        relevance: how likely it is what the text asks for, 0 to 1; None without a text.
        choice_probability: how likely it is chosen rather than another candidate, 0 to 1; None where nothing ranks.
    """

    id: str
    rank: int
    score: float
    similarity: float | None
    provenance: tuple[Provenance, ...]
    explanation: Explanation | None
    item: ItemDetails | None
    match_probability: float | None = None
    relevance: float | None = None
    choice_probability: float | None = None


@dataclass(frozen=True, slots=True)
class InterpretedCondition:
    """Condition that a text names.

    Attributes:
        condition: as a request can send it, in `conditions` or `preferences`.
        phrase: the words of the text that name it.
    """

    condition: Condition
    phrase: str


@dataclass(frozen=True, slots=True)
class InterpretedOrder:
    """Order by a number that a text names, such as "cheapest".

    Attributes:
        attribute: the attribute.
        descending: whether the largest number comes first.
        phrase: the words of the text that name it.
    """

    attribute: str
    descending: bool
    phrase: str


@dataclass(frozen=True, slots=True)
class Interpretation:
    """Understood part of a text.

    Attributes:
        conditions: the conditions that it names.
        orders: the orders that it names.
        excluded_terms: negated words that are not a value of an attribute; items that have them come last, or are
            left out where wishes are enforced.
        search_text: the text that was matched by words and meaning.
    """

    conditions: tuple[InterpretedCondition, ...]
    orders: tuple[InterpretedOrder, ...]
    excluded_terms: tuple[str, ...]
    search_text: str


@dataclass(frozen=True, slots=True)
class Degradation:
    """A way in which a reply is worse than a full one.

    Attributes:
        reason: what happened.
        detail: the cause and its effect on this reply, for people.
    """

    reason: DegradationReason
    detail: str


@dataclass(frozen=True, slots=True)
class Shortlist:
    """The items for one caller, and how they came about.

    Attributes:
        items: best first, at most k, without duplicates.
        release_id: the release that answered.
        stage_times: where the time went.
        degradations: in what ways the reply is worse than a full one; empty for a full one.
        shortfall_count: k minus the number of items returned.
        unknown_token_share: share of the encoder tokens that its vocabulary does not know, 0 to 1.
        unknown_item_ids: ids in `events`, `item_ids` or `candidate_item_ids` that the catalogue does not have.
        request_id: the id under which the gateway logged the call.
        interpretation: what was understood of the text; None where nothing was.
        corrected_text: the text that was searched by words where it was corrected; empty otherwise.
        next_page_token: continues the list, as `page_token`; empty where nothing follows.
    """

    items: tuple[RankedItem, ...]
    release_id: str
    stage_times: StageTimes
    degradations: tuple[Degradation, ...]
    shortfall_count: int
    unknown_token_share: float
    unknown_item_ids: tuple[str, ...]
    request_id: str
    interpretation: Interpretation | None = None
    corrected_text: str = ""
    next_page_token: str = ""


@dataclass(frozen=True, slots=True)
class RankedText:
    """One ranked text.

    Attributes:
        index: its place among the candidates, from 0.
        id: its id; empty where none was given.
        rank: its place in the reply, from 1.
        score: the sort key, higher is better; comparable within one reply only.
        similarity: cosine to the query, else to the history; None where the encoder cannot read one of them.
        relevance: how likely it is what the query asks for, 0 to 1; None without a query.
        choice_probability: how likely it is chosen rather than another candidate; they sum to 1 over all candidates.
        matched_terms: words of the query that it shares.
    """

    index: int
    id: str
    rank: int
    score: float
    similarity: float | None
    relevance: float | None
    choice_probability: float
    matched_terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextRanking:
    """Texts in the order in which they suit a query, a history, or both.

    Attributes:
        results: best first.
        release_id: the release whose encoder answered.
        stage_times: where the time went.
        degradations: in what ways the reply is worse than a full one.
        unknown_item_ids: ids of the history that the catalogue does not have.
        request_id: the id under which the gateway logged the call.
    """

    results: tuple[RankedText, ...]
    release_id: str
    stage_times: StageTimes
    degradations: tuple[Degradation, ...]
    unknown_item_ids: tuple[str, ...]
    request_id: str


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One request field out of its range.

    Attributes:
        field: the path of the field, for example `events[2].kind`.
        description: what was expected.
    """

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class EntryError:
    """Reason for the refusal of one request of a batch.

    Attributes:
        code: the canonical status code, for example `INVALID_ARGUMENT`.
        message: what was wrong and what to do, for people.
        reason: the same for programs.
        violations: the fields that are out of range.
    """

    code: str
    message: str
    reason: ErrorReason
    violations: tuple[FieldViolation, ...]


@dataclass(frozen=True, slots=True)
class Embedding:
    """One text's vector.

    Attributes:
        vector: float32 numbers, as many as the release's dimension, of unit length. `numpy.asarray` takes it as it is.
        token_count: encoder tokens, special ones included, after the cut.
        truncated: whether the text was cut to the encoder's limit.
        unknown_token_share: share of the text's tokens that the vocabulary does not know, 0 to 1.
    """

    vector: "array[float]"
    token_count: int
    truncated: bool
    unknown_token_share: float


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The vectors of several texts.

    Attributes:
        embeddings: one for each text, in the same order.
        release_id: the release whose encoder answered.
        stage_times: where the time went.
    """

    embeddings: tuple[Embedding, ...]
    release_id: str
    stage_times: StageTimes

    @property
    def vectors(self) -> "list[array[float]]":
        """The vectors alone, in the order of the texts."""
        return [embedding.vector for embedding in self.embeddings]
