"""A caller's inputs: events, conditions and the request that holds them."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import TypedDict

from shortlist.enums import EventKind, HistoryEncoding, TextInterpretation


@dataclass(frozen=True, slots=True)
class Event:
    """Something a user did with an item.

    Attributes:
        item_id: the item, 1 to 256 bytes.
        kind: what was done.
        time: when, with a time zone. Events without a time count in list order, after those with one.
        comment: what the user said about it, at most 8 KiB.
        item_title: the title of an item that the catalogue does not have: it is then told as text instead of ignored.
    """

    item_id: str
    kind: EventKind
    _: KW_ONLY
    time: datetime | None = None
    comment: str = ""
    item_title: str = ""


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A text attribute that equals any of the values, or a list attribute that holds any of them.

    Attributes:
        attribute: the attribute's name.
        values: 1 to 1,000 strings, compared exactly.
        negate: turns the condition round.
    """

    attribute: str
    values: Sequence[str]
    _: KW_ONLY
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """A number attribute between two ends, both included. At least one end must be given.

    Attributes:
        attribute: the attribute's name.
        min: the lower end.
        max: the upper end.
        negate: turns the condition round.
    """

    attribute: str
    _: KW_ONLY
    min: float | None = None
    max: float | None = None
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Equals:
    """A truth-value attribute that has the value.

    Attributes:
        attribute: the attribute's name.
        value: the value it must have.
        negate: turns the condition round (an item without the attribute then meets it).
    """

    attribute: str
    _: KW_ONLY
    value: bool
    negate: bool = False


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A timestamp attribute between two moments, both included. At least one end must be given.

    Attributes:
        attribute: the attribute's name.
        min: the earliest moment, with a time zone.
        max: the latest moment, with a time zone.
        negate: turns the condition round.
    """

    attribute: str
    _: KW_ONLY
    min: datetime | None = None
    max: datetime | None = None
    negate: bool = False


Condition = AnyOf | Range | TimeRange | Equals


@dataclass(frozen=True, slots=True)
class RecommendRequest:
    """A recommendation request: the caller, their history, and what is wanted back.

    The limits are the gateway's settings; these are their defaults.
    Without `text`, `events` and `item_ids` the answer is what is popular.

    Attributes:
        text: what the caller looks for, free text of any language, up to 8 KiB.
        user_id: a known user's id, 1 to 256 bytes. Not together with `session_id`.
        session_id: an anonymous session's id, 1 to 256 bytes.
        events: what the caller just did, at most 1,000.
        item_ids: items the caller is known to like, at most 1,000.
        history_encoding: how `events` and `item_ids` become a query; None takes the gateway's default.
        exclude_item_ids: items that must not be returned, at most 10,000.
        conditions: what every returned item meets, at most 32.
        k: how many items to return, 1 to 1,000; None for 10, or for all of `candidate_item_ids`.
        explain: whether each item carries an explanation.
        item_mask: which details to return: `title`, `text`, `available`, `attributes`, `attributes.NAME`, or `*`.
        include_seen: whether items passed in `events` or `item_ids` may be returned.
        personalization: how much the history counts beside a text, 0 to 1; None takes the release's strength.
        interpretation: what becomes of the wishes that the text names; None takes the gateway's default.
        preferences: conditions that move items up without leaving others out, at most 32.
        min_relevance: least relevance of a returned item, 0 to 1; None leaves nothing out.
        candidate_item_ids: the items to rank, at most 1,000; none for the whole catalogue.
        page_token: `next_page_token` of the reply that this request continues.
        language: BCP 47 tag of the explanations.
        exact_spelling: whether the text is searched as it is spelt.
    """

    text: str | None = None
    _: KW_ONLY
    user_id: str | None = None
    session_id: str | None = None
    events: Sequence[Event] = ()
    item_ids: Sequence[str] = ()
    history_encoding: HistoryEncoding | None = None
    exclude_item_ids: Sequence[str] = ()
    conditions: Sequence[Condition] = ()
    k: int | None = None
    explain: bool = False
    item_mask: Sequence[str] = ()
    include_seen: bool = False
    personalization: float | None = None
    interpretation: TextInterpretation | None = None
    preferences: Sequence[Condition] = ()
    min_relevance: float | None = None
    candidate_item_ids: Sequence[str] = ()
    page_token: str = ""
    language: str = ""
    exact_spelling: bool = False


class RecommendFields(TypedDict, total=False):
    """The keywords of `recommend`: the fields of RecommendRequest but its text."""

    user_id: str | None
    session_id: str | None
    events: Sequence[Event]
    item_ids: Sequence[str]
    history_encoding: HistoryEncoding | None
    exclude_item_ids: Sequence[str]
    conditions: Sequence[Condition]
    k: int | None
    explain: bool
    item_mask: Sequence[str]
    include_seen: bool
    personalization: float | None
    interpretation: TextInterpretation | None
    preferences: Sequence[Condition]
    min_relevance: float | None
    candidate_item_ids: Sequence[str]
    page_token: str
    language: str
    exact_spelling: bool
