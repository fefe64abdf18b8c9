"""The recommended items."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shortlist.enums import ArrangementRule, RecallSource

AttributeValue = str | float | bool | tuple[str, ...] | datetime


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
    """The details of an item that `item_mask` and `item_attributes` asked for; what was not asked for is None.

    Attributes:
        id: the item's id.
        title: a short name.
        text: a description.
        available: whether it may be recommended.
        attributes: other columns of the item file, by name, those that were asked for: text, a number, a truth value,
            several texts, or a moment in UTC to the microsecond.
    """

    id: str
    title: str | None
    text: str | None
    available: bool | None
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
        item: its details; None without `item_mask` and `item_attributes`.
        match_probability: how likely the caller is to choose it, 0 to 1; None where no ranker was asked.
        relevance: how likely it is what the text asks for, 0 to 1; None without a text.
        choice_probability: how likely it is chosen rather than another candidate, 0 to 1; None where nothing ranks.
        arranged_by: rules that gave it its place, or kept it from a better one.
        ranked_place: its place by score, from 1; None where the list is not arranged, or it was not ranked.
        attribution_token: for the events that it leads to; empty without a user or session.
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
    arranged_by: tuple[ArrangementRule, ...] = ()
    ranked_place: int | None = None
    attribution_token: str = ""
