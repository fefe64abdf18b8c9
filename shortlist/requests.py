"""A caller's inputs: events, conditions and the request that holds them."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import TypedDict

from shortlist.arrangement import Arrangement
from shortlist.conditions import Condition
from shortlist.enums import EventKind, HistoryEncoding, TextInterpretation


@dataclass(frozen=True, slots=True)
class Event:
    """Something a user did with an item, or said.

    Attributes:
        item_id: the item, 1 to 256 bytes; "" with EventKind.SEARCH.
        kind: what was done.
        time: when, with a time zone. Events without a time count in list order, after those with one.
        comment: what the user said about it, at most 8 KiB.
        item_title: the title of an item that the catalogue does not have: it is then told as text instead of ignored.
        event_id: makes retries of `record_events` harmless, 1 to 128 bytes.
        weight: how much it counts beside others of its kind, above 0 to 100; None for 1.
        text: what was searched for or said: only with EventKind.SEARCH.
        request_id: `request_id` of the reply that led to it.
        rank: the item's rank in that reply, from 1; 0 for none.
        dwell_s: how long the user stayed with the item, in seconds.
        rating: 0 to 5; below 2.5 the event counts as a dislike.
        attribution_token: of the item of the reply that led to it; tells more than `request_id` and `rank`.
    """

    item_id: str
    kind: EventKind
    _: KW_ONLY
    time: datetime | None = None
    comment: str = ""
    item_title: str = ""
    event_id: str = ""
    weight: float | None = None
    text: str = ""
    request_id: str = ""
    rank: int = 0
    dwell_s: float | None = None
    rating: float | None = None
    attribution_token: str = ""


@dataclass(frozen=True, slots=True)
class SeenRule:
    """A rule that leaves out what the caller did something with.

    Attributes:
        kind: the kind of event.
        max_age_s: how long ago it may lie, in seconds; None for any age, 0 for never.
    """

    kind: EventKind
    max_age_s: float | None = None


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
        any_of_groups: groups of conditions, of which every returned item meets at least one whole; at most 32.
        k: how many items to return, 1 to 1,000; None for 10, or for all of `candidate_item_ids`.
        explain: whether each item carries an explanation.
        item_mask: which details to return: `title`, `text`, `available`, `attributes`, or `*` for all.
        item_attributes: names of single attributes to return beside them, at most 1,000.
        include_seen: whether items passed in `events` or `item_ids` may be returned.
        personalization: how much the history counts beside a text, 0 to 1; None takes the release's strength.
        interpretation: what becomes of the wishes that the text names; None takes the gateway's default.
        preferences: conditions that move items up without leaving others out, at most 32.
        min_relevance: least relevance of a returned item, 0 to 1; None leaves nothing out.
        candidate_item_ids: the items to rank, at most 1,000; none for the whole catalogue.
        page_token: `next_page_token` of the reply that this request continues.
        language: BCP 47 tag of the explanations.
        exact_spelling: whether the text is searched as it is spelt.
        arrangement: rules by which the ranked list is arranged; None keeps the order of the scores.
        scene: a named configuration of the gateway, such as "home"; empty takes its default.
        event_token: of `record_events`: the reply counts at least its events.
        profile: a line about the caller that counts as part of the history.
        seen_rules: what of the kept history is left out; none takes the gateway's rules.
        without_repeats: whether what earlier replies with this field showed is left out.
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
    any_of_groups: Sequence[Sequence[Condition]] = ()
    k: int | None = None
    explain: bool = False
    item_mask: Sequence[str] = ()
    item_attributes: Sequence[str] = ()
    include_seen: bool = False
    personalization: float | None = None
    interpretation: TextInterpretation | None = None
    preferences: Sequence[Condition] = ()
    min_relevance: float | None = None
    candidate_item_ids: Sequence[str] = ()
    page_token: str = ""
    language: str = ""
    exact_spelling: bool = False
    arrangement: Arrangement | None = None
    scene: str = ""
    event_token: str = ""
    profile: str = ""
    seen_rules: Sequence[SeenRule] = ()
    without_repeats: bool = False


class RecommendFields(TypedDict, total=False):
    """The keywords of `recommend`: the fields of RecommendRequest but its text."""

    user_id: str | None
    session_id: str | None
    events: Sequence[Event]
    item_ids: Sequence[str]
    history_encoding: HistoryEncoding | None
    exclude_item_ids: Sequence[str]
    conditions: Sequence[Condition]
    any_of_groups: Sequence[Sequence[Condition]]
    k: int | None
    explain: bool
    item_mask: Sequence[str]
    item_attributes: Sequence[str]
    include_seen: bool
    personalization: float | None
    interpretation: TextInterpretation | None
    preferences: Sequence[Condition]
    min_relevance: float | None
    candidate_item_ids: Sequence[str]
    page_token: str
    language: str
    exact_spelling: bool
    arrangement: Arrangement | None
    scene: str
    event_token: str
    profile: str
    seen_rules: Sequence[SeenRule]
    without_repeats: bool
